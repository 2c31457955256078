"""`server.producers`: duplicates told, gaps refused, and the same state again from a snapshot or the batches."""

import unittest

from hypothesis import given
from hypothesis import strategies as st
from support.log_case import append, batch, contents, new_log, reopened, sync

from server.log import Log
from server.producers import REMEMBERED_BATCHES, ProducerError, Producers, SnapshotError
from server.truncation import truncate
from wire.batches import MAX_SEQUENCE, BatchHeader, read_header
from wire.errors import ErrorCode

OUT_OF_ORDER, OLD_EPOCH = ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode.INVALID_PRODUCER_EPOCH


def header(sequence: int, count: int = 1, *, epoch: int = 0, producer: int = 1, time_ms: int = 0) -> BatchHeader:
    return read_header(batch(count, time_ms=time_ms, producer=(producer, epoch, sequence)))


class CheckTest(unittest.TestCase):
    def setUp(self) -> None:
        self.producers, self.end = Producers(), 0

    def append(self, sequence: int, count: int = 1, **options: int) -> int:
        one = header(sequence, count, **options)
        self.assertIsNone(self.producers.check(one))
        self.producers.appended(one, self.end)
        self.end += count
        return self.end - count

    def refused(self, code: ErrorCode, sequence: int, count: int = 1, **options: int) -> None:
        with self.assertRaises(ProducerError) as caught:
            self.producers.check(header(sequence, count, **options))
        self.assertIs(caught.exception.code, code)

    def test_the_last_five_batches_are_known_again(self) -> None:
        bases = [self.append(2 * number, 2) for number in range(7)]
        for number in range(2, 7):
            again = self.producers.check(header(2 * number, 2))
            assert again is not None
            self.assertEqual((again.base_offset, again.last_offset), (bases[number], bases[number] + 1))
        self.refused(OUT_OF_ORDER, 2, 2)
        self.refused(OUT_OF_ORDER, 12, 1)
        self.assertEqual(REMEMBERED_BATCHES, 5)

    def test_gaps_and_old_epochs_are_refused_and_change_nothing(self) -> None:
        self.append(0, 3, epoch=2)
        self.refused(OUT_OF_ORDER, 4, epoch=2)
        self.refused(OLD_EPOCH, 3, epoch=1)
        self.refused(OUT_OF_ORDER, 3, epoch=3)
        self.append(3, epoch=2)
        self.append(0, epoch=3)
        self.refused(OLD_EPOCH, 4, epoch=2)

    def test_who_is_not_known_may_begin_anywhere(self) -> None:
        self.append(77)
        self.append(78)

    def test_sequence_numbers_wrap(self) -> None:
        self.append(MAX_SEQUENCE - 1, 4)
        self.append(2)
        again = self.producers.check(header(MAX_SEQUENCE - 1, 4))
        assert again is not None
        self.assertEqual((again.base_offset, again.last_sequence), (0, 1))

    def test_who_has_no_id_is_not_remembered(self) -> None:
        plain = read_header(batch())
        self.producers.appended(plain, 0)
        self.assertEqual((self.producers.check(plain), len(self.producers)), (None, 0))

    def test_expiry(self) -> None:
        self.append(0, producer=1, time_ms=100)
        self.append(0, producer=2, time_ms=200)
        self.producers.expire(1099, 1000)
        self.assertEqual([key for key, _ in self.producers], [1, 2])
        self.producers.expire(1100, 1000)
        self.assertEqual([key for key, _ in self.producers], [2])


class SnapshotTest(unittest.TestCase):
    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(1, 3)), max_size=30), st.binary())
    def test_as_it_was(self, batches: list[tuple[int, int, int]], noise: bytes) -> None:
        producers = Producers()
        for number, (producer, epoch, count) in enumerate(batches):
            producers.appended(header(number, count, producer=producer, epoch=epoch), number * 10)
        data = producers.to_snapshot()
        self.assertEqual(Producers.from_snapshot(data), producers)
        for wrong in (data[:-1], data + b"\0", noise):
            with self.assertRaises(SnapshotError):
                Producers.from_snapshot(wrong)

    def test_after_a_restart_or_a_truncation_as_replayed(self) -> None:
        log = new_log()
        for number in range(40):
            append(log, batch(2, producer=(number % 3, 0, 2 * (number // 3))))
            if number % 7 == 0:
                sync(log, checkpoint=number == 14)
        self.assertGreater(len(log.snapshots), 2)
        for one in (log, reopened(log)):
            self.assertEqual(one.producers, replayed(one))
        sync(log)
        truncate(log, 41)
        self.assertEqual((log.end_offset, log.producers), (40, replayed(log)))
        self.assertEqual(reopened(log).producers, log.producers)


def replayed(log: Log) -> Producers:
    producers = Producers()
    for one in map(read_header, contents(log)):
        producers.appended(one, one.base_offset)
    return producers
