"""`server.aio.queue` on a disk in memory: what is put aside, and how a failed sync ends (R3, R8)."""

import asyncio
import threading
import time
import unittest
import uuid
from contextlib import suppress
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from server.aio.queue import Queue, clock
from server.disk.memory import MemoryDisk
from server.log_dirs import create_partition, topic_id_of
from server.partition import Refused, Role
from server.storage import StorageError
from tests.support.broker_world import ME, TOPIC_ID, batch
from wire.batches import crc32c, read_header
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

    async def damaged(self) -> None:
        """The disk lies: a log of ten records, all below the recovery point, has lost its segment's end."""
        queue = await self.start()
        partition = queue.broker.find("t", 0)
        assert partition is not None
        for _ in range(10):
            records = batch(b"x" * 100)
            partition.append(records, read_header(records), clock())
        await queue.stop()
        self.disk.make("t-0").open("0" * 20 + ".log").truncate(300)

    def led_by_another(self, **more: Any) -> Image:
        state = {"replicas": [ME, 2], "isr": [2], "leader": 2, "leader_epoch": 5, "partition_epoch": 5, **more}
        return image().with_records([{"type": "partition", "topic": TOPIC_ID, "partition": 0, **state}], 1, 2)

    async def test_a_damaged_log_is_rebuilt_where_nobody_counts_on_it(self) -> None:
        await self.damaged()
        queue = Queue(ME, "cluster", self.disk, NoControl())
        with self.assertLogs("carousel.queue", "ERROR"):
            await self.change(queue, self.led_by_another(elr=[ME]))
        partition = queue.broker.find("t", 0)
        assert partition is not None
        self.assertIsNotNone(partition.open_error, "what it has may still be wanted")
        with self.assertLogs("carousel.queue", "ERROR"):
            await self.change(queue, self.led_by_another(leader_epoch=6, partition_epoch=6))
        assert partition.log is not None
        self.assertIsNone(partition.open_error)
        self.assertEqual((partition.log.end_offset, queue.is_sound), (0, True))
        self.assertIs(partition.role, Role.FOLLOWER)
        self.assertEqual(sorted(name.split(".")[0] for name in self.disk.names()), ["t-0", "t-0"], "kept for a while")
        await queue.stop()

    async def test_a_damaged_log_that_is_the_only_one_stays_as_it_is(self) -> None:
        await self.damaged()
        queue = Queue(ME, "cluster", self.disk, NoControl())
        with self.assertLogs("carousel.queue", "ERROR"):
            await self.change(queue, image())
        partition = queue.broker.find("t", 0)
        assert partition is not None
        with self.assertRaises(Refused) as caught:
            partition.led()
        self.assertEqual(caught.exception.code, ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertEqual(self.disk.names(), ["t-0"])
        self.assertFalse(queue.has_failed, "another life would find it just so")
        await queue.stop()

    async def test_what_could_not_be_opened_for_want_of_room_is_tried_again(self) -> None:
        def full(operation: str, name: str) -> bool:
            raise StorageError("No space left on device", is_io=True)

        self.disk.hook = full
        queue = Queue(ME, "cluster", self.disk, NoControl())
        with self.assertLogs("carousel.queue", "ERROR"):
            await self.change(queue, image())
        self.disk.hook = lambda operation, name: False
        queue.broker.retry_opening()
        await self.change(queue, image())
        self.assertTrue(queue.is_sound)
        partition = queue.broker.find("t", 0)
        assert partition is not None
        self.assertIs(partition.role, Role.LEADER)
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
                raise StorageError("I/O error", final=True, is_io=True)
            return False

        self.disk.hook = fails
        told_failure: list[str] = []
        queue.on_disk_failed = lambda: told_failure.append("failed")
        told: asyncio.Future[ErrorCode] = asyncio.get_running_loop().create_future()
        records = batch(b"x")
        stored = partition.append(records, read_header(records), clock())
        partition.wait(stored.last_offset, clock().steady_ms + 10_000, lambda code, _: told.set_result(code))
        partition.appended(clock())
        self.assertEqual(await asyncio.wait_for(told, 10), ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertFalse(queue.is_sound)
        self.assertEqual((queue.has_failed, told_failure), (True, ["failed"]))
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
