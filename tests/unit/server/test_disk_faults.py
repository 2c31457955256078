"""A full disk and a failing one, from the file to the client's answer: KAFKA_STORAGE_ERROR, and never an ack for what
isn't there (R8). The faults are real errno's, raised by the system calls that `server.disk.files` makes."""

import errno
import os
import shutil
import tempfile
import unittest
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from server.disk.files import FileDisk
from server.storage import StorageError
from tests.support.broker_world import Asked, BrokerWorld, batch
from wire.errors import ErrorCode

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
BROKEN = OSError(errno.EIO, os.strerror(errno.EIO))


class FaultyWorld(BrokerWorld):
    """On a real directory."""

    def __init__(self, path: Path) -> None:
        super().__init__(auto_sync=False)
        self.disk: Any = FileDisk(path)

    def code(self, call: Asked) -> int:
        return int(self.produced(call).error_code)


@contextmanager
def failing(call: str, error: OSError) -> Generator[None]:
    """The system call fails from now on."""
    with patch(f"server.disk.files.os.{call}", side_effect=error):
        yield


class Faults(unittest.TestCase):
    def setUp(self) -> None:
        path = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, path)
        self.path = path
        self.world = FaultyWorld(path)
        self.world.create()
        self.addCleanup(self.close)
        self.acknowledged = self.produce(b"first")
        self.assertEqual(self.acknowledged, 0)

    def close(self) -> None:
        log = self.world.partition().log
        if log is not None:
            for segment in log.segments:
                segment.close()

    def produce(self, value: bytes, acks: int = -1) -> int:
        call = self.world.produce(batch(value), acks=acks)
        self.world.run_syncs()
        return self.world.code(call)

    def next_life(self) -> FaultyWorld:
        """Another process on the same page cache."""
        self.close()
        self.world = FaultyWorld(self.path)
        self.world.create()
        return self.world

    def fetched(self, world: BrokerWorld) -> int:
        """How many offsets a consumer is shown."""
        told = world.fetched(world.fetch(max_wait=0))
        return -int(told.error_code) if told.error_code else int(told.high_watermark)

    def test_a_full_disk_refuses_and_goes_on_when_there_is_room(self) -> None:
        for acks in (-1, 1):
            with failing("pwrite", FULL):
                self.assertEqual(self.produce(b"no room", acks), ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertEqual(self.fetched(self.world), 1, "reading goes on")
        self.assertEqual(self.world.failed, [])
        self.assertEqual(self.produce(b"second"), 0)
        self.assertEqual(self.fetched(self.next_life()), 2)

    def test_half_a_batch_fits(self) -> None:
        real, data = os.pwrite, batch(b"x" * 500)

        def short(fd: int, piece: Any, at: int) -> int:
            if len(piece) < len(data):
                raise FULL
            return real(fd, bytes(piece[:100]), at)

        with patch("server.disk.files.os.pwrite", short):
            call = self.world.produce(bytes(data))
            self.assertEqual(self.world.code(call), ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertEqual(self.produce(b"second"), 0)
        self.assertEqual(self.fetched(self.next_life()), 2)

    def test_a_sync_that_fails_is_the_end_of_the_log(self) -> None:
        """Nobody is told "yes", then or later, though the next sync would succeed; the next life forgets it."""
        waiting = self.world.produce(batch(b"never"))
        with failing("fdatasync", BROKEN):
            self.world.run_syncs()
        self.assertEqual(self.world.code(waiting), ErrorCode.KAFKA_STORAGE_ERROR)
        for acks in (-1, 1):
            self.assertEqual(self.produce(b"later", acks), ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertEqual(self.fetched(self.world), -ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertIn("t-0", self.world.failed, "the server goes, so that others lead")
        world = self.next_life()
        self.assertEqual(self.fetched(world), 1, "what was acknowledged, and nothing else")
        self.assertEqual(self.produce(b"second"), 0)

    def test_a_sync_on_a_full_disk_is_a_failure_too(self) -> None:
        """Delayed allocation: some file systems (NFS, quotas) find out only when they write back."""
        waiting = self.world.produce(batch(b"never"))
        with failing("fdatasync", FULL):
            self.world.run_syncs()
        self.assertEqual(self.world.code(waiting), ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertEqual(self.fetched(self.next_life()), 1)

    def test_a_full_disk_in_the_midst_of_a_job(self) -> None:
        """Bytes are synced, but not the epoch's file: who waits hears it now, not when their time is over."""
        self.world.change(self.world.state(leader_epoch=1, partition_epoch=1))
        waiting = self.world.produce(batch(b"never"))
        with patch("server.disk.files.DiskDirectory.create", side_effect=StorageError("full")):
            self.world.run_syncs()
        self.assertEqual(self.world.code(waiting), ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertEqual(self.produce(b"later"), ErrorCode.KAFKA_STORAGE_ERROR)

    def test_a_write_that_fails_and_cannot_be_undone(self) -> None:
        with failing("pwrite", BROKEN), failing("ftruncate", BROKEN):
            self.assertEqual(self.produce(b"never"), ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertEqual(self.produce(b"later"), ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertEqual(self.fetched(self.next_life()), 1)

    def test_a_read_that_fails(self) -> None:
        with failing("pread", BROKEN):
            self.assertEqual(self.fetched(self.world), -ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertEqual(self.fetched(self.world), 1)

    def test_no_room_for_a_new_segment(self) -> None:
        topic = {"type": "topic_configs", "id": self.world.partition().topic_id, "configs": {"segment.bytes": "200"}}
        self.world.change(topic)
        with patch("server.disk.files.DiskDirectory.create", side_effect=StorageError("full")):
            self.assertEqual(self.produce(b"x" * 300), ErrorCode.KAFKA_STORAGE_ERROR)
        self.assertEqual(self.produce(b"x" * 300), 0)
        self.assertEqual(self.fetched(self.next_life()), 2)


class OffsetsFault(unittest.TestCase):
    def test_a_commit_on_a_full_disk_is_refused(self) -> None:
        world = BrokerWorld()
        world.create()
        offsets = {"type": "topic", "name": "__consumer_offsets", "id": "0" * 31 + "2", "configs": {}}
        state = world.state() | {"topic": offsets["id"]}
        world.change(offsets, state)

        def full(operation: str, name: str) -> bool:
            if operation == "append":
                raise StorageError("No space left on device")
            return False

        part = {"partition_index": 0, "committed_offset": 3, "committed_leader_epoch": -1, "committed_metadata": ""}
        values = {"group_id": "g", "generation_id_or_member_epoch": -1, "member_id": "", "group_instance_id": None}
        values |= {"topics": [{"name": "t", "partitions": [part]}]}
        world.disk.hook = full
        told = world.told(8, world.ask(8, 8, values))
        self.assertEqual(told.topics[0].partitions[0].error_code, ErrorCode.NOT_COORDINATOR)
        world.disk.hook = lambda operation, name: False
        self.assertEqual(world.told(8, world.ask(8, 8, values)).topics[0].partitions[0].error_code, 0)


if __name__ == "__main__":
    unittest.main()
