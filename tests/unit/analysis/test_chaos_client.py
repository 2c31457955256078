import asyncio
import itertools
import unittest
from time import monotonic

from support.fake_replicas import Answerer, FakeReplica, Visit, reset, saying

from analysis.chaos.asks import Ask, checksum, draw
from analysis.chaos.client import IDLE_S, PATIENCE_S, Client
from analysis.chaos.facts import Ending, Record

ASK = Ask("id-1", "GET", 2)
HEAD = b"HTTP/1.1 200 OK\r\nX-Request-Id: id-1\r\nX-Replica: S1\r\nContent-Length: 2\r\n\r\n"


class ClientCase(unittest.IsolatedAsyncioTestCase):
    async def client(self, answer: Answerer) -> Client:
        self.server = FakeReplica(answer)
        await self.server.start()
        self.addAsyncCleanup(self.server.stop)
        client = Client(self.server.port)
        self.addCleanup(lambda: [connection.transport.abort() for connection in client.connections])
        return client

    async def asked(self, client: Client, ask: Ask = ASK) -> Record:
        count = len(client.records)
        client.ask(ask, monotonic())
        await self.until(lambda: len(client.records) > count)
        return client.records[-1]

    async def until(self, condition: object) -> None:
        assert callable(condition)
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0)


class Endings(ClientCase):
    async def test_whole(self) -> None:
        client = await self.client(saying(HEAD + b"ok"))
        record = await self.asked(client)
        self.assertEqual((record.ending, record.status, record.answer_id), (Ending.WHOLE, 200, "id-1"))
        self.assertEqual((record.replica, record.length, record.size), ("S1", 2, 2))
        self.assertEqual(record.checksum, checksum(b"ok"))

    async def test_chunked(self) -> None:
        client = await self.client(
            saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n")
        )
        record = await self.asked(client)
        self.assertEqual((record.ending, record.length, record.checksum), (Ending.WHOLE, -1, checksum(b"ok")))

    async def test_cut(self) -> None:
        async def halve(visit: Visit) -> None:
            visit.say(HEAD + b"o")
            visit.close()

        record = await self.asked(await self.client(halve))
        self.assertEqual((record.ending, record.status, record.replica, record.checksum), (Ending.CUT, 200, "S1", ""))

    async def test_lost_and_not_tried_again(self) -> None:
        record = await self.asked(await self.client(reset))
        self.assertEqual((record.ending, record.status, len(self.server.visits)), (Ending.LOST, 0, 1))

    async def test_no_connection(self) -> None:
        client = await self.client(reset)
        await self.server.stop()
        self.assertEqual((await self.asked(client)).ending, Ending.REFUSED)

    async def test_no_http(self) -> None:
        self.assertEqual((await self.asked(await self.client(saying(b"hello\r\n\r\n")))).ending, Ending.BROKEN)

    async def test_left(self) -> None:
        async def begin(visit: Visit) -> None:
            visit.say(HEAD)
            await visit.reader.read(1)

        record = await self.asked(await self.client(begin), Ask("id-1", "GET", 2, leaves=True))
        self.assertEqual((record.ending, record.status), (Ending.LEFT, 200))

    async def test_too_slow(self) -> None:
        async def silent(visit: Visit) -> None:
            await visit.reader.read(1)

        client = await self.client(silent)
        client.ask(ASK, monotonic() - 2)
        await self.server.visited()
        self.assertGreater(client.late_s, 2)
        client.sweep(monotonic() + PATIENCE_S - 1)
        self.assertEqual(client.records, [])
        client.sweep(monotonic() + PATIENCE_S)
        self.assertEqual(client.records[0].ending, Ending.TOO_SLOW)


class Connections(ClientCase):
    async def test_the_last_used_is_used_next_unless_idle_for_long(self) -> None:
        client = await self.client(saying(HEAD + b"ok"))
        await self.asked(client)
        await self.asked(client)
        self.assertEqual(self.server.connections, 1)
        next(iter(client.idle)).idle_since -= IDLE_S
        await self.asked(client)
        self.assertEqual(self.server.connections, 2)

    async def test_past_the_limit_requests_wait(self) -> None:
        async def wait(visit: Visit) -> None:
            await gate.wait()
            visit.say(HEAD + b"ok")

        gate = asyncio.Event()
        client = await self.client(wait)
        client = Client(self.server.port, connections=2)
        self.addCleanup(lambda: [connection.transport.abort() for connection in client.connections])
        for _ in range(5):
            client.ask(ASK, monotonic())
        await self.server.visited(2)
        self.assertEqual((self.server.connections, client.records), (2, []))
        gate.set()
        await self.until(lambda: len(client.records) == 5)
        self.assertEqual(self.server.connections, 2)

    async def test_a_place_becomes_free_when_a_connection_ends(self) -> None:
        await self.client(reset)
        client = Client(self.server.port, connections=1)
        for _ in range(3):
            client.ask(ASK, monotonic())
        await self.until(lambda: len(client.records) == 3)
        self.assertEqual(self.server.connections, 3)

    async def test_and_when_none_can_be_made(self) -> None:
        await self.client(reset)
        await self.server.stop()
        client = Client(self.server.port, connections=1)
        for _ in range(3):
            client.ask(ASK, monotonic())
        await self.until(lambda: len(client.records) == 3)

    async def test_none_is_kept_after_connection_close(self) -> None:
        client = await self.client(saying(HEAD.replace(b"X-Replica: S1", b"Connection: close") + b"ok"))
        await self.asked(client)
        self.assertEqual(client.idle, {})

    async def test_a_refusal_before_anything_was_asked(self) -> None:
        """What a front door with too many connections says."""

        async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        self.addAsyncCleanup(server.wait_closed)
        self.addCleanup(server.close)
        client = Client(server.sockets[0].getsockname()[1])
        record = await self.asked(client)
        self.assertEqual((record.ending, record.status, client.strays), (Ending.WHOLE, 503, []))

    async def test_an_answer_that_comes_twice_at_once(self) -> None:
        client = await self.client(saying((HEAD + b"ok") * 2))
        self.assertEqual((await self.asked(client)).ending, Ending.WHOLE)
        self.assertEqual([stray.data for stray in client.strays], [HEAD + b"ok"])

    async def test_an_answer_that_comes_again_later(self) -> None:
        client = await self.client(saying(HEAD + b"ok"))
        await self.asked(client)
        self.server.visits[0].say(HEAD + b"ok")
        await self.until(lambda: client.strays)
        self.assertEqual(client.strays[0].data, HEAD + b"ok")
        await self.until(lambda: not client.idle)


class Uploads(ClientCase):
    async def test_in_one_or_in_parts_the_same_bytes(self) -> None:
        client = await self.client(saying(HEAD + b"ok"))
        for slow in (False, True):
            ask = Ask("id-1", "PUT", 1000, slow=slow)
            await self.asked(client, ask)
            visit = self.server.visits[-1]
            self.assertEqual(visit.body, ask.upload)
            self.assertIn(b"\r\ncontent-length: 1000\r\n", visit.head.lower())
            self.assertIn(b"\r\nx-request-id: id-1\r\n", visit.head.lower())

    async def test_an_answer_before_its_end(self) -> None:
        async def hasty(visit: Visit) -> None:
            visit.say(HEAD + b"ok")

        client = await self.client(hasty)
        ask = Ask("id-1", "PUT", 200_000, slow=True)  # too large for the fake to wait for
        record = await self.asked(client, ask)
        self.assertEqual((record.ending, client.idle), (Ending.WHOLE, {}))


class Loads(ClientCase):
    async def test_all_are_sent_and_ended(self) -> None:
        client = await self.client(saying(HEAD + b"ok"))
        await client.load((Ask(f"id-{i}", "GET", 2) for i in itertools.count()), 5000, 50)
        self.assertEqual(sorted(record.ask.id for record in client.records), sorted(f"id-{i}" for i in range(50)))
        dues = sorted(record.due for record in client.records)
        self.assertAlmostEqual(dues[-1] - dues[0], 49 / 5000)

    async def test_every_sort_of_the_mix_can_be_sent(self) -> None:
        client = await self.client(reset)
        await client.load(draw(1), 5000, 100)
        self.assertLessEqual({record.ending for record in client.records}, {Ending.LOST, Ending.LEFT})
