"""Tunnels over real loopback sockets. Time is given to `tick`."""

import asyncio
import contextlib
import json
import socket

from support.door_case import DoorCase, silent
from support.fake_replicas import OK, Connection, Rig, Visit, ok, reset, saying

from loadbalancer.aio.client import PIPELINE_LIMIT_BYTES, Client
from loadbalancer.aio.pipe import HALF_CLOSED_S, IDLE_S
from loadbalancer.aio.tunnel import Tunnel

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
ASK = b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n" + KEY
HANDSHAKE = b"GET /chat HTTP/1.1\r\nHost: d\r\n" + ASK + b"\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + ACCEPT + b"\r\n"
GET = b"GET /home HTTP/1.1\r\nHost: d\r\n\r\n"


def handshake(target: bytes) -> bytes:
    return HANDSHAKE.replace(b"/chat", target)


async def hold(visit: Visit) -> None:
    """Switch, then keep the connection open until the other side ends or resets."""
    visit.say(SWITCH)
    await visit.reader.read()


async def echo(visit: Visit) -> None:
    """Switch, then say back what comes, to its end."""
    visit.say(SWITCH)
    while data := await visit.reader.read(65536):
        visit.say(data)
        await visit.writer.drain()
    visit.close()


class TunnelCase(DoorCase):
    async def tunnel(self, rig: Rig, target: bytes = b"/chat") -> Connection:
        client = await rig.connect()
        client.send(handshake(target))
        self.assertIn(b" 101 ", await client.head())
        return client

    async def all_gone(self, rig: Rig) -> None:
        counters = rig.door.counters
        await rig.until(lambda: not rig.door.tunnels and not counters.upstream_connections)
        self.assertEqual((counters.tunnels, set(counters.in_flight.values())), (0, {0}))
        self.assertTrue(all(not pool.tunnels for pool in rig.door.replicas.pools.values()))

    def only(self, rig: Rig) -> Tunnel:
        (tunnel,) = rig.door.tunnels
        return tunnel

    def client_of(self, rig: Rig) -> Client:
        (client,) = rig.door._clients  # pyright: ignore[reportPrivateUsage]
        return client

    async def assert_cut(self, client: Connection) -> None:
        with self.assertRaises(ConnectionError):
            async with asyncio.timeout(5):
                await client.rest()
                self.fail("an orderly end")


class Switching(TunnelCase):
    async def test_bytes_pass_both_ways_behind_the_two_lines(self) -> None:
        rig = await self.rig(echo)
        client = await rig.connect()
        client.send(HANDSHAKE)
        head = await client.head()
        self.assertTrue(head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n" + ACCEPT))
        self.assertIn(b"\r\nX-Request-Id: ", head)
        self.assertTrue(head.endswith(b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
        sent = rig.replicas[0].visits[0].head
        self.assertTrue(sent.endswith(b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), sent)
        self.assertEqual((sent.lower().count(b"\nupgrade:"), sent.lower().count(b"\nconnection:")), (1, 1))
        self.assertIn(b"Sec-WebSocket-Version: 13\r\n" + KEY, sent)
        for word in (b"\x81\x85....hello", b"GET /rep HTTP/1.1\r\n\r\n", b"\x00" * 100_000):
            client.send(word)
            self.assertEqual(await client.reader.readexactly(len(word)), word)
        counters = rig.door.counters
        self.assertEqual((counters.tunnels, counters.in_flight[1]), (1, 1))
        self.assertEqual(counters.to_json()["requests"]["proxy"], {"1": {"1xx": 1}})
        self.assertGreater(min(counters.bytes_in, counters.bytes_out), 100_000)
        await client.close()
        await self.all_gone(rig)

    async def test_what_comes_before_the_101_waits_for_it(self) -> None:
        async def late(visit: Visit) -> None:
            await gate.wait()
            seen.append(len(visit.reader._buffer))  # type: ignore[attr-defined]
            await echo(visit)

        gate, seen = asyncio.Event(), list[int]()
        rig = await self.rig(late)
        client = await rig.connect()
        client.send(HANDSHAKE + b"early ")
        await rig.replicas[0].visited()
        client.send(b"x" * PIPELINE_LIMIT_BYTES * 4)
        await rig.until(lambda: len(self.client_of(rig).buffer) >= PIPELINE_LIMIT_BYTES)
        await rig.turns(200)
        self.assertLess(len(self.client_of(rig).buffer), PIPELINE_LIMIT_BYTES * 6)
        gate.set()
        self.assertIn(b" 101 ", await client.head())
        self.assertEqual(await client.reader.readexactly(16), b"early xxxxxxxxxx")
        await client.reader.readexactly(PIPELINE_LIMIT_BYTES * 4 - 10)
        self.assertEqual(seen, [0])

    async def test_what_comes_with_the_101(self) -> None:
        rig = await self.rig(saying(SWITCH + b"\x81\x02hi"))
        client = await self.tunnel(rig)
        self.assertEqual(await client.reader.readexactly(4), b"\x81\x02hi")

    async def test_any_protocol_and_method_with_a_body(self) -> None:
        async def attach(visit: Visit) -> None:
            visit.say(
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
            )
            visit.say(visit.body + await visit.reader.readexactly(3))

        rig = await self.rig(attach)
        client = await rig.connect()
        lines = b"Connection: Upgrade\r\nUpgrade: tcp, foo/2\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
        client.send(b"POST /exec/7/start HTTP/1.1\r\nHost: d\r\n" + lines + b"\r\n")
        self.assertEqual(await client.head(), b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"{}raw")
        self.assertIn(b"Upgrade: tcp\r\n", await client.head())
        self.assertEqual(await client.reader.readexactly(5), b"{}raw")
        self.assertIn(b"\r\nUpgrade: tcp, foo/2\r\n", rig.replicas[0].visits[0].head)

    async def test_an_offer_of_http_is_not_passed_on(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        for upgrade in (b"h2c", b"H2C", b"HTTP/2.0", b"TLS/1.0, h2c", b"two words"):
            lines = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %b\r\nHTTP2-Settings: AAMA\r\n" % upgrade
            status, head, _ = await client.get(lines=lines)
            self.assertEqual(status, 200)
            self.assertNotIn(b"Connection: close", head)
        for visit in rig.replicas[0].visits:
            self.assertNotIn(b"upgrade", visit.head.lower())
            self.assertNotIn(b"http2-settings", visit.head.lower())

    async def test_a_client_of_http_1_0_can_not_upgrade(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0"))
        self.assertEqual((await client.message())[0], 200)
        self.assertNotIn(b"Upgrade:", rig.replicas[0].visits[0].head)

    async def test_control_is_never_upgraded(self) -> None:
        rig = await self.rig(ok)
        control = await self.socket(rig, rig.door.settings.control_socket, saying(SWITCH))
        for path, status in ((b"/rep", 502), (b"/admin/live", 200)):
            client = await rig.connect()
            client.send(handshake(path))
            self.assertEqual((await client.message())[0], status)
        self.assertNotIn(b"Upgrade", control.visits[0].head)
        self.assertFalse(rig.door.tunnels)

    async def test_tries_before_an_answer_are_those_of_any_request(self) -> None:
        rig = await self.rig(reset, echo, echo)
        client = await self.tunnel(rig, rig.target_of(1))
        client.send(b"hello")
        self.assertEqual(await client.reader.readexactly(5), b"hello")
        self.assertEqual(rig.door.counters.retries, 1)
        post = await rig.connect()
        post.send(handshake(rig.target_of(1)).replace(b"GET", b"POST"))
        self.assertEqual((await post.message())[0], 502)

    async def test_a_bound_on_connections_is_none_on_tunnels(self) -> None:
        rig = await self.rig(hold, upstream_connections=1, upstream_queue=1)
        for _ in range(3):
            await self.tunnel(rig)
        rig.replicas[0].answer = ok
        self.assertEqual((await (await rig.connect()).get())[0], 200)
        self.assertEqual(rig.door.counters.in_flight[1], 3)


class Disbelieving(TunnelCase):
    async def assert_502(self, asked: bytes, answered: bytes, reason: str) -> None:
        rig = await self.rig(saying(answered))
        client = await rig.connect()
        client.send(asked)
        status, head, body = await client.message()
        self.assertEqual(status, 502)
        self.assertEqual(b"Connection: close\r\n" in head, asked is HANDSHAKE)
        self.assertEqual(json.loads(body)["message"], f"<Error> the server replica gave a {reason}")
        await rig.until(lambda: not rig.door.counters.upstream_connections)
        self.assertEqual((rig.door.counters.in_flight[1], len(rig.door.tunnels)), (0, 0))

    async def test_unasked(self) -> None:
        await self.assert_502(GET, SWITCH, "101 that nobody asked for")
        h2c = b"GET / HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        await self.assert_502(h2c, SWITCH, "101 that nobody asked for")

    async def test_for_another_protocol(self) -> None:
        other = SWITCH.replace(b"websocket", b"h2c")
        await self.assert_502(HANDSHAKE, other, "101 for a protocol that was not offered")

    async def test_without_its_lines(self) -> None:
        for missing in (b"Connection: Upgrade\r\n", b"Upgrade: websocket\r\n"):
            await self.assert_502(HANDSHAKE, SWITCH.replace(missing, b"", 1), "101 without Upgrade")
        await self.assert_502(HANDSHAKE, SWITCH.replace(b"HTTP/1.1", b"HTTP/1.0"), "101 without Upgrade")

    async def test_a_status_that_is_no_handshake(self) -> None:
        forged = SWITCH.replace(b"s3pP", b"AAAA")
        await self.assert_502(HANDSHAKE, forged, "101 without the Sec-WebSocket-Accept of this handshake")

    async def test_with_a_body(self) -> None:
        framed = SWITCH.replace(b"Upgrade: w", b"Content-Length: 5\r\nUpgrade: w")
        await self.assert_502(HANDSHAKE, framed, "bad response: a 101 with a body")

    async def test_before_the_body_is_there(self) -> None:
        """A replica that does not read it would take the rest of it for the new protocol's first bytes."""
        rig = await self.rig(saying(SWITCH))
        client = await rig.connect()
        client.send(HANDSHAKE[:-2].replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel")
        status, _, body = await client.message()
        self.assertEqual(status, 502)
        self.assert_failure(body, "the server replica gave a 101 before it had the request's body")


class Refused(TunnelCase):
    REFUSAL = (
        b"HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: WebSocket, h2c\r\n"
        b"Sec-WebSocket-Version: 13\r\nContent-Length: 2\r\n\r\nno"
    )

    async def test_what_comes_behind_a_refused_upgrade_is_nobody_s_request(self) -> None:
        """WebSocket smuggling: a handshake of a wrong version, answered 426, with a request for the replica behind."""
        rig = await self.rig(saying(self.REFUSAL))
        client = await rig.connect()
        wrong = HANDSHAKE.replace(b"Version: 13", b"Version: 1337")
        client.send(wrong + b"GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, head, body = await client.message()
        self.assertEqual((status, body), (426, b"no"))
        self.assertIn(b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", head)
        self.assertIn(b"\r\nConnection: close\r\n", head)
        client.send(GET)
        self.assertEqual(await client.rest(), b"")
        self.assertEqual(len(rig.replicas[0].visits), 1)
        self.assertFalse(rig.door.tunnels)

    async def test_a_replica_that_switched_all_the_same_is_left(self) -> None:
        """Its connection is not used again: it may not read what follows as we mean it."""
        rig = await self.rig(saying(OK))
        for answer in (self.REFUSAL, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", OK):
            rig.replicas[0].answer = saying(answer)
            client = await rig.connect()
            client.send(HANDSHAKE)
            await client.message()
            self.assertEqual(await client.rest(), b"")
        self.assertEqual(rig.replicas[0].connections, 3)
        await rig.until(lambda: not rig.door.counters.upstream_connections)

    async def test_the_head_that_came_is_not_spoilt_by_it(self) -> None:
        """Connections remember heads that repeat; an offer that does not pass leaves no trace in them."""
        rig = await self.rig(ok)
        client = await rig.connect()
        lines = b"Connection: keep-alive, upgrade\r\nUpgrade: h2c\r\n"
        for _ in range(3):
            self.assertEqual((await client.get(lines=lines))[0], 200)

    async def test_an_upgrade_that_is_never_answered(self) -> None:
        rig = await self.rig(silent)
        client = await rig.connect()
        client.send(HANDSHAKE + b"early")
        await rig.replicas[0].visited()
        rig.later(61, ticks=1)
        self.assertEqual((await client.message())[0], 504)
        self.assertEqual(await client.rest(), b"")


class Flowing(TunnelCase):
    LIMIT_BYTES = 1 << 20

    async def test_a_client_ends_its_side(self) -> None:
        async def last_word(visit: Visit) -> None:
            visit.say(SWITCH)
            said = await visit.reader.read()
            await gate.wait()
            visit.say(b"you said " + said)
            visit.close()

        gate = asyncio.Event()
        rig = await self.rig(last_word)
        client = await self.tunnel(rig)
        client.send(b"bye")
        client.writer.write_eof()
        await rig.turns(100)
        gate.set()
        self.assertEqual(await client.rest(), b"you said bye")
        await self.all_gone(rig)

    async def test_a_replica_ends_its_side(self) -> None:
        async def deaf(visit: Visit) -> None:
            visit.say(SWITCH + b"bye")
            visit.writer.write_eof()
            heard.append(await visit.reader.read())

        heard: list[bytes] = []
        rig = await self.rig(deaf)
        client = await self.tunnel(rig)
        self.assertEqual(await client.rest(), b"bye")
        client.send(b"still here")
        client.writer.write_eof()
        await self.all_gone(rig)
        await rig.until(lambda: heard == [b"still here"])

    async def test_a_client_that_had_ended_its_side_before_the_101(self) -> None:
        async def late(visit: Visit) -> None:
            await gate.wait()
            await echo(visit)

        gate = asyncio.Event()
        rig = await self.rig(late)
        client = await rig.connect()
        client.send(HANDSHAKE + b"all")
        client.writer.write_eof()
        await rig.until(lambda: bool(rig.door._clients) and self.client_of(rig).eof)  # pyright: ignore[reportPrivateUsage]
        gate.set()
        self.assertTrue((await client.rest()).endswith(b"\r\n\r\nall"))
        await self.all_gone(rig)

    async def test_a_reset_of_the_client_is_a_reset_for_the_replica(self) -> None:
        async def wait(visit: Visit) -> None:
            visit.say(SWITCH)
            try:
                await visit.reader.read()
            except ConnectionResetError:
                resets.append(True)
                raise

        resets: list[bool] = []
        rig = await self.rig(wait)
        client = await self.tunnel(rig)
        client.reset()
        await self.all_gone(rig)
        await rig.until(lambda: resets == [True])

    async def test_a_reset_of_the_replica_is_a_reset_for_the_client(self) -> None:
        async def break_off(visit: Visit) -> None:
            visit.say(SWITCH)
            await visit.reader.readexactly(2)
            connection = visit.writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            visit.reset()

        rig = await self.rig(break_off)
        client = await self.tunnel(rig)
        client.send(b"go")
        await self.assert_cut(client)
        await self.all_gone(rig)

    async def test_a_client_that_does_not_read_stops_the_replica(self) -> None:
        rig = await self.rig(self.endless)
        client = await self.tunnel(rig)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await self.settled(rig, lambda: rig.door.counters.bytes_out)
        self.assertLess(self.waiting(rig), self.LIMIT_BYTES)
        passed = rig.door.counters.bytes_out
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await client.reader.readexactly(passed + self.LIMIT_BYTES)
        client.reset()
        await self.all_gone(rig)

    async def test_a_replica_that_does_not_read_stops_the_client(self) -> None:
        async def deaf(visit: Visit) -> None:
            visit.say(SWITCH)
            await gate.wait()
            heard.append(len(await visit.reader.readexactly(size)))
            visit.say(b"done")

        gate, heard, size = asyncio.Event(), list[int](), 32 << 20
        rig = await self.rig(deaf)
        client = await self.tunnel(rig)
        client.send(b"x" * size)
        await self.settled(rig, lambda: rig.door.counters.bytes_in)
        self.assertLess(self.waiting(rig), self.LIMIT_BYTES)
        gate.set()
        self.assertEqual(await client.reader.readexactly(4), b"done")

    async def test_a_client_that_does_not_read_when_the_tunnel_opens(self) -> None:
        rig = await self.rig(self.endless)
        client = await rig.connect()
        client.send(GET.replace(b"\r\n\r\n", b"\r\n" + ASK + b"\r\n"))
        await rig.until(lambda: bool(rig.door.replicas.pools[1].connecting))
        stalled = self.client_of(rig)
        stalled.pause_writing()
        await rig.until(lambda: bool(rig.door.tunnels))
        await self.settled(rig, lambda: rig.door.counters.bytes_out)
        self.assertLess(rig.door.counters.bytes_out, self.LIMIT_BYTES)
        stalled.transport.get_protocol().resume_writing()  # type: ignore[attr-defined]
        await client.reader.readexactly(self.LIMIT_BYTES)
        client.reset()

    async def test_a_replica_that_does_not_read_when_the_tunnel_opens(self) -> None:
        async def late(visit: Visit) -> None:
            await gate.wait()
            await echo(visit)

        gate = asyncio.Event()
        rig = await self.rig(late)
        client = await rig.connect()
        client.send(HANDSHAKE)
        await rig.replicas[0].visited()
        (upstream,) = rig.door.replicas.pools[1].connections
        upstream.pause_writing()
        gate.set()
        self.assertIn(b" 101 ", await client.head())
        client.send(b"hello")
        await rig.turns(100)
        self.assertEqual(rig.door.counters.bytes_in, len(HANDSHAKE))
        upstream.transport.get_protocol().resume_writing()  # type: ignore[attr-defined]
        self.assertEqual(await client.reader.readexactly(5), b"hello")

    async def endless(self, visit: Visit) -> None:
        visit.say(SWITCH)
        while True:
            visit.say(b"a" * 64_000)
            await visit.writer.drain()

    def waiting(self, rig: Rig) -> int:
        """Bytes that wait in this process for either side of its one tunnel."""
        tunnel = self.only(rig)
        ends = (tunnel.near, tunnel.far)
        return sum(end.transport.get_write_buffer_size() for end in ends)

    async def settled(self, rig: Rig, count: object) -> None:
        """Until nothing has moved for many turns."""
        last, still = -1, 0
        while still < 300:
            now = count()  # type: ignore[operator]
            last, still = now, still + 1 if now == last else 0
            await asyncio.sleep(0)


class Ending(TunnelCase):
    async def test_only_an_hour_of_silence_ends_it(self) -> None:
        rig = await self.rig(echo)
        client = await self.tunnel(rig)
        rig.later(0)
        for seconds in (61, 76, IDLE_S - 1):  # the time-outs of requests and of clients, and the last second
            rig.later(seconds)
        client.send(b"hello")
        self.assertEqual(await client.reader.readexactly(5), b"hello")
        rig.later(IDLE_S + 1)
        rig.later(2 * IDLE_S)
        self.assertTrue(rig.door.tunnels)
        rig.later(2 * IDLE_S + 2)
        await self.assert_cut(client)
        await self.all_gone(rig)

    async def test_one_side_alone_has_a_minute(self) -> None:
        rig = await self.rig(hold)
        client = await self.tunnel(rig)
        rig.replicas[0].close_connections()
        self.assertEqual(await client.rest(), b"")
        rig.later(0)
        rig.later(HALF_CLOSED_S - 1)
        self.assertTrue(rig.door.tunnels)
        rig.later(HALF_CLOSED_S + 1)
        await self.all_gone(rig)

    async def test_a_replica_that_was_killed(self) -> None:
        rig = await self.rig(hold)
        client = await self.tunnel(rig)
        client.send(b"never read")
        await rig.until(lambda: rig.door.counters.bytes_in > len(HANDSHAKE))
        await rig.replicas[0].stop()
        client.send(b"nor this")
        with contextlib.suppress(ConnectionError):  # an end or a reset, as the kernel had it
            await client.rest()
        await client.close()
        await self.all_gone(rig)
        await rig.replicas[0].start()

    async def test_a_replica_that_drains_keeps_it_for_the_drain_timeout(self) -> None:
        rig = await self.rig(echo, ok)
        client = await self.tunnel(rig, rig.target_of(1))
        rig.publish(S1={"routable": False, "draining": True})
        rig.later(0)
        rig.later(29)
        client.send(b"hello")
        self.assertEqual(await client.reader.readexactly(5), b"hello")
        self.assertEqual(rig.said, [])
        rig.later(31)
        await self.assert_cut(client)
        await self.all_gone(rig)
        rig.later(31)
        self.assertEqual([word["type"] for word in rig.said], ["drained"])

    async def test_one_that_does_not_drain_any_more_keeps_it(self) -> None:
        rig = await self.rig(echo, ok)
        client = await self.tunnel(rig, rig.target_of(1))
        rig.publish(S1={"routable": False, "draining": True})
        rig.later(0)
        rig.publish()
        rig.later(20)
        rig.publish(S1={"routable": False, "draining": True})
        rig.later(40)
        client.send(b"hello")
        self.assertEqual(await client.reader.readexactly(5), b"hello")

    async def test_an_instance_that_has_left_takes_it_along(self) -> None:
        rig = await self.rig(hold, ok)
        client = await self.tunnel(rig, rig.target_of(1))
        rig.publish(S1={"name": "S1b"})
        await self.assert_cut(client)
        await self.all_gone(rig)
        rig.later(0)
        self.assertEqual(rig.door.replicas._retired, [])  # pyright: ignore[reportPrivateUsage]

    async def test_one_that_fails_its_heartbeats_keeps_it(self) -> None:
        """It may be slow; when it is replaced, its tunnels end."""
        rig = await self.rig(echo, ok)
        client = await self.tunnel(rig, rig.target_of(1))
        rig.publish(S1={"routable": False})
        client.send(b"hello")
        self.assertEqual(await client.reader.readexactly(5), b"hello")

    async def test_a_worker_that_drains_cuts_it_at_the_drain_timeout(self) -> None:
        rig = await self.rig(echo)
        ended = asyncio.Event()
        rig.door.on_empty = ended.set
        client = await self.tunnel(rig)
        rig.door.drain(asyncio.get_running_loop().time())
        rig.later(29)
        client.send(b"hello")
        self.assertEqual(await client.reader.readexactly(5), b"hello")
        rig.later(31)
        await self.assert_cut(client)
        await ended.wait()
        await self.all_gone(rig)

    async def test_its_client_counts_until_it_ends(self) -> None:
        rig = await self.rig(hold, clients=1)
        client = await self.tunnel(rig)
        refused = await rig.connect()
        self.assertIn(b"503 ", await refused.rest())
        await refused.close()
        client.reset()
        await rig.until(lambda: rig.door.counters.client_connections == 0)
        await self.tunnel(rig)
