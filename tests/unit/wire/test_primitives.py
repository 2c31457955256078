"""`wire.primitives`: lengths are not believed, null is not empty."""

import unittest
from collections.abc import Callable
from struct import Struct
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from kio.serial import readers

from wire import packing, primitives
from wire.primitives import MAX_ELEMENTS, Reader, WireError

Read = Callable[[Reader], object]


class FixedTest(unittest.TestCase):
    def test_each_is_big_endian_and_moves_on(self) -> None:
        reader = Reader(bytes.fromhex("ff fffe fffffffd fffffffffffffffc ffff ffffffff 01 3ff8000000000000"))
        self.assertEqual((reader.int8(), reader.int16(), reader.int32(), reader.int64()), (-1, -2, -3, -4))
        self.assertEqual((reader.uint16(), reader.uint32()), (2**16 - 1, 2**32 - 1))
        self.assertEqual((reader.boolean(), reader.float64()), (True, 1.5))
        reader.expect_end()

    def test_none_reads_beyond_the_end(self) -> None:
        reads: list[Read] = [Reader.int8, Reader.int16, Reader.int32, Reader.int64, Reader.uint16, Reader.uint32]
        reads += [Reader.float64, Reader.uuid, Reader.raw_uuid, Reader.uvarint, Reader.skip_tags, Reader.compact_string]
        reads += [Reader.legacy_string, Reader.compact_view, Reader.legacy_view, lambda reader: reader.count(1)]
        reads += [lambda reader: reader.compact_count(1), lambda reader: reader.fields(Struct(">ii"))]
        for read in reads:
            with self.assertRaises(WireError):
                read(Reader(b""))
            with self.assertRaises(WireError):
                read(Reader(b"abc", 3))

    def test_what_is_left_is_refused_at_the_end(self) -> None:
        reader = Reader(b"\x00\x00\x00")
        reader.int16()
        self.assertEqual(reader.left, 1)
        self.assertRaises(WireError, reader.expect_end)

    def test_a_uuid_of_zeros_is_none(self) -> None:
        self.assertIsNone(Reader(bytes(16)).uuid())
        self.assertEqual(Reader(b"a" * 16).uuid(), UUID(bytes=b"a" * 16))
        self.assertEqual(Reader(b"a" * 16).raw_uuid(), b"a" * 16)
        self.assertRaises(WireError, Reader(b"a" * 15).raw_uuid)


class VarintTest(unittest.TestCase):
    @given(st.integers(0, 2**31 - 1))
    def test_unsigned_as_kio_has_it(self, value: int) -> None:
        data = packing.uvarint(value)
        self.assertEqual(readers.read_unsigned_varint(data, 0), (value, len(data)))
        self.assertEqual(Reader(data).uvarint(), value)

    @given(st.integers(-(2**63), 2**63 - 1))
    def test_zigzag_as_kio_has_it(self, value: int) -> None:
        data = packing.varlong(value)
        self.assertEqual(readers.read_signed_varlong(data, 0), (value, len(data)))
        self.assertEqual(primitives.varlong_at(b"x" + data, 1), (value, 1 + len(data)))

    def test_one_without_an_end_is_refused(self) -> None:
        for data in (b"\x80", b"\xff" * 4, b"\xff" * 5, b"\xff" * 100):
            self.assertRaises(WireError, Reader(data).uvarint)
        for data in (b"", b"\x80", b"\xff" * 10, b"\xff" * 100):
            self.assertRaises(WireError, primitives.varlong_at, data, 0)


class StringTest(unittest.TestCase):
    @given(st.none() | st.text(max_size=200))
    def test_both_forms_as_written(self, value: str | None) -> None:
        for read, write in (
            (Reader.compact_string, packing.compact_string),
            (Reader.legacy_string, packing.legacy_string),
        ):
            reader = Reader(write(value) + b"rest")
            self.assertEqual(read(reader), value)
            self.assertEqual(reader.left, 4)

    def test_a_length_beyond_the_end_is_refused(self) -> None:
        for read, data in (
            (Reader.compact_string, b"\x05abc"),
            (Reader.compact_string, b"\xff\xff\xff\xff\x0fabc"),
            (Reader.legacy_string, b"\x00\x04abc"),
            (Reader.legacy_view, b"\x7f\xff\xff\xffabc"),
            (Reader.compact_view, b"\xff\xff\xff\xff\x7fabc"),
        ):
            self.assertRaises(WireError, read, Reader(data))

    def test_negative_lengths_but_null_are_refused(self) -> None:
        self.assertIsNone(Reader(b"\xff\xff").legacy_string())
        self.assertIsNone(Reader(b"\xff\xff\xff\xff").legacy_view())
        self.assertIsNone(Reader(b"\xff\xff\xff\xff").count(1))
        self.assertRaises(WireError, Reader(b"\xff\xfe").legacy_string)
        self.assertRaises(WireError, Reader(b"\xff\xff\xff\xfe").legacy_view)
        self.assertRaises(WireError, lambda: Reader(b"\xff\xff\xff\xfe").count(1))

    def test_what_is_not_utf_8_is_refused(self) -> None:
        for raw in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80"):
            self.assertRaises(WireError, Reader(bytes((len(raw) + 1,)) + raw).compact_string)

    def test_a_string_is_no_longer_than_older_forms_can_hold(self) -> None:
        longest = "x" * 32_767
        self.assertEqual(Reader(packing.compact_string(longest)).compact_string(), longest)
        self.assertRaises(WireError, Reader(packing.compact_string(longest + "x")).compact_string)

    def test_views_are_of_the_same_bytes(self) -> None:
        data = bytearray(b"\x04abc")
        view = Reader(memoryview(data)).compact_view()
        assert view is not None
        data[1:2] = b"A"
        self.assertEqual(bytes(view), b"Abc")


class ArrayTest(unittest.TestCase):
    def test_a_count_that_can_not_fit_is_refused(self) -> None:
        self.assertEqual(Reader(b"\x00\x00\x00\x02abcd").count(2), 2)
        self.assertRaises(WireError, lambda: Reader(b"\x00\x00\x00\x02abc").count(2))
        self.assertEqual(Reader(b"\x03abcd").compact_count(2), 2)
        self.assertRaises(WireError, lambda: Reader(b"\x03abc").compact_count(2))

    def test_all_arrays_of_a_message_share_one_limit(self) -> None:
        half = MAX_ELEMENTS // 2
        reader = Reader(packing.uvarint(half + 1) * 3 + bytes(MAX_ELEMENTS))
        self.assertEqual((reader.compact_count(1), reader.compact_count(1)), (half, half))
        self.assertRaises(WireError, reader.compact_count, 1)

    def test_present(self) -> None:
        self.assertEqual(primitives.present(0), 0)
        self.assertRaises(WireError, primitives.present, None)


class TagsTest(unittest.TestCase):
    def test_skipped_whatever_they_are(self) -> None:
        reader = Reader(b"\x02" + packing.tagged(1, b"abc") + packing.tagged(10_000, b"") + b"end")
        reader.skip_tags()
        self.assertEqual(reader.left, 3)

    def test_one_beyond_the_end_is_refused(self) -> None:
        self.assertRaises(WireError, Reader(b"\x01\x00\x04abc").skip_tags)
        self.assertRaises(WireError, Reader(b"\xff\xff\xff\xff\x0f").skip_tags)
