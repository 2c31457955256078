import asyncio
import socket

from support.door_case import DoorCase, silent
from support.fake_replicas import OK, Connection, Rig, Visit, ok, saying

from loadbalancer.aio.exchange import REPEATED_LIMIT_BYTES

GET = b"GET / HTTP/1.1\r\nHost: d\r\n\r\n"
LIVE = b"GET /admin/live HTTP/1.1\r\nHost: d\r\n\r\n"


class NotReading(DoorCase):
    """A client that asks and asks and reads nothing: what waits for it is bounded."""

    LIMIT_BYTES = 1 << 20
    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"a" * 60000

    async def deaf(self, rig: Rig) -> Connection:
        client = await rig.connect()
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        return client

    def held(self, rig: Rig) -> int:
        """Bytes that wait in this process for its one client."""
        (client,) = rig.door._clients  # pyright: ignore[reportPrivateUsage]
        return client.transport.get_write_buffer_size()

    async def test_replicas_answers(self) -> None:
        rig = await self.rig(saying(self.ANSWER))
        client = await self.deaf(rig)
        for _ in range(200):
            client.send(GET)
            await rig.turns(30)
        self.assertLess(self.held(rig), self.LIMIT_BYTES)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(200):
            async with asyncio.timeout(5):
                self.assertEqual((await client.message())[0], 200)

    async def test_our_own_answers(self) -> None:
        rig = await self.rig(ok)
        client = await self.deaf(rig)
        for _ in range(60):
            client.send(LIVE * 1000)
            await rig.turns(30)
        self.assertLess(self.held(rig), self.LIMIT_BYTES)

    async def test_an_answer_that_begins_when_it_has_stalled_already(self) -> None:
        """Its replica was still being connected to, so there was nobody to pause."""

        async def endless(visit: Visit) -> None:
            visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\n")
            for _ in range(500):
                visit.say(b"a" * 64_000)
                await visit.writer.drain()

        rig = await self.rig(endless)
        client = await rig.connect()
        client.send(GET)
        await rig.until(lambda: bool(rig.door.replicas.pools[1].connecting))
        (stalled,) = rig.door._clients  # pyright: ignore[reportPrivateUsage]
        stalled.pause_writing()
        await rig.turns(2000)
        self.assertLess(rig.door.counters.bytes_out, self.LIMIT_BYTES)
        stalled.resume_writing()
        await rig.until(lambda: rig.door.counters.bytes_out > self.LIMIT_BYTES)
        client.reset()


class Leaving(DoorCase):
    async def test_pipelined_requests_are_answered_though_the_client_ended_its_side(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(GET * 3 + b"GET /half")
        client.writer.write_eof()
        answers = await client.rest()
        self.assertEqual(answers.count(b"HTTP/1.1 200 OK"), 3)
        self.assertEqual(answers.count(b"Connection: close"), 0)

    async def test_the_last_of_them_says_that_it_is_the_last(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(GET * 3)
        client.writer.write_eof()
        answers = await client.rest()
        self.assertEqual(answers.count(b"HTTP/1.1 200 OK"), 3)
        self.assertTrue(answers.endswith(b"Connection: close\r\n\r\nok"))


class Refused(DoorCase):
    async def test_an_upload_that_is_refused_counts_once(self) -> None:
        rig = await self.rig(silent)
        client = await rig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await rig.until(lambda: rig.replicas[0].connections == 1)
        client.send(b"zz\r\n")
        self.assertEqual((await client.message())[0], 400)
        requests = rig.door.counters.to_json()["requests"]["proxy"]
        self.assertEqual(sum(sum(codes.values()) for codes in requests.values()), 1, requests)


class StateOfTheWorker(DoorCase):
    async def test_only_for_reading(self) -> None:
        rig = await self.rig(ok)
        for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PURGE"):
            for path in (b"/admin/live", b"/admin/ready?x"):
                client = await rig.connect()
                client.send(b"%b %b HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\nhi" % (method, path))
                status, head, body = await client.message()
                self.assertEqual(status, 405)
                self.assertIn(b"Allow: GET, HEAD\r\n", head)
                self.assertIn(b"Connection: close\r\n", head)
                self.assert_failure(body, "method not allowed")
        client.send(GET)
        self.assertEqual(await client.rest(), b"")

    async def test_a_head_of_them_has_no_body(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(b"HEAD /admin/live HTTP/1.1\r\nHost: d\r\n\r\n" + GET)
        self.assertTrue((await client.head()).startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertEqual((await client.message())[2], b"ok")

    async def test_an_answer_reaches_a_client_that_still_sends_its_body(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(b"POST /admin/live HTTP/1.1\r\nHost: d\r\nContent-Length: 4000000\r\n\r\n")
        self.assertEqual((await client.message())[0], 405)
        client.send(b"a" * 4_000_000)
        self.assertEqual(await client.rest(), b"")


class Forwarding(DoorCase):
    """Whom the replicas and control are told about. These clients are on loopback."""

    STRANGER = b"X-Forwarded-For: 203.0.113.7\r\n"

    def lines(self, rig: Rig, name: bytes) -> list[bytes]:
        """The values of the newest request's lines of that name, at the first replica."""
        head = rig.replicas[0].visits[-1].head
        pairs = [line.partition(b": ") for line in head.split(b"\r\n")]
        return [value for found, _, value in pairs if found.lower() == name.lower()]

    async def test_who_asks_is_said_once(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        claims = (
            b"X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 7.7.7.7\r\nX-Real-IP: 8.8.8.8\r\nForwarded: for=9.9.9.9\r\n"
        )
        for lines in (b"", b"", claims, claims, b"Connection: X-Forwarded-For\r\n"):
            await client.get(lines=lines)
            self.assertEqual(self.lines(rig, b"X-Forwarded-For"), [b"127.0.0.1"])
            self.assertEqual(self.lines(rig, b"X-Forwarded-Proto"), [b"http"])
            self.assertEqual(self.lines(rig, b"X-Forwarded-Host"), [b"door"])
            self.assertEqual(self.lines(rig, b"Forwarded"), [b"for=127.0.0.1;proto=http;host=door"])
            self.assertEqual(self.lines(rig, b"Via"), [b"1.1 carousel"])
            for forged in (b"6.6.6.6", b"7.7.7.7", b"8.8.8.8", b"9.9.9.9"):
                self.assertNotIn(forged, rig.replicas[0].visits[-1].head)

    async def test_a_trusted_peer_is_believed(self) -> None:
        rig = await self.rig(ok, trusted_proxies="10.0.0.0/8,127.0.0.0/8")
        client = await rig.connect()
        for _ in range(2):
            await client.get(lines=self.STRANGER + b"X-Forwarded-Proto: https\r\n")
            self.assertEqual(self.lines(rig, b"X-Forwarded-For"), [b"203.0.113.7, 127.0.0.1"])
            self.assertEqual(self.lines(rig, b"X-Forwarded-Proto"), [b"https"])

    async def test_the_route_by_client_is_by_the_believed_one(self) -> None:
        rig = await self.rig(ok, ok, ok, route_by="client", trusted_proxies="127.0.0.1")
        client = await rig.connect()
        numbers = [number for number in range(1, 30) for _ in range(2)]
        for number in numbers:
            await client.get(lines=b"X-Forwarded-For: 203.0.113.%d\r\n" % number)
        wanted = [rig.owner(b"203.0.113.%d" % number) for number in numbers]
        for place, replica in enumerate(rig.replicas, 1):
            self.assertEqual(len(replica.visits), wanted.count(place))

    async def test_a_repeated_head_is_the_same_client_s_whatever_came_between(self) -> None:
        rig = await self.rig(ok, trusted_proxies="127.0.0.1")
        control = await self.socket(rig, rig.door.settings.control_socket, saying(OK))
        client = await rig.connect()
        long = b"A: %b\r\n" % (b"a" * REPEATED_LIMIT_BYTES)
        for _ in range(2):
            await client.get(b"/rep", b"X-Forwarded-For: 1.1.1.1\r\n")
            await client.get(b"/rep", b"X-Forwarded-For: 2.2.2.2\r\n" + long)
        told = [visit.head.partition(b"X-Real-IP: ")[2].partition(b"\r\n")[0] for visit in control.visits]
        self.assertEqual(told, [b"1.1.1.1", b"2.2.2.2"] * 2)

    async def test_control_hears_of_the_stranger_and_of_the_peer(self) -> None:
        rig = await self.rig(ok, trusted_proxies="127.0.0.1")
        control = await self.socket(rig, rig.door.settings.control_socket, saying(OK))
        client = await rig.connect()
        for claim, told in (
            (b"", b"127.0.0.1"),
            (self.STRANGER, b"203.0.113.7"),
            (b"X-Forwarded-For: 127.0.0.1, 203.0.113.7\r\n", b"203.0.113.7"),
            (b"X-Forwarded-For: garbage\r\n", b"unknown"),
            (b"X-Forwarded-For: " + b"127.0.0.1," * 1000 + b"\r\n", b"unknown"),
            (b"Forwarded: for=203.0.113.7\r\n", b"203.0.113.7"),
            (b"X-Real-IP: 203.0.113.7\r\n", b"203.0.113.7"),
        ):
            client.send(b"POST /add HTTP/1.1\r\nHost: d\r\nX-Peer-IP: 9.9.9.9\r\n%b\r\n" % claim)
            await client.message()
            head = control.visits[-1].head
            self.assertIn(b"\r\nX-Real-IP: %b\r\nX-Peer-IP: 127.0.0.1\r\n" % told, head)
            self.assertEqual((head.count(b"X-Real-IP"), head.count(b"X-Peer-IP")), (1, 1))


class OldClients(DoorCase):
    async def test_an_own_answer_to_http_1_0_says_how_it_ends(self) -> None:
        """A client of HTTP/1.0 takes a connection without `keep-alive` in the answer for one that ends."""
        rig = await self.rig()
        client = await rig.connect()
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = await client.rest()
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"Connection: close\r\n", answer)


class OddPaths(DoorCase):
    """With an own port for control, the others know none of its paths; without one, only the plain ones."""

    ODD = (b"/%72ep", b"//rep", b"/rep/", b"/./rep", b"/x/../rep", b"/rep;a", b"/REP", b"/admin%2flive", b"/rep%00")

    async def test_they_are_a_replica_s(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        for path in self.ODD:
            self.assertEqual((await client.get(path))[2], b"ok", path)
        self.assertEqual([visit.head.split()[1] for visit in rig.replicas[0].visits], list(self.ODD))

    async def test_on_the_proxy_s_port_all_are(self) -> None:
        rig = await self.rig(ok, admin=False)
        client = await rig.connect()
        for path in (*self.ODD, b"/rep", b"/admin/live", b"/metrics", b"http://door/rep", b"http://door/admin/live"):
            self.assertEqual((await client.get(path))[2], b"ok", path)

    async def test_absolute_form_is_the_same_path(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        self.assertEqual((await client.get(b"http://door/rep"))[0], 503)  # control is away
        self.assertEqual(len(rig.replicas[0].visits), 0)


class Mixing(DoorCase):
    async def test_an_answer_to_one_that_left_is_nobody_else_s(self) -> None:
        """Many clients leave in the turn in which their answers come; the others get theirs."""

        async def wait(visit: Visit) -> None:
            await gate.wait()
            visit.say(OK)

        gate = asyncio.Event()
        rig = await self.rig(wait)
        clients = [await rig.connect() for _ in range(60)]
        for client in clients:
            client.send(GET)
        await rig.replicas[0].visited(60)
        gate.set()
        for client in clients[::2]:
            client.reset()
        for client in clients[1::2]:
            async with asyncio.timeout(5):
                self.assertEqual((await client.message())[0], 200)
        await rig.until(lambda: rig.door.counters.in_flight[1] == 0)
