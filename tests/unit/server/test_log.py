"""`server.log`: appended, read, rolled, synced in groups, and cut at its old end."""

import unittest
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from support.log_case import append, batch, contents, headers, new_log, reopened, sync

from server.disk.memory import MemoryDisk, honest
from server.log import Found, OffsetOutOfRange
from server.log_settings import Fsync, LogSettings
from server.storage import StorageError
from wire.batches import BatchError, read_header

BATCH = len(batch())


class AppendTest(unittest.TestCase):
    def test_offsets_and_epochs_are_stamped_and_the_crc_still_holds(self) -> None:
        log = new_log()
        self.assertEqual([append(log, batch(3), 4), append(log, batch(2), 4), append(log, batch(1), 5)], [0, 3, 5])
        self.assertEqual(log.end_offset, 6)
        self.assertEqual([(head.base_offset, head.leader_epoch) for head in headers(log)], [(0, 4), (3, 4), (5, 5)])
        self.assertEqual(log.epochs.end_of(4, log.end_offset), (4, 5))
        self.assertEqual(log.epochs.end_of(5, log.end_offset), (5, 6))

    def test_a_new_leader_begins_its_epoch_at_the_end(self) -> None:
        log = new_log()
        append(log, epoch=1)
        log.begin_epoch(3)
        self.assertEqual(log.epochs.end_of(1, log.end_offset), (1, 1))
        self.assertEqual(log.epochs.latest, 3)
        sync(log, checkpoint=True)
        self.assertEqual(reopened(log).epochs.starts, log.epochs.starts)

    def test_rolls_by_size_by_time_and_by_nothing_else(self) -> None:
        log = new_log(LogSettings(segment_bytes=3 * BATCH, segment_ms=100))
        for time_ms in (0, 100, 100, 100, 201, 150):
            append(log, batch(time_ms=time_ms))
        self.assertEqual([segment.base_offset for segment in log.segments], [0, 3, 4])

    def test_a_batch_larger_than_a_segment_gets_one_for_itself(self) -> None:
        log = new_log(LogSettings(segment_bytes=2 * BATCH))
        append(log)
        append(log, batch(size=5 * BATCH))
        append(log)
        self.assertEqual([segment.base_offset for segment in log.segments], [0, 1, 2])

    def test_a_full_disk_changes_nothing_and_may_pass(self) -> None:
        disk = MemoryDisk()
        log = new_log(disk=disk)
        append(log)

        def full(operation: str, name: str) -> bool:
            if operation in ("append", "create"):
                raise StorageError("no space left on device")
            return False

        for _ in range(2):
            disk.hook = full
            while log.end_offset < 30:
                try:
                    append(log)
                except StorageError as error:
                    self.assertFalse(error.final)
                    disk.hook = honest
        disk.hook = honest
        self.assertEqual([head.base_offset for head in headers(log)], list(range(30)))
        self.assertEqual(contents(reopened(log)), contents(log))


class FullIndexTest(unittest.TestCase):
    def test_a_batch_that_is_written_is_there_although_its_index_has_no_room(self) -> None:
        """As follower and as leader; or the next batch would get its offset a second time."""
        leader = new_log(LogSettings(index_interval_bytes=1))
        expected = [bytes(batch(2, size=50)) for _ in range(12)]
        for data in expected:
            append(leader, bytearray(data))

        def full(operation: str, name: str) -> bool:
            if operation == "append" and name.endswith("index"):
                raise StorageError("No space left on device")
            return False

        for follows in (False, True):
            disk = MemoryDisk()
            with self.subTest(follows), patch("server.indexes.TAIL_ENTRIES", 3):
                log = new_log(LogSettings(index_interval_bytes=1), disk)
                disk.hook = full
                for data in contents(leader):
                    if follows:
                        log.append_fetched(data)
                    else:
                        append(log, bytearray(data))
                self.assertEqual(contents(log), contents(leader))
                with self.assertRaises(StorageError):
                    log.roll()
                disk.hook = honest
                log.roll()
                sync(log)
                self.assertEqual(contents(reopened(log)), contents(leader))


class FollowTest(unittest.TestCase):
    def setUp(self) -> None:
        self.leader, self.follower = new_log(), new_log()
        for number in range(12):
            append(self.leader, batch(2, time_ms=number, producer=(3, 0, 2 * number)), epoch=number // 5)

    def test_what_the_leader_has_byte_for_byte(self) -> None:
        while self.follower.end_offset < self.leader.end_offset:
            self.follower.append_fetched(self.leader.read(self.follower.end_offset, 300))
        self.assertEqual(contents(self.follower), contents(self.leader))
        self.assertEqual(self.follower.epochs.starts, self.leader.epochs.starts)
        self.assertEqual(self.follower.producers, self.leader.producers)

    def test_what_does_not_follow_is_refused_whole(self) -> None:
        data = bytearray(self.leader.read(0, 600))
        first = read_header(data).size_bytes
        data[first + 70] ^= 1
        late = self.leader.read(20, 1000)
        for wrong in (bytes(data), late + self.leader.read(0, 200)):
            with self.assertRaises(BatchError):
                self.follower.append_fetched(wrong)
        self.assertEqual(self.follower.end_offset, 0)

    def test_gaps_of_a_compacted_leader(self) -> None:
        self.follower.append_fetched(self.leader.read(0, 100))
        self.follower.append_fetched(self.leader.read(10, 100))
        self.assertEqual(self.follower.end_offset, 12)
        self.assertEqual(read_header(self.follower.read(5, 100)).base_offset, 10)

    def test_nothing_fetched(self) -> None:
        self.assertEqual(self.follower.append_fetched(b""), 0)
        self.assertEqual(self.follower.append_fetched(self.leader.read(0, 1000)[:70]), 0)


class ReadTest(unittest.TestCase):
    def setUp(self) -> None:
        self.log = new_log()
        for number in range(20):
            append(self.log, batch(3, time_ms=1000 * number))

    def test_from_any_offset_the_batch_that_holds_it(self) -> None:
        for log in (self.log, reopened(self.log)):
            for offset in range(60):
                self.assertEqual(read_header(log.read(offset, 1)).base_offset, offset // 3 * 3)

    def test_the_first_batch_whole_the_last_cut(self) -> None:
        one = read_header(self.log.read(0, 1)).size_bytes
        self.assertEqual(len(self.log.read(0, 1)), one)
        self.assertEqual(len(self.log.read(0, one + 10)), one + 10)
        self.assertEqual(self.log.read(0, one - 1, at_least_one=False), b"")
        self.assertEqual(len(self.log.read(0, one, at_least_one=False)), one)

    def test_nothing_at_or_above_the_limit(self) -> None:
        for limit in range(60):
            found = contents(self.log, 0, limit)
            self.assertEqual(len(found), limit // 3)
        self.assertEqual(self.log.read(60, 100), b"")
        self.assertEqual(self.log.read(30, 100, limit=30), b"")

    def test_out_of_range(self) -> None:
        self.log.advance_start(4)
        for offset in (-1, 3, 61):
            with self.assertRaises(OffsetOutOfRange):
                self.log.read(offset, 100)

    def test_by_time(self) -> None:
        for log in (self.log, reopened(self.log)):
            self.assertEqual(log.find_by_time(0), Found(0, 0))
            self.assertEqual(log.find_by_time(7001), Found(7001, 22))
            self.assertEqual(log.find_by_time(7003), Found(8000, 24))
            self.assertIsNone(log.find_by_time(19_003))
            self.assertEqual(log.find_newest(), Found(19_002, 59))
        self.log.advance_start(23)
        self.assertEqual(self.log.find_by_time(0), Found(7002, 23))

    def test_an_empty_log(self) -> None:
        log = new_log()
        self.assertEqual((log.read(0, 100), log.find_by_time(0), log.find_newest()), (b"", None, None))
        self.assertEqual((log.log_start, log.end_offset, log.synced_end, log.size_bytes), (0, 0, 0, 0))

    @given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 50)), min_size=1, max_size=60), st.integers(0, 55))
    def test_times_in_any_order_as_a_plain_search_finds_them(
        self, batches: list[tuple[int, int]], time_ms: int
    ) -> None:
        log = new_log(LogSettings(segment_bytes=500, segment_ms=20, index_interval_bytes=90))
        times: list[int] = []
        for count, start_ms in batches:
            append(log, batch(count, time_ms=start_ms))
            times += range(start_ms, start_ms + count)
        expected = next((Found(value, offset) for offset, value in enumerate(times) if value >= time_ms), None)
        self.assertEqual(log.find_by_time(time_ms), expected)
        sync(log)
        self.assertEqual(reopened(log).find_by_time(time_ms), expected)
        self.assertEqual(log.find_newest(), Found(max(times), times.index(max(times))))


class SyncTest(unittest.TestCase):
    def test_one_job_has_all_that_came_before_it(self) -> None:
        log = new_log()
        self.assertFalse(log.wants_sync)
        append(log)
        append(log)
        self.assertTrue(log.wants_sync)
        job = log.sync_job()
        assert job is not None
        append(log)
        job.run()
        self.assertEqual(log.safe_end, 0)
        log.synced(job)
        self.assertEqual((log.safe_end, log.end_offset, log.wants_sync), (2, 3, True))
        sync(log)
        self.assertEqual((log.safe_end, log.wants_sync, log.sync_job()), (3, False, None))

    def test_without_fsync_only_the_log_itself_wants_it(self) -> None:
        for fsync in (Fsync.INTERVAL, Fsync.NEVER):
            log = new_log(fsync=fsync)
            append(log)
            sync(log)  # the first epoch is written
            append(log)
            self.assertEqual((log.safe_end, log.wants_sync), (2, False))
            log.roll()
            self.assertTrue(log.wants_sync)
            sync(log)
            self.assertEqual(log.checkpoint.recovery_point, 2)

    def test_after_a_failure_nothing_is_tried_again(self) -> None:
        log = new_log()
        append(log)
        job = log.sync_job()
        error = StorageError("sync", final=True)
        assert job is not None
        log.job_failed(job, error)
        for call in (
            lambda: append(log),
            lambda: log.read(0, 1),
            lambda: log.sync_job(),
            lambda: log.find_by_time(0),
            lambda: log.retain(0, 0),
            lambda: log.advance_start(1),
            lambda: log.append_fetched(bytes(batch())),
            lambda: log.roll(),
        ):
            with self.assertRaises(StorageError) as caught:
                call()
            self.assertIs(caught.exception, error)
        log.close()

    def test_an_orderly_stop_leaves_nothing_to_do(self) -> None:
        log = new_log()
        for _ in range(20):
            append(log)
        sync(log, checkpoint=True)
        again = reopened(log)
        self.assertEqual(again.checkpoint, log.checkpoint)
        self.assertIsNone(again.sync_job(checkpoint=True))
        self.assertEqual(contents(again), contents(log))


class OldEndTest(unittest.TestCase):
    def setUp(self) -> None:
        self.log = new_log(LogSettings(segment_bytes=2 * BATCH, retention_ms=1000, retention_bytes=-1))
        for number in range(10):
            append(self.log, batch(time_ms=1000 * number))
        sync(self.log)

    def bases(self) -> list[int]:
        return [segment.base_offset for segment in self.log.segments]

    def test_records_deleted(self) -> None:
        self.log.advance_start(5)
        self.assertEqual((self.log.log_start, self.bases()), (5, [4, 6, 8]))
        self.log.advance_start(3)
        self.assertEqual(self.log.log_start, 5)
        sync(self.log)
        self.assertEqual(sum(name.endswith(".log") for name in self.log.directory.names()), 3)
        self.assertEqual(reopened(self.log).log_start, 5)

    def test_all_records_deleted(self) -> None:
        self.log.advance_start(10)
        sync(self.log)
        again = reopened(self.log)
        self.assertEqual((again.log_start, again.end_offset), (10, 10))
        self.assertEqual(append(again), 10)

    def test_by_time_the_active_one_too(self) -> None:
        self.log.retain(5001, high_watermark=10)
        self.assertEqual(self.log.log_start, 4)
        self.log.retain(20_000, high_watermark=9)
        self.assertEqual(self.log.log_start, 8)
        self.log.retain(20_000, high_watermark=10)
        self.assertEqual((self.log.log_start, self.bases()), (10, [10]))

    def test_not_where_the_policy_is_to_compact_only(self) -> None:
        self.log.settings = LogSettings(deletes=False, compacts=True, retention_ms=1)
        self.log.retain(20_000, high_watermark=10)
        self.assertEqual(self.log.log_start, 0)

    def test_readers_of_a_segment_that_goes(self) -> None:
        self.log.advance_start(10)
        job = self.log.sync_job()
        assert job is not None
        job.run()
        self.log.synced(job)
        self.assertEqual(self.log.read(10, 100), b"")
