import asyncio
import contextlib
import json
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any

from loadbalancer.aio.feed_server import FeedServer
from loadbalancer.snapshot import Epoch, Member, Snapshot

LIMIT_S = 10.0


def snapshot(version: int, draining: bool = False) -> Snapshot:
    return Snapshot(Epoch(1, version), (Member(1, 1, "S1", "127.0.0.1", 80, draining=draining),))


class Worker:
    """A data-path worker's end of the feed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, path: Path, slot: int = 0, hello: bool = True) -> "Worker":
        worker = cls(*await asyncio.open_unix_connection(str(path)))
        if hello:
            worker.say(type="hello", slot=slot, pid=1000 + slot, epoch=[0, 0])
        return worker

    def say(self, **message: Any) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        return json.loads(await asyncio.wait_for(self.reader.readline(), LIMIT_S))


class FeedServerTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        self.path = directory / "feed.sock"
        self.drained: asyncio.Queue[str] = asyncio.Queue()
        self.words: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.counters: asyncio.Queue[tuple[int, dict[str, Any], bool]] = asyncio.Queue()
        self.feed = FeedServer(
            self.drained.put_nowait, self.words.put_nowait, lambda *given: self.counters.put_nowait(given)
        )
        await self.feed.start(self.path)
        self.addAsyncCleanup(self.feed.close)
        self.workers: list[Worker] = []

    async def asyncTearDown(self) -> None:
        for worker in self.workers:
            worker.writer.close()

    async def worker(self, slot: int = 0, hello: bool = True) -> Worker:
        worker = await Worker.connect(self.path, slot, hello)
        self.workers.append(worker)
        return worker

    async def test_the_socket_is_for_its_owner_only(self) -> None:
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    async def test_a_worker_gets_the_newest_snapshot_at_once_and_the_next(self) -> None:
        self.feed.publish(snapshot(1))
        self.feed.publish(snapshot(2))
        worker = await self.worker()
        self.assertEqual((await worker.hear())["epoch"], [1, 2])
        self.feed.publish(snapshot(3))
        heard = await worker.hear()
        self.assertEqual((heard["type"], heard["epoch"], heard["members"][0]["name"]), ("snapshot", [1, 3], "S1"))

    async def test_drained_when_both_have_said_so(self) -> None:
        self.feed.publish(snapshot(1))
        workers = [await self.worker(0), await self.worker(1)]
        for worker in workers:
            await worker.hear()
        self.feed.publish(snapshot(2, draining=True))
        workers[0].say(type="drained", node_id=1, name="S1", epoch=[1, 2])
        workers[0].say(type="counters", n=1)
        await asyncio.wait_for(self.counters.get(), LIMIT_S)
        self.assertTrue(self.drained.empty())
        workers[1].say(type="drained", node_id=1, name="S1", epoch=[1, 2])
        self.assertEqual(await asyncio.wait_for(self.drained.get(), LIMIT_S), "S1")

    async def test_a_worker_that_dies_holds_no_leaver_up(self) -> None:
        worker = await self.worker()
        self.feed.publish(snapshot(1, draining=True))
        await worker.hear()
        worker.writer.close()
        self.assertEqual(await asyncio.wait_for(self.drained.get(), LIMIT_S), "S1")

    async def test_an_ejection_reaches_the_others_only(self) -> None:
        first, second = await self.worker(0), await self.worker(1)
        self.feed.publish(snapshot(1))
        await first.hear(), await second.hear()
        first.say(type="ejected", node_id=1, name="S1", reason="refused")
        self.assertEqual(await second.hear(), {"type": "eject", "node_id": 1, "name": "S1", "reason": "refused"})
        self.assertEqual((await asyncio.wait_for(self.words.get(), LIMIT_S))["type"], "ejected")
        self.feed.publish(snapshot(2))
        self.assertEqual((await first.hear())["type"], "snapshot")

    async def test_counters_of_a_worker_and_of_its_end(self) -> None:
        worker = await self.worker(1)
        worker.say(type="counters", retries=3)
        pid, counters, lives = await asyncio.wait_for(self.counters.get(), LIMIT_S)
        self.assertEqual((pid, counters["retries"], lives), (1001, 3, True))
        worker.writer.close()
        pid, counters, lives = await asyncio.wait_for(self.counters.get(), LIMIT_S)
        self.assertEqual((pid, counters["retries"], lives), (1001, 3, False))

    async def test_settled_when_all_have_applied_the_newest(self) -> None:
        self.assertTrue(await self.feed.settled(0))
        workers = [await self.worker(0), await self.worker(1)]
        self.feed.publish(snapshot(1))
        for worker in workers:
            await worker.hear()
        settling = asyncio.ensure_future(self.feed.settled(LIMIT_S))
        workers[0].say(type="applied", epoch=[1, 1])
        workers[0].say(type="counters")
        await asyncio.wait_for(self.counters.get(), LIMIT_S)
        self.assertFalse(settling.done())
        self.assertFalse(await self.feed.settled(0))
        workers[1].say(type="applied", epoch=[1, 1])
        self.assertTrue(await settling)

    async def test_after_a_start_a_worker_that_is_still_away_may_use_a_leaver(self) -> None:
        feed = FeedServer(self.drained.put_nowait, self.words.put_nowait, lambda *_: None, slots=2)
        path = self.path.with_name("second.sock")
        await feed.start(path)
        self.addAsyncCleanup(feed.close)
        feed.publish(snapshot(1, draining=True))
        self.assertTrue(self.drained.empty())
        self.assertFalse(await feed.settled(0))
        for slot in (0, 1):
            self.assertTrue(self.drained.empty())
            worker = await Worker.connect(path, slot)
            self.workers.append(worker)
            await worker.hear()
            worker.say(type="drained", node_id=1, name="S1", epoch=[1, 1])
        self.assertEqual(await asyncio.wait_for(self.drained.get(), LIMIT_S), "S1")

    async def test_nonsense_ends_the_connection_and_nothing_else(self) -> None:
        for line in (b"nonsense\n", b"[]\n", b"{}\n", b'{"type": "hello"}\n', b"x" * (2 << 20)):
            worker = await self.worker(hello=False)
            worker.writer.write(line)
            with contextlib.suppress(ConnectionResetError):  # some of it lay unread
                self.assertEqual(await asyncio.wait_for(worker.reader.read(), LIMIT_S), b"")
        self.feed.publish(snapshot(1))
        worker = await self.worker()
        self.assertEqual((await worker.hear())["type"], "snapshot")

    async def test_words_of_a_newer_version_are_skipped(self) -> None:
        worker = await self.worker()
        worker.say(type="weather", sun=True)
        self.feed.publish(snapshot(1))
        self.assertEqual((await worker.hear())["type"], "snapshot")
