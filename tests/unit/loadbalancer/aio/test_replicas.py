"""The spec's rules for tries, under every policy, route, hedging and slow start: seen from outside, on a bench.

The checks look at the wires (which request was written to whom, what each client got) and at what a try was begun for,
not at how the data path keeps its books.
"""

import asyncio
import itertools
import re
import unittest
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from support.bench import ACCEPTS, HANGS, OK, REFUSES, Bench, Caller, Line, bench

from loadbalancer.aio.hedge import Hedge
from loadbalancer.aio.upstreams import Pool
from loadbalancer.retry import MAX_TRIES
from loadbalancer.selection import POLICIES
from loadbalancer.slow_start import place_of

EXAMPLES = 4
NODES = (1, 2, 3, 4)
OWN = "support.bench:Rotating"
COMBINATIONS = tuple(
    itertools.product(
        (*POLICIES, OWN),
        ("random", "path", "client", "header:X-Key", "query:k", "cookie:k"),
        ("", "0.05"),
        (0.0, 10.0),
    )
)
METHODS = (b"GET", b"GET", b"HEAD", b"PUT", b"DELETE", b"POST")
SAFE = (b"GET", b"HEAD", b"OPTIONS")
ID = re.compile(rb"^(\w+) .*?X-Request-Id: ([^\r]+)", re.S | re.M)
FAILURE = re.compile(rb'"status": "failure"')


@dataclass(frozen=True)
class Try:
    """What a pool was given, and what was true then."""

    request: Any
    node: int
    hedge: bool
    key: int
    tried: frozenset[int]
    eligible: frozenset[int]
    refusing: frozenset[int]  # newcomers that don't take the key yet


class Watched:
    """A bench, what was tried on it, and what must always hold of it."""

    def __init__(self, ground: Bench) -> None:
        self.ground = ground
        self.callers: list[tuple[bytes, Caller]] = []
        self.left: set[Caller] = set()
        self.tries: list[Try] = []
        self.outcomes = dict.fromkeys(range(10), ACCEPTS)
        ground.outcome = lambda node: self.outcomes[node]

    def saw(self, pool: Pool, passenger: Any) -> None:
        replicas = self.ground.replicas
        exchange = passenger.exchange if isinstance(passenger, Hedge) else passenger
        place, tried = place_of(exchange.key), frozenset(exchange.tried)
        newcomers = getattr(replicas._chooser, "_share_of", {})
        refusing = frozenset(node for node, share in newcomers.items() if place >= share)
        first = {exchange.pool.node_id} if isinstance(passenger, Hedge) else set()
        self.tries.append(
            Try(exchange, pool.node_id, bool(first), exchange.key, tried | first, replicas._view.eligible, refusing)
        )

    def check_tries(self, test: unittest.TestCase) -> None:
        """Who was chosen: one that might be, not tried before, no newcomer that spares itself while others are left."""
        hedged: Counter[Any] = Counter()
        begun: dict[Any, set[int]] = defaultdict(set)
        for each in self.tries:
            hedged[each.request] += each.hedge
            if each.node in begun[each.request]:
                continue  # a hedge on its way became the try itself
            begun[each.request].add(each.node)
            test.assertIn(each.node, each.eligible)
            test.assertNotIn(each.node, each.tried)
            if each.node in each.refusing:
                test.assertFalse(each.eligible - each.tried - each.refusing, each)
        test.assertLessEqual(max(map(len, begun.values()), default=0), MAX_TRIES)
        test.assertLessEqual(max(hedged.values(), default=0), 1)
        test.assertTrue(all(request.head.method in SAFE for request, count in hedged.items() if count))

    def check_wires(self, test: unittest.TestCase) -> None:
        """Who got which request: none twice, none too often, and none that may not be repeated more than once."""
        got: dict[tuple[bytes, bytes], list[int]] = defaultdict(list)
        for line in self.ground.lines:
            for method, request_id in ID.findall(line.wire.written):
                got[method, request_id].append(line.node)
        for (method, _), nodes in got.items():
            test.assertEqual(len(set(nodes)), len(nodes), (method, nodes))
            test.assertLessEqual(len(nodes), 1 if method == b"POST" else MAX_TRIES)

    def check_now(self, test: unittest.TestCase) -> None:
        replicas = self.ground.replicas
        pools = {*replicas.pools.values(), *replicas._retired}
        under_way = Counter({pool.node_id: 0 for pool in pools})
        for pool in pools:
            under_way[pool.node_id] += len(pool.passengers())
        test.assertEqual(self.ground.in_flight, {node: count for node, count in under_way.items() if count})
        test.assertLessEqual(2 * len(replicas._ejections.ejected()), len(self.ground.members))
        test.assertTrue(all(len(caller.statuses) <= 1 for _, caller in self.callers))

    def check_failures(self, test: unittest.TestCase) -> None:
        """A request that may be repeated fails only when it had its tries, or there is nobody left for it."""
        attempted: dict[Any, set[int]] = defaultdict(set)
        for each in self.tries:
            attempted[each.request].add(each.node)
        for request, nodes in attempted.items():
            caller = request.client
            failed = FAILURE.search(caller.transport.written)
            if failed and request.head.method != b"POST" and request not in self.failed:
                self.failed.add(request)
                spared = self.ground.replicas._view.eligible - nodes
                test.assertTrue(len(nodes) >= MAX_TRIES or not spared, (nodes, spared))

    @property
    def failed(self) -> set[Any]:
        return self.__dict__.setdefault("_failed", set())

    # --- what may happen -------------------------------------------------------------------------------------

    def busy(self) -> list[Line]:
        return [line for line in self.ground.lines if line.busy]

    def ask(self, number: int) -> None:
        method = METHODS[number % len(METHODS)]
        lines = b"X-Key: %d\r\nCookie: k=%d\r\n\r\n" % (number, number)
        self.callers.append((method, self.ground.ask(b"/%d?k=%d" % (number, number), method, lines)))

    def answer(self, number: int) -> None:
        if busy := self.busy():
            busy[number % len(busy)].answer()

    def refuse_work(self, number: int) -> None:
        if busy := self.busy():
            busy[number % len(busy)].answer(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")

    def reset(self, number: int) -> None:
        if busy := self.busy():
            busy[number % len(busy)].reset()

    def connect_otherwise(self, number: int) -> None:
        self.outcomes[1 + number % len(NODES)] = (ACCEPTS, REFUSES, HANGS)[number // 7 % 3]

    def leave(self, number: int) -> None:
        if self.callers:
            caller = self.callers[number % len(self.callers)][1]
            self.left.add(caller)
            caller.leave()

    def told(self, number: int) -> None:
        member = self.ground.members[1 + number % len(NODES)]
        self.ground.replicas.told(member.node_id, member.name, "refused")

    def change(self, number: int) -> None:
        """Replaced in one step, dead, draining, back, or one more."""
        node = 1 + number % len(NODES)
        member, kind = self.ground.members[node], number // 5 % 5
        if kind == 4:
            member = replace(self.ground.members[1], node_id=5, index=5, name="S5", port=1005)
        changes: dict[str, Any] = {"routable": kind not in (1, 2), "draining": kind == 2}
        self.ground.publish(replace(member, **changes, **({"name": f"N{number}"} if kind == 0 else {})))


STEPS: tuple[Callable[[Watched, int], None], ...] = (
    *(Watched.ask, Watched.ask, Watched.ask, Watched.answer, Watched.refuse_work, Watched.reset),
    *(Watched.connect_otherwise, Watched.leave, Watched.told, Watched.change),
)
PAUSES_S = (0.0, 0.0, 0.0, 0.06, 0.06, 1.1, 4.0)
SCRIPTS = st.lists(
    st.tuples(st.sampled_from(STEPS), st.integers(0, 10_000), st.sampled_from(PAUSES_S)), min_size=5, max_size=40
)


@contextmanager
def watching(watched: Watched) -> Iterator[None]:
    carry = Pool.carry

    def seen(pool: Pool, passenger: Any) -> None:
        if pool.node_id > 0:
            watched.saw(pool, passenger)
        carry(pool, passenger)

    with mock.patch.object(Pool, "carry", seen):
        yield


class Rules(unittest.TestCase):
    def test_every_combination(self) -> None:
        for policy, route, hedge_after, slow_start_s in COMBINATIONS:
            chosen = {"policy": policy, "route_by": route, "hedge_after": hedge_after, "slow_start_s": slow_start_s}
            with self.subTest(**chosen):
                self.check(chosen)

    def check(self, chosen: dict[str, Any]) -> None:
        @settings(max_examples=EXAMPLES, deadline=None, database=None)
        @given(SCRIPTS)
        def run(script: list[tuple[Callable[[Watched, int], None], int, float]]) -> None:
            asyncio.run(self.play(chosen, script))

        run()

    async def play(self, chosen: dict[str, Any], script: list[Any]) -> None:
        async with bench(*NODES, ring_hash="spec", **chosen) as ground:  # a ring that is made at once
            watched = Watched(ground)
            with watching(watched):
                for step, number, pause_s in script:
                    step(watched, number)
                    await ground.settle()
                    watched.check_failures(self)
                    if pause_s:
                        await ground.later(pause_s)
                    watched.check_now(self)
                    watched.check_failures(self)
                await self.finish(ground, watched)
            watched.check_tries(self)
            watched.check_wires(self)

    async def finish(self, ground: Bench, watched: Watched) -> None:
        """Let every request end: each client that stayed has one answer, and nothing is under way."""
        ground.outcome = lambda node: ACCEPTS
        ground.hanging.set()
        await ground.settle()
        while busy := watched.busy():
            for line in busy:
                line.answer(OK)
            await ground.settle()
        self.assertEqual(ground.in_flight, {})
        for method, caller in watched.callers:
            if caller not in watched.left:
                self.assertEqual(len(caller.statuses), 1, method)


class SlowStarting(unittest.IsolatedAsyncioTestCase):
    TARGETS = tuple(b"/%d" % i for i in range(200))

    async def counts(self, ground: Bench) -> Counter[int]:
        """How many of the targets go to each replica now."""
        callers = await ground.ask_all(self.TARGETS)
        found = Counter(ground.in_flight)
        for caller in callers:
            caller.leave()
        await ground.settle()
        return found

    def owned(self, ground: Bench, node: int) -> int:
        return sum(ground.owner(target) == node for target in self.TARGETS)

    async def test_a_newcomer_s_share_grows_and_then_the_policy_is_asked_itself(self) -> None:
        async with bench(*NODES, slow_start_s=10.0) as ground:
            self.assertIs(ground.replicas._chooser, ground.replicas._policy)
            ground.publish(replace(ground.members[1], node_id=5, index=5, name="S5", port=1005))
            owned, seen = self.owned(ground, 5), [(await self.counts(ground))[5]]
            for _ in range(4):
                await ground.later(2.5)
                seen.append((await self.counts(ground))[5])
            self.assertEqual(seen, sorted(seen))
            self.assertTrue(0 < seen[0] < 0.3 * owned and seen[2] < 0.8 * owned)
            self.assertEqual(seen[-1], owned)
            self.assertIs(ground.replicas._chooser, ground.replicas._policy)

    async def test_a_replacement_s_share_too_and_the_others_keep_theirs(self) -> None:
        async with bench(*NODES, slow_start_s=10.0) as ground:
            before = await self.counts(ground)
            ground.publish(replace(ground.members[2], name="new"))
            counts = await self.counts(ground)
            self.assertLess(counts[2], 0.3 * before[2])
            self.assertTrue(all(counts[node] >= before[node] for node in (1, 3, 4)))
            await ground.later(10)
            self.assertEqual(await self.counts(ground), before)

    async def test_not_one_that_returns_from_an_ejection(self) -> None:
        async with bench(*NODES, slow_start_s=10.0) as ground:
            before = await self.counts(ground)
            ground.replicas.told(2, "S2", "refused")
            self.assertEqual((await self.counts(ground))[2], 0)
            await ground.later(1.1)
            self.assertEqual(await self.counts(ground), before)

    async def test_not_in_panic_and_not_without_others(self) -> None:
        async with bench(*NODES, slow_start_s=10.0) as ground:
            ground.publish(*(replace(ground.members[node], routable=False) for node in (1, 2, 3)))
            ground.publish(replace(ground.members[4], name="new"))
            self.assertIs(ground.replicas._chooser, ground.replicas._policy)
        async with bench(1, slow_start_s=10.0) as ground:
            ground.publish(replace(ground.members[1], name="new"))
            self.assertEqual((await self.counts(ground))[1], len(self.TARGETS))

    async def test_off(self) -> None:
        async with bench(*NODES) as ground:
            before = await self.counts(ground)
            ground.publish(replace(ground.members[2], name="new"))
            self.assertEqual(await self.counts(ground), before)


class LiveLoads(unittest.IsolatedAsyncioTestCase):
    async def test_whatever_is_under_way_weighs(self) -> None:
        """A request that never ends, as a tunnel or a stream does not, counts until it does; a hedge counts too."""
        for policy in ("p2c", "bounded"):
            async with bench(1, 2, policy=policy, hedge_after="0.05") as ground:
                endless = ground.ask()
                await ground.settle()
                (busy,) = ground.in_flight
                ground.at(busy)[0].answer(b"HTTP/1.1 200 OK\r\n\r\nand so on")
                self.assertEqual(ground.in_flight, {busy: 1})
                callers = [ground.ask(b"/%d" % i, b"POST") for i in range(40)]
                await ground.settle()
                spread = ground.in_flight
                self.assertLessEqual(abs(spread[1] - spread[2]), 12, (policy, spread))
                endless.leave()
                await ground.settle()
                self.assertEqual(ground.in_flight[busy], spread[busy] - 1)
                for caller in callers:
                    caller.leave()

    async def test_the_less_loaded_of_two_gets_the_next(self) -> None:
        async with bench(1, 2, policy="p2c", hedge_after="0.05") as ground:
            first = ground.ask()
            await ground.settle()
            (busy,) = ground.in_flight
            other = 3 - busy
            ground.ask(b"/x", b"POST")
            await ground.settle()
            self.assertEqual(ground.in_flight, {1: 1, 2: 1})
            await ground.later(0.051)  # the GET's hedge goes to the other one
            self.assertEqual(ground.in_flight, {busy: 1, other: 2})
            ground.ask(b"/y", b"POST")
            await ground.settle()
            self.assertEqual(ground.in_flight, {1: 2, 2: 2})
            first.leave()
