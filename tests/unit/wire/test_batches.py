"""`wire.batches`: headers, checks and stamps of batches, and where they begin and end."""

import contextlib
import unittest
from collections.abc import Callable
from random import Random

import crc32c as other_crc32c
from hypothesis import given
from hypothesis import strategies as st
from support.kafka_python import DefaultRecordBatch

from wire import batches
from wire.batches import BatchError, BatchHeader, check_produced, read_header, stamp
from wire.errors import ErrorCode
from wire.records import NewRecord, encode_batch, records_of

CORRUPT, INVALID = ErrorCode.CORRUPT_MESSAGE, ErrorCode.INVALID_RECORD


def batch(count: int = 3, base_offset: int = 0, **options: object) -> bytearray:
    records = [NewRecord(1_000 + delta, b"k%d" % delta, b"value") for delta in range(count)]
    return encode_batch(records, base_offset=base_offset, **options)  # type: ignore[arg-type]


def blob(*counts: int, base_offset: int = 0) -> bytearray:
    out = bytearray()
    for count in counts:
        out += batch(count, base_offset)
        base_offset += count
    return out


def changed(data: bytes | bytearray, change: Callable[[BatchHeader], BatchHeader]) -> memoryview:
    """The batch with another header and a CRC that fits it."""
    header = change(read_header(data))
    out = bytearray(data)
    batches._HEADER.pack_into(out, 0, *header)  # pyright: ignore[reportPrivateUsage]
    with contextlib.suppress(BatchError):
        batches.seal(out, 0, len(out))
    return memoryview(out)


class HeaderTest(unittest.TestCase):
    def test_as_kafka_python_reads_it(self) -> None:
        data = batch(5, base_offset=70, producer=(9, 2, 30), attributes=batches.TRANSACTIONAL_BIT, leader_epoch=4)
        ours, theirs = read_header(data), DefaultRecordBatch(bytes(data))
        self.assertTrue(theirs.validate_crc())
        self.assertEqual(
            (ours.base_offset, ours.last_offset, ours.next_offset, ours.leader_epoch, ours.magic, ours.crc),
            (theirs.base_offset, theirs.last_offset, theirs.next_offset, theirs.leader_epoch, theirs.magic, theirs.crc),
        )
        self.assertEqual(
            (ours.producer_id, ours.producer_epoch, ours.base_sequence, ours.last_sequence, ours.records_count),
            (theirs.producer_id, theirs.producer_epoch, theirs.base_sequence, theirs.last_sequence, 5),
        )
        self.assertEqual(
            (ours.base_timestamp_ms, ours.max_timestamp_ms), (theirs.first_timestamp, theirs.max_timestamp)
        )
        self.assertEqual((ours.is_transactional, ours.is_control, ours.compression), (True, False, 0))
        self.assertEqual(ours.size_bytes, len(data))
        self.assertIsNone(ours.delete_horizon_ms)

    def test_sequences_wrap_to_zero(self) -> None:
        header = read_header(batch(3, producer=(1, 0, batches.MAX_SEQUENCE - 1)))
        self.assertEqual(header.last_sequence, 0)
        self.assertEqual(read_header(batch(3)).last_sequence, -1)

    def test_a_delete_horizon_is_where_the_base_time_was(self) -> None:
        header = read_header(batch())._replace(attributes=batches.DELETE_HORIZON_BIT, base_timestamp_ms=77)
        self.assertEqual(header.delete_horizon_ms, 77)

    def test_what_can_not_be_a_header_is_refused(self) -> None:
        data = batch()
        for bad, code in (
            (data[:60], CORRUPT),
            (b"", CORRUPT),
            (changed(data, lambda h: h._replace(magic=1)), INVALID),
            (changed(data, lambda h: h._replace(magic=3)), CORRUPT),
            (changed(data, lambda h: h._replace(magic=-1)), CORRUPT),
            (changed(data, lambda h: h._replace(batch_length=48)), CORRUPT),
            (changed(data, lambda h: h._replace(batch_length=-1)), CORRUPT),
        ):
            with self.assertRaises(BatchError) as caught:
                read_header(bad)
            self.assertEqual(caught.exception.code, code)

    @given(st.binary(min_size=61, max_size=100))
    def test_any_bytes(self, data: bytes) -> None:
        with contextlib.suppress(BatchError):
            list(batches.walk(data))


class WalkTest(unittest.TestCase):
    def test_each_whole_batch_in_order(self) -> None:
        data = blob(3, 1, 4, base_offset=10)
        found = list(batches.walk(data))
        self.assertEqual([header.base_offset for _, header in found], [10, 13, 14])
        self.assertEqual(found[1][0], found[0][1].size_bytes)
        for end in range(len(data)):
            whole = [at for at, header in found if at + header.size_bytes <= end]
            self.assertEqual([at for at, _ in batches.walk(data[:end])], whole)

    def test_find_gives_the_batch_that_holds_the_offset(self) -> None:
        data = blob(3, 1, 4, base_offset=10)
        starts = [at for at, _ in batches.walk(data)]
        expected = {9: 0, 10: 0, 12: 0, 13: 1, 14: 2, 17: 2}
        for offset, place in expected.items():
            self.assertEqual(batches.find(data, offset), starts[place])
        self.assertIsNone(batches.find(data, 18))

    def test_find_after_a_gap_gives_the_next(self) -> None:
        data = blob(2, base_offset=0) + blob(2, base_offset=100)
        self.assertEqual(batches.find(data, 50), read_header(data).size_bytes)

    def test_whole_end_cuts_between_batches_but_gives_one(self) -> None:
        data = blob(3, 3, 3)
        size = read_header(data).size_bytes
        for most, end in ((1, 1), (size, 1), (2 * size - 1, 1), (2 * size, 2), (10**9, 3)):
            self.assertEqual(batches.whole_end(data, most), end * size)
        self.assertEqual(batches.whole_end(data, 10**9, before_offset=6), 2 * size)
        self.assertEqual(batches.whole_end(data, 10**9, before_offset=5), size)
        self.assertEqual(batches.whole_end(data, 10**9, before_offset=2), 0)
        self.assertEqual(batches.whole_end(data, size, at=size), 2 * size)


class CrcTest(unittest.TestCase):
    def test_of_any_size_and_place(self) -> None:
        data = memoryview(bytearray(Random(1).randbytes(200_000)))
        for start, end in ((0, 0), (1, 10), (21, 65_557), (21, 65_558), (3, 200_000)):
            self.assertEqual(batches.crc32c(data, start, end), other_crc32c.crc32c(data[start:end]))

    def test_every_changed_byte_is_noticed(self) -> None:
        data = batch(2)
        header = read_header(data)
        batches.check_crc(data, 0, header)
        for at in range(21, len(data)):
            data[at] ^= 1
            self.assertRaises(BatchError, batches.check_crc, data, 0, header)
            data[at] ^= 1

    def test_a_cut_batch_is_corrupt(self) -> None:
        data = batch(2)
        self.assertRaises(BatchError, batches.check_crc, data[:-1], 0, read_header(data))


class ProducedTest(unittest.TestCase):
    def refused(self, records: memoryview | None, version: int = 9) -> ErrorCode:
        with self.assertRaises(BatchError) as caught:
            check_produced(records, version)
        return caught.exception.code

    def test_what_producers_send_is_taken(self) -> None:
        for codec in range(5):
            for producer in ((-1, -1, -1), (5, 0, 0), (5, 3, 2**31 - 1)):
                data = batch(4, codec=codec, producer=producer, attributes=batches.TRANSACTIONAL_BIT)
                self.assertEqual(check_produced(memoryview(data), 7), read_header(data))

    def test_no_batch_or_two_or_half_a_batch(self) -> None:
        data = batch()
        self.assertEqual(self.refused(None), INVALID)
        self.assertEqual(self.refused(memoryview(b"")), INVALID)
        self.assertEqual(self.refused(memoryview(data + data)), INVALID)
        self.assertEqual(self.refused(memoryview(data + b"x")), INVALID)
        for end in (1, 12, 61, len(data) - 1):
            self.assertEqual(self.refused(memoryview(data[:end])), INVALID)

    def test_a_crc_that_is_not_its_own(self) -> None:
        data = batch()
        data[-1] ^= 1
        self.assertEqual(self.refused(memoryview(data)), CORRUPT)

    def test_counts_that_do_not_fit(self) -> None:
        data = batch(3)
        for change in (
            lambda h: h._replace(records_count=2),
            lambda h: h._replace(last_offset_delta=3),
            lambda h: h._replace(records_count=0, last_offset_delta=-1),
            lambda h: h._replace(records_count=-1, last_offset_delta=-2),
            lambda h: h._replace(base_offset=1),
        ):
            self.assertEqual(self.refused(changed(data, change)), INVALID)

    def test_attributes_that_clients_do_not_set(self) -> None:
        data = batch()
        for bits, code in (
            (batches.CONTROL_BIT, INVALID),
            (batches.DELETE_HORIZON_BIT, INVALID),
            (batches.LOG_APPEND_TIME_BIT, ErrorCode.INVALID_TIMESTAMP),
            (5, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
            (7, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
        ):
            self.assertEqual(self.refused(changed(data, lambda h, bits=bits: h._replace(attributes=bits))), code)

    def test_zstd_came_with_version_7(self) -> None:
        data = memoryview(batch(codec=4))
        check_produced(data, 7)
        self.assertEqual(self.refused(data, 6), ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)

    def test_an_idempotent_producer_numbers_its_batches(self) -> None:
        for producer in ((5, 0, -1), (5, -1, 0)):
            self.assertEqual(self.refused(memoryview(batch(producer=producer))), INVALID)

    @given(st.data())
    def test_any_changed_byte_is_refused_or_lies_before_the_crc(self, data: st.DataObject) -> None:
        raw = batch()
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] ^= data.draw(st.integers(1, 255))
        try:
            check_produced(memoryview(raw), 9)
        except BatchError:
            return
        self.assertTrue(12 <= at < 16, f"byte {at}")  # the leader epoch, which the broker overwrites


class StampTest(unittest.TestCase):
    def test_offset_and_epoch_without_another_crc(self) -> None:
        data = blob(2, 3)
        second = read_header(data).size_bytes
        stamp(memoryview(data), second, 2**40, 7)
        header = read_header(data, second)
        self.assertEqual((header.base_offset, header.last_offset, header.leader_epoch), (2**40, 2**40 + 2, 7))
        batches.check_crc(data, second, header)
        self.assertEqual(read_header(data).base_offset, 0)

    def test_append_time_with_another_crc(self) -> None:
        data = blob(2, 3)
        second = read_header(data).size_bytes
        batches.stamp_append_time(memoryview(data), second, 5_000)
        header = read_header(data, second)
        batches.check_crc(data, second, header)
        self.assertTrue(header.has_log_append_time)
        self.assertEqual({record.timestamp_ms for record in records_of(data, second)}, {5_000})
        self.assertFalse(read_header(data).has_log_append_time)

    def test_assemble_is_the_inverse_of_reading(self) -> None:
        data = batch(4, codec=1, producer=(1, 2, 3))
        header = read_header(data)
        self.assertEqual(batches.assemble(header._replace(crc=1, batch_length=2, magic=0), data[61:]), data)
