import asyncio
import socket

from support.door_case import DoorCase, silent
from support.fake_replicas import OK, Connection, Rig, Visit, ok, saying

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
