import asyncio
import shutil
import socket
import tempfile
import unittest
from pathlib import Path

from support.fake_replicas import Connection

from analysis.chaos.asks import KIB, Ask
from analysis.chaos.replica import Replica
from loadbalancer.spawn.listeners import free_port

LASTS = "lasts=3600"


class ReplicaCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.port = (
            free_port()
        )  # as a replica gets it: Linux keeps a port past `shut` only if it was asked for by number
        listener = socket.create_server(("127.0.0.1", self.port))
        self.addCleanup(listener.close)
        self.replica = Replica("S1", listener, self.folder)
        await self.replica.open()
        self.addAsyncCleanup(self.replica.close)
        self.client = await self.connect()

    async def connect(self) -> Connection:
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self.port))
        self.addAsyncCleanup(connection.close)
        return connection

    def send(self, ask: Ask) -> None:
        length = f"Content-Length: {len(ask.upload)}\r\n" if ask.upload else ""
        lines = f"{ask.method} {ask.path} HTTP/1.1\r\nHost: S1\r\nX-Request-Id: {ask.id}\r\n{length}\r\n"
        self.client.send(lines.encode() + ask.upload)

    async def order(self, kind: str, given: str = LASTS) -> None:
        other = await self.connect()
        other.send(f"POST /fault/{kind}?{given} HTTP/1.1\r\nHost: S1\r\n\r\n".encode())
        self.assertEqual((await other.message())[0], 200)

    @property
    def log(self) -> str:
        return (self.folder / f"S1@{self.port}.log").read_text()


class Work(ReplicaCase):
    async def test_answers_follow_from_the_id_and_are_logged_before(self) -> None:
        for ask in (Ask("a", "GET", 100), Ask("b", "PUT", 100), Ask("c", "POST", 100), Ask("d", "DELETE", 100)):
            self.send(ask)
            head = await self.client.head()
            self.assertTrue(self.log.endswith(f"{ask.id}\n"))
            self.assertIn(b"\r\nX-Replica: S1\r\n", head)
            self.assertEqual(await self.client.reader.readexactly(len(ask.answer)), ask.answer)
        self.assertEqual(self.log, "a\nb\nc\nd\n")

    async def test_head_and_chunks(self) -> None:
        self.send(Ask("a", "HEAD", 100))
        self.assertIn(b"\r\nContent-Length: 100\r\n", await self.client.head())
        ask = Ask("b", "GET", 20 * KIB, chunked=True)
        self.send(ask)
        self.assertIn(b"\r\nTransfer-Encoding: chunked\r\n", await self.client.head())
        first, second = ask.answer[: 16 * KIB], ask.answer[16 * KIB :]
        framed = b"4000\r\n%b\r\n1000\r\n%b\r\n0\r\n\r\n" % (first, second)
        self.assertEqual(await self.client.reader.readexactly(len(framed)), framed)

    async def test_an_unfinished_upload_is_not_acted_on(self) -> None:
        self.client.send(b"PUT /keep HTTP/1.1\r\nHost: S1\r\nX-Request-Id: a\r\nContent-Length: 2\r\n\r\nx")
        await self.client.close()
        self.client = await self.connect()
        self.send(Ask("b", "GET", 1))
        await self.client.message()
        self.assertEqual(self.log, "b\n")

    async def test_heartbeats_are_no_work(self) -> None:
        self.assertEqual((await self.client.get(b"/heartbeat"))[0], 200)
        self.assertEqual(self.log, "")


class Faults(ReplicaCase):
    async def test_drop_acts_and_closes(self) -> None:
        await self.order("drop")
        self.send(Ask("a", "POST", 10))
        self.assertEqual(await self.client.rest(), b"")
        self.assertEqual(self.log, "a\n")

    async def test_tear_closes_within_the_body(self) -> None:
        await self.order("tear")
        self.send(Ask("a", "GET", 100))
        head, _, body = (await self.client.rest()).partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: 100", head)
        self.assertTrue(0 < len(body) < 100)

    async def test_tear_closes_within_chunks(self) -> None:
        await self.order("tear")
        self.send(Ask("a", "GET", 100, chunked=True))
        answer = await self.client.rest()
        self.assertFalse(answer.endswith(b"0\r\n\r\n"))
        self.assertIn(b"\r\n\r\n64\r\n", answer)

    async def test_an_answer_without_a_body_has_nothing_to_tear(self) -> None:
        await self.order("tear")
        self.assertEqual((await self.client.get(b"/heartbeat"))[0], 200)

    async def test_reset(self) -> None:
        self.assertEqual((await self.client.get(b"/heartbeat"))[0], 200)
        await self.order("reset")
        with self.assertRaises(ConnectionResetError):
            await self.client.rest()

    async def test_shut_refuses_and_opens_again_on_the_same_port(self) -> None:
        await self.order("shut")
        with self.assertRaises(ConnectionRefusedError):
            while True:  # until the order that was answered is carried out
                await self.connect()
        self.assertEqual((await self.client.get(b"/heartbeat"))[0], 200)
        await self.replica.open()
        self.client = await self.connect()
        self.assertEqual((await self.client.get(b"/heartbeat"))[0], 200)

    async def test_deaf_reads_nothing_of_old_and_new_connections(self) -> None:
        self.assertEqual((await self.client.get(b"/heartbeat"))[0], 200)
        await self.order("deaf")
        fresh = await self.connect()
        for connection in (self.client, fresh):
            connection.send(b"GET /heartbeat HTTP/1.1\r\nHost: S1\r\n\r\n")
        for _ in range(20):
            await asyncio.sleep(0)
        self.assertEqual(self.log, "")
        self.replica.read_on()
        for connection in (self.client, fresh):
            self.assertEqual((await connection.message())[0], 200)

    async def test_slow_is_slower_by_up_to_its_strength(self) -> None:
        self.assertEqual(self.replica.mood.delay_s(), 0)
        await self.order("slow", LASTS + "&strength=0.25")
        delays = [self.replica.mood.delay_s() for _ in range(500)]
        self.assertTrue(0 <= min(delays) < 0.1 < 0.2 < max(delays) <= 0.25)

    async def test_a_fault_ends_by_itself(self) -> None:
        await self.order("drop", "lasts=0")
        self.send(Ask("a", "GET", 1))
        self.assertEqual((await self.client.message())[0], 200)
