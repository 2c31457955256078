"""`wire.records`: the same bytes as aiokafka's and kafka-python's, walked without belief."""

import contextlib
import unittest
from random import Random

from aiokafka.record.default_records import DefaultRecordBatch as AioBatch
from aiokafka.record.default_records import DefaultRecordBatchBuilder as AioBuilder
from hypothesis import given
from hypothesis import strategies as st
from support.kafka_python import DefaultRecordBatch, DefaultRecordBatchBuilder
from support.kio_messages import harmed

from wire import batches, compression
from wire.batches import BatchError, BatchHeader, assemble, read_header
from wire.packing import varlong
from wire.records import (
    NewRecord,
    encode_batch,
    encode_headers,
    encode_record,
    first_at_or_after,
    headers_of,
    rebuild,
    records_of,
    retime,
)

HEADERS = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=3)
RECORDS = st.lists(
    st.builds(
        NewRecord,
        st.integers(0, 2**45),
        st.none() | st.binary(max_size=130),
        st.none() | st.binary(max_size=300),
        HEADERS,
    ),
    min_size=1,
    max_size=20,
)
CODECS = st.sampled_from(range(5))


def taken_apart(data: bytes | bytearray) -> list[NewRecord]:
    return [
        NewRecord(
            record.timestamp_ms,
            None if record.key is None else bytes(record.key),
            None if record.value is None else bytes(record.value),
            headers_of(record),
        )
        for record in records_of(data)
    ]


class SecondOpinionTest(unittest.TestCase):
    @given(RECORDS)
    def test_byte_by_byte_as_aiokafka_writes(self, records: list[NewRecord]) -> None:
        builder = AioBuilder(2, 0, 1, 5, 6, 7, 1 << 30)
        for offset, record in enumerate(records):
            headers = list(record.headers)
            assert builder.append(offset, record.timestamp_ms, record.key, record.value, headers)
        ours = encode_batch(records, attributes=batches.TRANSACTIONAL_BIT, producer=(5, 6, 7))
        theirs = bytearray(builder.build())
        batches.stamp(theirs, 0, 0, -1)  # aiokafka leaves 0 for the broker to fill in
        self.assertEqual(bytes(ours), bytes(theirs))

    @given(RECORDS)
    def test_byte_by_byte_as_kafka_python_writes(self, records: list[NewRecord]) -> None:
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 30)
        for offset, record in enumerate(records):
            headers = [(name, value) for name, value in record.headers]
            assert builder.append(offset, record.timestamp_ms, record.key, record.value, headers)
        theirs = bytearray(builder.build())
        batches.stamp(theirs, 0, 0, -1)
        self.assertEqual(bytes(encode_batch(records)), bytes(theirs))

    @given(RECORDS, CODECS)
    def test_aiokafka_reads_ours(self, records: list[NewRecord], codec: int) -> None:
        theirs = AioBatch(bytes(encode_batch(records, codec=codec, base_offset=100)))
        self.assertTrue(theirs.validate_crc())
        found = [NewRecord(r.timestamp, r.key, r.value, [tuple(h) for h in r.headers]) for r in theirs]
        self.assertEqual(found, records)
        self.assertEqual(theirs.next_offset, 100 + len(records))

    @given(RECORDS, CODECS)
    def test_we_read_aiokafkas(self, records: list[NewRecord], codec: int) -> None:
        builder = AioBuilder(2, codec, 0, -1, -1, -1, 1 << 30)
        for offset, record in enumerate(records):
            assert builder.append(offset, record.timestamp_ms, record.key, record.value, list(record.headers))
        self.assertEqual(taken_apart(builder.build()), records)

    def test_kafka_python_reads_our_gzip(self) -> None:
        records = [NewRecord(5, b"k", b"v" * 1000)] * 3
        self.assertEqual(
            [r.value for r in DefaultRecordBatch(bytes(encode_batch(records, codec=1)))], [b"v" * 1000] * 3
        )


class WalkTest(unittest.TestCase):
    @given(RECORDS, CODECS)
    def test_what_was_put_in_comes_out(self, records: list[NewRecord], codec: int) -> None:
        data = b"before" + encode_batch(records, codec=codec, base_offset=50)
        self.assertEqual(taken_apart(data[6:]), records)
        found = list(records_of(data, 6))
        self.assertEqual([record.offset for record in found], list(range(50, 50 + len(records))))
        self.assertEqual(len({id(record.raw.obj) for record in found}), 1, "one piece of memory, not copied")

    def test_harmed_batches_raise_one_exception_only(self) -> None:
        random = Random(4)
        for turn in range(3_000):
            records = [NewRecord(5, b"k" * random.randrange(3), random.randbytes(20), [("h", b"x")])] * random.randint(
                1, 4
            )
            data = encode_batch(records, codec=turn % 5)
            bad = harmed(bytes(data[61:]), random)
            header = read_header(data)
            if turn % 3 == 0:
                header = header._replace(records_count=random.choice((0, -1, 2**31 - 1, 1000)))
            with contextlib.suppress(BatchError):
                for record in records_of(assemble(header, bad), limit=1 << 20):
                    headers_of(record)

    def test_counts_and_lengths_are_not_believed(self) -> None:
        record = encode_record(0, 0, b"k", b"v")
        header = read_header(encode_batch([NewRecord(0, b"k", b"v")]))
        for count, payload in (
            (2, record),
            (0, record),
            (-1, record),
            (2**31 - 1, record),
            (1, record[:-1]),
            (1, record + b"x"),
            (1, b"\x00" + record),
            (1, encode_record(1, 0, b"k", b"v")),
            (1, encode_record(-1, 0, b"k", b"v")),
            (1, encode_record(0, 2**63 - 1, None, None).replace(b"", b"", 1)[:4] + b"\xff" * 12),
            (1, varlong(40) + record[1:]),
            (1, varlong(-5) + record[1:]),
        ):
            bad = assemble(header._replace(records_count=count, base_timestamp_ms=2**62), payload)
            with self.assertRaises(BatchError):
                list(records_of(bad))

    def test_a_time_beyond_64_bits_is_refused(self) -> None:
        header = read_header(encode_batch([NewRecord(0, b"k", b"v")]))
        bad = assemble(header._replace(base_timestamp_ms=2**62), encode_record(0, 2**62, b"k", b"v"))
        self.assertRaises(BatchError, list, records_of(bad))

    def test_a_cut_batch_is_refused(self) -> None:
        data = encode_batch([NewRecord(0, b"k", b"v")])
        self.assertRaises(BatchError, list, records_of(data[:-1]))

    def test_malformed_headers_are_refused(self) -> None:
        header = read_header(encode_batch([NewRecord(0, None, None)]))
        for headers in (varlong(-1), varlong(9), varlong(1) + varlong(-1) + varlong(-1), varlong(1) + b"\x02\xff\x00"):
            data = assemble(header, encode_record(0, 0, None, None, headers))
            (record,) = records_of(data)
            self.assertRaises(BatchError, headers_of, record)

    def test_a_bomb_is_refused(self) -> None:
        header = read_header(encode_batch([NewRecord(0, None, None)]))
        for codec in range(1, 5):
            payload = compression.compress(codec, bytes(1 << 20))
            data = assemble(header._replace(attributes=codec), payload)
            with self.assertRaises(BatchError):
                list(records_of(data, limit=1 << 19))


class LookUpTest(unittest.TestCase):
    def test_the_first_record_not_older(self) -> None:
        data = encode_batch([NewRecord(time, None, None) for time in (10, 30, 20, 40)], base_offset=5)
        for time, offset in ((0, 5), (10, 5), (11, 6), (30, 6), (31, 8), (40, 8)):
            found = first_at_or_after(data, time)
            assert found is not None
            self.assertEqual(found.offset, offset)
        self.assertIsNone(first_at_or_after(data, 41))


class RebuildTest(unittest.TestCase):
    def setUp(self) -> None:
        new = [NewRecord(100 + time, b"k%d" % time, b"v", [("h", None)]) for time in range(6)]
        self.data = encode_batch(new, base_offset=20, producer=(1, 2, 3))
        self.header = read_header(self.data)

    def kept(self, *offsets: int, codec: int = 0) -> tuple[BatchHeader, bytearray]:
        header = self.header._replace(attributes=codec)
        data = rebuild(header, [record for record in records_of(self.data) if record.offset in offsets])
        return read_header(data), data

    def test_offsets_sequence_and_times_stay(self) -> None:
        for codec in range(5):
            header, data = self.kept(21, 23, codec=codec)
            batches.check_crc(data, 0, header)
            self.assertEqual((header.base_offset, header.last_offset, header.records_count), (20, 25, 2))
            self.assertEqual((header.last_sequence, header.max_timestamp_ms), (8, 103))
            self.assertEqual([(r.offset, r.timestamp_ms) for r in records_of(data)], [(21, 101), (23, 103)])

    def test_all_kept_is_the_same_batch(self) -> None:
        self.assertEqual(rebuild(self.header, records_of(self.data)), self.data)

    def test_a_batch_of_none_keeps_the_sequence_and_is_not_compressed(self) -> None:
        header, data = self.kept(codec=4)
        self.assertEqual((len(data), header.records_count, header.last_sequence), (61, 0, 8))
        self.assertEqual((header.compression, header.last_offset), (0, 25))
        self.assertEqual(list(records_of(data)), [])

    def test_another_base_time_leaves_the_records_theirs(self) -> None:
        data = retime(self.header, records_of(self.data), 5_000, batches.DELETE_HORIZON_BIT)
        self.assertEqual(read_header(data).delete_horizon_ms, 5_000)
        self.assertEqual(taken_apart(data), taken_apart(self.data))

    def test_an_append_time_stays_for_all(self) -> None:
        batches.stamp_append_time(self.data, 0, 900)
        header = read_header(self.data)
        data = rebuild(header, list(records_of(self.data))[:1])
        self.assertEqual([record.timestamp_ms for record in records_of(data)], [900])

    def test_headers_are_carried_as_they_are(self) -> None:
        self.assertEqual(headers_of(next(records_of(self.data))), [("h", None)])
        self.assertEqual(encode_headers([]), b"\x00")
