"""`server.compaction`: whoever reads from the start sees the last value of each key, and offsets stay."""

import unittest
from contextlib import suppress
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from support.log_case import NAME, Fuse, PowerCut, append, contents, headers, new_log, reopened, sync

from server.compaction import Uncleanable, start_compaction
from server.disk.memory import MemoryDisk
from server.log import Log
from server.log_settings import LogSettings
from server.recovery import open_log
from wire.batches import crc32c, read_header
from wire.records import NewRecord, Record, encode_batch, records_of

COMPACT = LogSettings(
    segment_bytes=400,
    index_interval_bytes=90,
    compacts=True,
    deletes=False,
    delete_retention_ms=1000,
    min_dirty_ratio=0.0,
)

Write = tuple[int, bool]
"""(key, whether it has a value)."""


def write(log: Log, writes: list[Write], time_ms: int = 0, producer: tuple[int, int, int] = (-1, -1, -1)) -> None:
    records = [NewRecord(time_ms, b"k%d" % key, b"v%d" % log.end_offset if value else None) for key, value in writes]
    append(log, encode_batch(records, producer=producer))


def close_segment(log: Log) -> None:
    log.roll()
    sync(log)


def compact(log: Log, now_ms: int = 0) -> bool:
    work = start_compaction(log, now_ms, log.end_offset)
    if work is None:
        return False
    for _ in work.steps():
        pass
    work.finish()
    sync(log)
    return True


def read(log: Log) -> list[Record]:
    return [record for data in contents(log) for record in records_of(data)]


def state(records: list[Record]) -> dict[bytes, bytes]:
    """What a reader has who applies all."""
    found: dict[bytes, bytes] = {}
    for record in records:
        assert record.key is not None
        if record.value is None:
            found.pop(bytes(record.key), None)
        else:
            found[bytes(record.key)] = bytes(record.value)
    return found


class CompactionTest(unittest.TestCase):
    def test_only_the_last_of_each_key_and_never_in_the_active_segment(self) -> None:
        log = new_log(COMPACT)
        for key in (1, 2, 1, 3, 2, 1):
            write(log, [(key, True)])
        close_segment(log)
        write(log, [(3, True)])
        self.assertTrue(compact(log))
        self.assertEqual([record.offset for record in read(log)], [3, 4, 5, 6])
        self.assertEqual([record.offset for record in read(reopened(log))], [3, 4, 5, 6])
        self.assertEqual(read_header(log.read(0, 1)).base_offset, 3)

    def test_a_tombstone_stays_for_its_time(self) -> None:
        log = new_log(COMPACT)
        write(log, [(1, True), (1, False), (2, True)])
        close_segment(log)
        self.assertTrue(compact(log, now_ms=500))
        self.assertEqual([record.offset for record in read(log)], [1, 2])
        self.assertEqual(headers(log)[0].delete_horizon_ms, 1500)
        self.assertEqual([record.timestamp_ms for record in read(log)], [0, 0])
        for now_ms, left in ((1499, [1, 2]), (1500, [2])):
            write(log, [(3, True)])
            close_segment(log)
            self.assertTrue(compact(log, now_ms))
            self.assertEqual([record.offset for record in read(log)][: len(left)], left)

    def test_who_must_wait(self) -> None:
        log = new_log(COMPACT)
        self.assertFalse(compact(log))
        write(log, [(1, True)], time_ms=100)
        self.assertFalse(compact(log))
        close_segment(log)
        self.assertIsNone(start_compaction(log, 0, 0))
        log.settings = LogSettings(compacts=True, min_compaction_lag_ms=50)
        self.assertFalse(compact(log, 149))
        self.assertTrue(compact(log, 150))
        self.assertFalse(compact(log, 150))
        log.settings = LogSettings()
        self.assertFalse(compact(log, 999))

    def test_a_producers_last_batch_stays_though_empty(self) -> None:
        log = new_log(COMPACT)
        write(log, [(1, True)], producer=(7, 0, 0))
        write(log, [(1, True)], producer=(8, 0, 0))
        write(log, [(1, True)])
        close_segment(log)
        compact(log)
        self.assertEqual([(head.producer_id, head.records_count) for head in headers(log)], [(7, 0), (8, 0), (-1, 1)])

    def test_what_can_t_be_read_is_left_alone_and_the_log_goes_on(self) -> None:
        log = new_log(COMPACT)
        for _ in range(5):
            write(log, [(1, True)])
        unreadable = encode_batch([NewRecord(0, b"k1", b"v")])
        unreadable[-3:] = b"\xff\xff\xff"  # no lengths that a record may have
        unreadable[17:21] = crc32c(unreadable, 21, len(unreadable)).to_bytes(4, "big")
        append(log, unreadable)
        close_segment(log)
        before = contents(log)
        work = start_compaction(log, 0, log.end_offset)
        assert work is not None
        with self.assertRaises(Uncleanable):
            for _ in work.steps():
                pass
        work.abandon(for_good=True)
        self.assertIsNone(start_compaction(log, 0, log.end_offset))
        self.assertEqual((contents(log), log.failure), (before, None))
        write(log, [(1, True)])
        self.assertEqual(len(contents(log)), len(before) + 1)

    def test_a_pass_that_is_abandoned(self) -> None:
        log = new_log(COMPACT)
        for number in range(30):
            write(log, [(number % 3, True)])
        close_segment(log)
        before = state(read(log))
        for steps in range(100):
            work = start_compaction(log, 0, log.end_offset)
            if work is None:
                break
            for _, _ in zip(range(steps), work.steps(), strict=False):
                pass
            work.abandon()
            self.assertEqual(state(read(log)), before)
            self.assertEqual(contents(reopened(log)), contents(log))

    @settings(deadline=None)
    @given(
        st.lists(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=3), max_size=30),
        st.randoms(),
    )
    def test_readers_see_the_same_state_and_newest_offsets(self, batches: list[list[Write]], random: Random) -> None:
        log, now_ms = new_log(COMPACT), 0
        for writes in batches:
            write(log, writes)
            if random.random() < 0.2:
                close_segment(log)
                before, end = read(log), log.end_offset
                compact(log, now_ms)
                now_ms += random.randrange(1500)
                after = read(log)
                self.assertEqual(state(after), state(before))
                self.assertLessEqual({r.offset for r in after}, {r.offset for r in before})
                self.assertEqual(log.end_offset, end)
        self.assertEqual(contents(reopened(log)), contents(log))

    def test_the_power_cut_at_every_operation(self) -> None:
        fuse = Fuse()
        self.story(MemoryDisk(fuse))
        for at in range(fuse.count):
            for seed in range(4):
                disk = MemoryDisk(Fuse(at))
                expected = self.story(disk)
                disk.kill(Random(f"{at} {seed}").randrange)
                if expected is not None:
                    log = open_log(disk.make(NAME), COMPACT)
                    self.assertEqual(state(read(log)), expected)
                    self.assertEqual(log.end_offset, 40)

    def test_a_kill_at_every_operation_and_a_power_cut_while_that_is_mended(self) -> None:
        """The page cache survives the first, not the second: names that nobody has synced must not be built upon."""
        fuse = Fuse()
        self.story(MemoryDisk(fuse))
        for at in range(fuse.count):
            for seed in range(6):
                random = Random(f"{at} {seed}")
                disk = MemoryDisk(Fuse(at))
                expected = self.story(disk)
                if expected is None:
                    continue
                disk.hook = Fuse(random.randrange(8))
                with suppress(PowerCut):
                    open_log(disk.make(NAME), COMPACT)
                disk.kill(random.randrange)
                self.assertEqual(state(read(open_log(disk.make(NAME), COMPACT))), expected)

    def story(self, disk: MemoryDisk) -> dict[bytes, bytes] | None:
        """Compacted twice; the state to be found once all was synced."""
        expected = None
        try:
            log = new_log(COMPACT, disk)
            for number in range(20):
                write(log, [(number % 3, True), (number % 4, number % 5 > 0)])
            close_segment(log)
            expected = state(read(log))
            compact(log)
            log.cleaned = 0
            compact(log, 2000)
        except PowerCut:
            pass
        return expected
