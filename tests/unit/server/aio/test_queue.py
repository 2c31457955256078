"""`server.aio.queue` on a disk in memory: what is put aside, and how a failed sync ends (R3, R8)."""

import asyncio
import threading
import time
import unittest
import uuid
from contextlib import suppress
from unittest.mock import patch

from server.aio.queue import Queue, clock
from server.disk.memory import MemoryDisk
from server.log_dirs import create_partition, topic_id_of
from server.storage import StorageError
from tests.support.broker_world import ME, TOPIC_ID, batch
from wire.batches import read_header
from wire.cluster import Image
from wire.errors import ErrorCode


OTHER_ID = "0" * 31 + "2"


def image(*, leader_epoch: int = 0, topic_id: str = TOPIC_ID) -> Image:
    state = {"replicas": [ME], "isr": [ME], "leader": ME, "leader_epoch": leader_epoch, "partition_epoch": leader_epoch}
    topic = {"type": "topic", "name": "t", "id": topic_id, "configs": {}}
    return Image().with_records([topic, {"type": "partition", "topic": topic_id, "partition": 0, **state}], 1, 1)


class NoControl:
    def ask(self, *_: object) -> None: ...


class QueueTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.disk = MemoryDisk()

    async def start(self) -> Queue:
        queue = Queue(ME, "cluster", self.disk, NoControl())
        queue.apply(image())
        opened = asyncio.Event()
        queue.when_opened(opened.set)
        await asyncio.wait_for(opened.wait(), 10)
        return queue

    async def test_directories_of_others_go_and_ours_stays(self) -> None:
        for name in ("t-0", "t-1", "gone-3", "x-0.1-delete"):
            create_partition(self.disk, name, uuid.UUID(TOPIC_ID))
        with patch("server.aio.queue.DELETE_DELAY_S", 0.01):
            queue = await self.start()
            queue.put_strays_aside()
        self.assertEqual(next(name for name in self.disk.names() if name.endswith("-stray")).split(".")[0], "gone-3")
        async with asyncio.timeout(10):
            while self.disk.names() != ["t-0"]:
                await asyncio.sleep(0.005)
        await queue.stop()

    async def change(self, queue: Queue, image: Image) -> None:
        queue.apply(image)
        opened = asyncio.Event()
        queue.when_opened(opened.set)
        await asyncio.wait_for(opened.wait(), 10)

    def slow_syncs(self) -> threading.Event:
        """Syncs of logs wait for the event."""
        go = threading.Event()

        def wait(operation: str, name: str) -> bool:
            if operation == "sync" and name.endswith(".log"):
                go.wait(10)
            return False

        self.disk.hook = wait
        return go

    async def test_a_topic_made_again_while_the_old_one_is_put_away(self) -> None:
        """And a replica that goes and comes back: the new log must not be renamed away with the old one."""
        for topic_id in (OTHER_ID, TOPIC_ID):
            with self.subTest(topic_id):
                self.disk = MemoryDisk()
                queue = await self.start()
                partition = queue.broker.find("t", 0)
                assert partition is not None
                go = self.slow_syncs()
                records = batch(b"old")
                partition.append(records, read_header(records), clock())
                partition.appended(clock())
                await asyncio.sleep(0)  # the sync is under way
                queue.apply(Image())
                asyncio.get_running_loop().call_later(0.05, go.set)
                await self.change(queue, image(topic_id=topic_id))
                found = queue.broker.find("t", 0)
                assert found is not None and found.log is not None
                self.assertEqual(found.log.end_offset, 0)
                await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.05)
                self.assertEqual(topic_id_of(self.disk.make("t-0")), uuid.UUID(topic_id))
                self.assertIs(self.disk.make("t-0"), found.log.directory, "nobody has renamed it")
                await queue.stop()

    async def test_the_steady_clock_goes_on_while_the_machine_is_suspended(self) -> None:
        with patch("time.clock_gettime_ns", lambda which: {time.CLOCK_BOOTTIME: 7_000_000}[which]):
            self.assertEqual(clock().steady_ms, 7)

    async def test_a_failed_sync_refuses_who_waits_and_isnt_sound(self) -> None:
        queue = await self.start()
        partition = queue.broker.find("t", 0)
        assert partition is not None

        def fails(operation: str, name: str) -> bool:
            if operation == "sync" and name.endswith(".log"):
                raise StorageError("I/O error", final=True)
            return False

        self.disk.hook = fails
        told: asyncio.Future[ErrorCode] = asyncio.get_running_loop().create_future()
        records = batch(b"x")
        stored = partition.append(records, read_header(records), clock())
        partition.wait(stored.last_offset, clock().steady_ms + 10_000, lambda code, _: told.set_result(code))
        partition.appended(clock())
        self.assertEqual(await asyncio.wait_for(told, 10), ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertFalse(queue.is_sound)
        with suppress(StorageError):
            await queue.stop()
        self.disk.hook = lambda operation, name: False
        again = await self.start()
        found = again.broker.find("t", 0)
        assert found is not None and found.log is not None
        self.assertEqual(found.log.end_offset, 0, "it was refused, so it isn't there")
        await again.stop()


if __name__ == "__main__":
    unittest.main()
