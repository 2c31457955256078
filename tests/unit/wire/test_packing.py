"""`wire.packing`: as kio writes, and as `wire.primitives` reads."""

import io
import unittest
from struct import error as StructError

from hypothesis import given
from hypothesis import strategies as st
from kio.serial import writers

from wire import packing
from wire.primitives import Reader


class StringTest(unittest.TestCase):
    @given(st.none() | st.text(max_size=200))
    def test_written_as_kio_writes(self, value: str | None) -> None:
        for ours, theirs in (
            (packing.compact_string, writers.write_nullable_compact_string),
            (packing.legacy_string, writers.write_nullable_legacy_string),
        ):
            with io.BytesIO() as buffer:
                theirs(buffer, value)
                self.assertEqual(ours(value), buffer.getvalue())

    def test_a_legacy_string_has_32_767_bytes_at_most(self) -> None:
        packing.legacy_string("x" * 32_767)
        self.assertRaises(StructError, packing.legacy_string, "x" * 32_768)


class WritingTest(unittest.TestCase):
    def test_names_and_heads(self) -> None:
        self.assertEqual(packing.packed_name("ab", True), b"\x03ab")
        self.assertEqual(packing.packed_name("ab", False), b"\x00\x02ab")
        self.assertEqual((packing.array_head(2, True), packing.array_head(2, False)), (b"\x03", b"\x00\x00\x00\x02"))
        self.assertEqual((packing.compact_bytes(None), packing.compact_bytes(b"")), (b"\x00", b"\x01"))

    @given(st.integers(0, 2**31 - 1), st.binary(max_size=300))
    def test_a_tagged_field_is_read_back(self, tag: int, value: bytes) -> None:
        reader = Reader(packing.tagged(tag, value))
        self.assertEqual(reader.tag(), (tag, reader.at + len(value)))
