"""`server.aio.queue` on a disk in memory: what is put aside, and how a failed sync ends (R3, R8)."""

import asyncio
import unittest
import uuid
from contextlib import suppress
from dataclasses import replace
from unittest.mock import patch

from server.aio.queue import Queue, clock
from server.disk.memory import MemoryDisk
from server.log_dirs import create_partition
from server.storage import StorageError
from tests.support.broker_world import ME, TOPIC_ID, batch
from wire.batches import crc32c, read_header
from wire.cluster import Image
from wire.errors import ErrorCode


def image(*, leader_epoch: int = 0) -> Image:
    state = {"replicas": [ME], "isr": [ME], "leader": ME, "leader_epoch": leader_epoch, "partition_epoch": leader_epoch}
    topic = {"type": "topic", "name": "t", "id": TOPIC_ID, "configs": {}}
    return Image().with_records([topic, {"type": "partition", "topic": TOPIC_ID, "partition": 0, **state}], 1, 1)


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

    async def test_a_log_that_can_t_be_compacted_is_served_all_the_same(self) -> None:
        """A topic that became a compacted one, with records of which only their producer knows how they are packed."""
        queue = await self.start()
        partition = queue.broker.find("t", 0)
        assert partition is not None and partition.log is not None
        log = partition.log
        log.settings = replace(log.settings, compacts=True, deletes=False, min_dirty_ratio=0.0)
        unreadable = batch(b"x")
        unreadable[-3:] = b"\xff\xff\xff"
        unreadable[17:21] = crc32c(unreadable, 21, len(unreadable)).to_bytes(4, "big")
        for records in (unreadable, batch(b"y")):
            partition.append(records, read_header(records), clock())
            log.roll()
            partition.appended(clock())
            await queue.synced(partition)
        with self.assertLogs("carousel.queue", "WARNING"):
            async with asyncio.timeout(10):
                while not log.is_uncleanable:
                    queue._compact_next()
                    await asyncio.sleep(0.005)
        self.assertTrue(queue.is_sound)
        records = batch(b"z")
        self.assertEqual(partition.append(records, read_header(records), clock()).base_offset, 2)
        self.assertIn("uncleanable_partitions_count 1", queue.metrics_text())
        await queue.stop()

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
