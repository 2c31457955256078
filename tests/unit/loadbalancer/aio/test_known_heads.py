"""The short way of a request, held to be what the long way is, across all that meets it: see support/talk.py."""

import inspect
import itertools
import random
import re
import sys
import types
import unittest
import zlib
from collections.abc import Collection
from dataclasses import replace
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from support.bench import OK, bench
from support.talk import Side, Talk

from loadbalancer.aio.door import Door
from loadbalancer.aio.exchange import Exchange
from loadbalancer.policy_view import View

GET = b"GET /home HTTP/1.1\r\nHost: d\r\n\r\n"
NAMED = b"GET /home HTTP/1.1\r\nHost: d\r\nX-Request-Id: %b\r\nAccept: */*\r\n\r\n"
POST = b"POST /home HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\n\r\nbody"
OLD = b"GET /home HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
LAST = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
NOT_FOUND = OK.replace(b"200 OK", b"404 Not Found")
TIMES = 3  # the first request is read, the second is read and remembered, the third is recognised

REQUESTS = (
    *(GET, NAMED % b"one", NAMED % b"two", POST, OLD, HEAD, LAST),
    GET.replace(b"GET", b"PUT"),
    b"GET /other?u=1 HTTP/1.1\r\nHost: e\r\nCookie: c=77\r\n\r\n",
    b"GET /home HTTP/1.1\r\nHost: d\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    b"GET /home HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"GET /home HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\n\r\nbody",
    GET + GET,
    POST + NAMED % b"behind",
    b"GET /home HTTP/1.1\r\nHost: d\r\nX-Request-Id: no way\r\n\r\n",
    b"GET /admin/live HTTP/1.1\r\nHost: d\r\n\r\n",
    b"nonsense\r\n\r\n",
)
ANSWERS = (
    *(OK, NOT_FOUND, OK + b"x", OK.replace(b"200", b"799"), b"nonsense\r\n\r\n"),
    b"HTTP/1.1 200 OK\r\nDate: yesterday\r\nX-Request-Id: theirs\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
    b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c, websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok",
)
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nto the end"
RESET, DRAIN = b"reset", b"drain"

SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"unknown_path": "course"},
    {"hedge_after": "0.05"},
    {"hedge_after": "p95", "unknown_path": "course"},
    {"trusted_proxies": "127.0.0.0/8", "route_by": "client"},
    {"route_by": "query:u"},
    {"body_limit_bytes": 4},
)

Step = tuple[bytes, bytes]


async def hold(talk: Talk, steps: list[Step]) -> None:
    """Ask and answer, each step TIMES times, on one connection as long as it lasts."""
    side = talk.come()
    for request, answer in itertools.chain.from_iterable([step] * TIMES for step in steps):
        if side.ended or side.said_end:
            side = talk.come()
        if answer == DRAIN:
            talk.door.drain(talk.ground.now)
            answer = OK
        await talk.ask(side, request)
        if answer == RESET:
            await talk.reset()
            answer = OK
        while talk.busy():
            await talk.answer(answer, last=answer == UNTIL_CLOSED)


async def story(pieces: bool, steps: list[Step], **wanted: Any) -> dict[str, Any]:
    async with bench(1, 2, **wanted) as ground:
        random.seed(1)  # keys and cookies that are drawn are the same both times
        talk = Talk(ground, pieces)
        await hold(talk, steps)
        return talk.story


class ByTheBook(unittest.IsolatedAsyncioTestCase):
    async def assert_same(self, steps: list[Step], **wanted: Any) -> None:
        short, long = await story(False, steps, **wanted), await story(True, steps, **wanted)
        for what, said in long.items():
            self.assertEqual(short[what], said, what)

    async def test_each_request_with_each_answer(self) -> None:
        for request in REQUESTS:
            with self.subTest(request=request):
                for answer in (*ANSWERS, UNTIL_CLOSED, RESET, DRAIN):
                    await self.assert_same([(request, answer)])

    async def test_each_of_both_under_each_setting(self) -> None:
        for wanted in SETTINGS:
            with self.subTest(wanted=wanted):
                await self.assert_same([(request, OK) for request in REQUESTS], **wanted)
                await self.assert_same([(NAMED % b"x", answer) for answer in (*ANSWERS, UNTIL_CLOSED)], **wanted)

    async def test_a_rate_limit(self) -> None:
        without_body = [(request, OK) for request in (GET, NAMED % b"one", HEAD, OLD, LAST)]
        for by, route in itertools.product(("client", "key"), ("path", "client", "cookie:c", "header:x-request-id")):
            for step in without_body:
                with self.subTest(by=by, route=route, step=step):
                    await self.assert_same([step] * 2, rate_limit="2+4", rate_limit_by=by, route_by=route)

    def test_law_whatever_is_said(self) -> None:
        steps = st.lists(
            st.tuples(st.sampled_from(REQUESTS), st.sampled_from((*ANSWERS, UNTIL_CLOSED, RESET))),
            min_size=1,
            max_size=4,
        )

        @settings(max_examples=40, deadline=None)
        @given(steps, st.sampled_from(SETTINGS))
        def law(said: list[Step], wanted: dict[str, Any]) -> None:
            self._asyncioRunner.run(self.assert_same(said, **wanted))  # type: ignore[attr-defined]

        law()


class ShortWay(unittest.IsolatedAsyncioTestCase):
    async def talk(self, *nodes: int, **wanted: Any) -> Talk:
        return Talk(await self.enterAsyncContext(bench(*(nodes or (1,)), **wanted)))

    async def known(self, talk: Talk, request: bytes = GET, peer: str = "127.0.0.1") -> Side:
        """A client whose next such request is recognised."""
        side = talk.come(peer)
        for _ in range(TIMES - 1):
            await talk.get(side, request)
        return side

    @unittest.skipUnless(inspect.isfunction(Door.serve_known), "compiled, nobody can look")
    async def test_it_is_taken(self) -> None:
        for request, wanted in itertools.product((GET, NAMED % b"one", POST), SETTINGS):
            talk = await self.talk(**wanted)
            side = await self.known(talk, request)
            with (
                mock.patch.object(Door, "serve_known", autospec=True, side_effect=Door.serve_known) as served,
                mock.patch.object(
                    Exchange, "answer_known", autospec=True, side_effect=Exchange.answer_known
                ) as answered,
            ):
                await talk.get(side, request)
            self.assertEqual((served.call_count, answered.call_count), (1, 1), (request, wanted))

    def sent(self, talk: Talk, name: bytes) -> list[bytes]:
        """That header's values, as the replicas got them, in order of connections."""
        written = b"".join(line.wire.written for line in talk.ground.lines)
        return re.findall(b"\r\n%b: ([^\r]*)" % name, written)

    async def test_request_ids_are_fresh_each_time(self) -> None:
        talk = await self.talk()
        side = await self.known(talk)
        for _ in range(10):
            await talk.get(side, GET)
        ids = self.sent(talk, b"X-Request-Id")
        self.assertEqual(len(set(ids)), 12)
        self.assertEqual(re.findall(rb"X-Request-Id: ([^\r]*)", side.written), ids)

    async def test_clients_do_not_share_their_addresses(self) -> None:
        talk = await self.talk()
        peers = ("10.0.0.1", "10.0.0.2")
        sides = [await self.known(talk, peer=peer) for peer in peers]
        for side in sides * 2:
            await talk.get(side, GET)
        self.assertEqual(len(talk.ground.lines), 1)
        order = [peers[i] for i in (0, 0, 1, 1, 0, 1, 0, 1)]
        self.assertEqual(self.sent(talk, b"X-Forwarded-For"), [peer.encode() for peer in order])
        self.assertEqual([line[0].decode() for line in talk.ledger.lines], order)

    async def test_nor_do_those_that_a_proxy_introduces(self) -> None:
        talk = await self.talk(accept_proxy_protocol=True, trusted_proxies="127.0.0.1/32")
        sides = [talk.come(), talk.come()]
        for i, side in enumerate(sides):
            side.protocol.data_received(b"PROXY TCP4 10.0.0.%d 10.9.9.9 1000 80\r\n" % i)
        for side in sides * 4:
            await talk.get(side, GET)
        self.assertEqual(self.sent(talk, b"X-Forwarded-For"), [b"10.0.0.0", b"10.0.0.1"] * 4)

    async def test_nor_do_those_behind_one_connection_of_a_trusted_proxy(self) -> None:
        talk = await self.talk(trusted_proxies="127.0.0.1/32", route_by="client")
        side = talk.come()
        clients = (b"10.0.0.1",) * 4 + (b"10.0.0.2",) * 4 + (b"10.0.0.1",)
        for client in clients:
            await talk.get(side, GET[:-2] + b"X-Forwarded-For: " + client + b"\r\n\r\n")
        self.assertEqual(self.sent(talk, b"X-Forwarded-For"), [client + b", 127.0.0.1" for client in clients])
        self.assertEqual(tuple(line[0] for line in talk.ledger.lines), clients)

    async def test_the_date_is_that_of_the_answer(self) -> None:
        talk = await self.talk()
        side = await self.known(talk)
        talk.door.date_line = b"Date: tomorrow\r\n"
        self.assertIn(b"\r\nDate: tomorrow\r\n", await talk.get(side, GET))

    async def test_where_the_routes_name_is_missing_each_request_draws_its_key(self) -> None:
        for route in ("random", "header:x-user", "header:X-Request-Id", "query:u"):
            talk = await self.talk(1, 2, 3, route_by=route, panic_threshold=0.0)
            side = await self.known(talk)
            for _ in range(60):
                await talk.get(side, GET)
            self.assertEqual({line.node for line in talk.ground.lines}, {1, 2, 3}, route)

    async def test_the_id_is_the_key_if_it_is_the_route(self) -> None:
        talk = await self.talk(1, 2, 3, route_by="header:x-request-id")
        side = await self.known(talk, NAMED % b"first")
        for i in range(20):
            for client in (side, talk.come()):  # the other's first request is read
                await talk.ask(client, NAMED % b"id-%d" % i)
            self.assertEqual(len({line.node for line in talk.busy()}), 1)
            await talk.answer()

    async def test_a_refusal_ends_the_connection_of_an_old_client(self) -> None:
        """Of HTTP/1.0, which is not told that it stays."""
        talk = await self.talk(rate_limit="1+2")
        side = await self.known(talk, OLD)
        refused = await talk.get(side, OLD)
        self.assertTrue(refused.startswith(b"HTTP/1.1 429 "))
        self.assertIn(b"\r\nConnection: close\r\n", refused)
        self.assertTrue(side.ended)

    async def test_a_refusal_leaves_the_connection_that_has_sent_all_of_its_request(self) -> None:
        talk = await self.talk(rate_limit="1+2")
        side = await self.known(talk, POST)
        self.assertTrue((await talk.get(side, POST)).startswith(b"HTTP/1.1 429 "))
        talk.ground.now += 10
        self.assertTrue((await talk.get(side, POST)).startswith(b"HTTP/1.1 200 "))

    async def test_a_client_that_does_not_read_is_not_served(self) -> None:
        talk = await self.talk()
        side = await self.known(talk)
        side.protocol.pause_writing()
        await talk.ask(side, GET)
        self.assertEqual(talk.busy(), [])
        side.protocol.resume_writing()
        await talk.ground.settle()
        self.assertEqual(len(talk.busy()), 1)
        await talk.answer()

    async def test_one_that_stops_reading_at_the_answer_stops_no_replica(self) -> None:
        talk = await self.talk()
        side, other = await self.known(talk), await self.known(talk)
        await talk.ask(side, GET)
        (line,) = talk.busy()
        with (
            mock.patch.object(line.wire, "pause_reading") as paused,
            mock.patch.object(side, "write", lambda data: side.protocol.pause_writing()),
        ):
            await talk.answer()
        paused.assert_not_called()
        self.assertTrue((await talk.get(other, GET)).endswith(b"ok"))

    async def test_a_pooled_connection_that_was_dead_is_tried_elsewhere(self) -> None:
        talk = await self.talk(1, 2)
        side = await self.known(talk)
        await talk.ask(side, GET)
        (first,) = talk.busy()
        await talk.reset()
        (second,) = talk.busy()
        self.assertNotEqual(first.node, second.node)
        self.assertTrue(first.wire.written.endswith(second.wire.written))
        await talk.answer()
        self.assertEqual(side.written.count(b"HTTP/1.1 200 "), 3)

    async def test_a_post_is_not(self) -> None:
        talk = await self.talk(1, 2)
        side = await self.known(talk, POST)
        await talk.ask(side, POST)
        await talk.reset()
        self.assertEqual(talk.busy(), [])
        self.assertEqual(side.written.count(b"HTTP/1.1 502 "), 1)

    async def test_what_is_under_way_at_a_replica_that_fails_moves_on(self) -> None:
        talk = await self.talk(1, 2, 3)
        side = await self.known(talk)
        await talk.ask(side, GET)
        (line,) = talk.busy()
        talk.ground.publish(replace(talk.ground.members[line.node], routable=False))
        await talk.ground.settle()
        (other,) = talk.busy()
        self.assertNotEqual(other.node, line.node)
        await talk.answer()
        self.assertEqual(side.written.count(b"HTTP/1.1 200 "), 3)

    async def test_a_body_is_not_sent_twice_at_once(self) -> None:
        with_body = b"GET /home HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\n\r\nbody"
        talk = await self.talk(1, 2, hedge_after="0.05")
        side = await self.known(talk, with_body)
        await talk.ask(side, with_body)
        await talk.ground.later(0.06)
        self.assertEqual(len(talk.busy()), 1)
        await talk.answer()

    async def test_a_whole_answer_is_whole_whatever_its_code(self) -> None:
        talk = await self.talk()
        side = talk.come()
        for _ in range(TIMES):
            await talk.get(side, GET, OK.replace(b"200", b"799"))
        self.assertEqual([line[-2] for line in talk.ledger.lines], [True] * TIMES)


class Highest:
    def choose(self, key: int, view: View, tried: Collection[int] = ()) -> int | None:
        return max(view.eligible.difference(tried), default=None)


class AllOfThem(unittest.IsolatedAsyncioTestCase):
    """Each policy, hash and route, ours and a user's: what is remembered goes where it went when it was read."""

    ROUTED = b"GET /home?u=anna HTTP/1.1\r\nHost: d\r\nX-User: anna\r\nCookie: c=anna\r\n\r\n"

    def setUp(self) -> None:
        module = types.ModuleType("carousel_known_heads")
        module.Highest, module.crc = Highest, zlib.crc32  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
        self.addCleanup(sys.modules.pop, module.__name__)

    async def test_all_of_them(self) -> None:
        hashes = ("mmh3", "spec", "alt", "linear", "carousel_known_heads:crc")
        policies = ("ring", "bounded", "maglev", "rendezvous", "p2c", "carousel_known_heads:Highest")
        routes = ("random", "path", "client", "header:x-user", "query:u", "cookie:c")
        for ring_hash, policy in itertools.product(hashes, policies):
            for route in routes if ring_hash == "mmh3" or policy == "ring" else ("path",):
                with self.subTest(ring_hash=ring_hash, policy=policy, route=route):
                    nodes = await self._nodes(ring_hash=ring_hash, policy=policy, route_by=route)
                    if policy != "p2c" and route != "random":
                        self.assertEqual(nodes, 1)

    async def _nodes(self, **wanted: Any) -> int:
        """How many replicas a client's requests went to."""
        async with bench(1, 2, 3, **wanted) as ground:
            talk = Talk(ground)
            side = talk.come()
            for _ in range(2 * TIMES):
                self.assertTrue((await talk.get(side, self.ROUTED)).startswith(b"HTTP/1.1 200 "))
            return len({line.node for line in ground.lines})
