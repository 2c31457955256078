"""`wire.compression`: four codecs there and back, and no bomb."""

import gzip
import tracemalloc
import unittest
from random import Random

import aiokafka.codec
import cramjam
from hypothesis import given
from hypothesis import strategies as st
from support.kio_messages import harmed

from wire import compression
from wire.compression import GZIP, LZ4, LZ4_BLOCK, MAX_DECOMPRESSED, SNAPPY, SNAPPY_BLOCK, ZSTD, compress, decompress
from wire.primitives import WireError

CODECS = (GZIP, SNAPPY, LZ4, ZSTD)
THEIRS = {
    GZIP: (aiokafka.codec.gzip_encode, aiokafka.codec.gzip_decode),
    SNAPPY: (aiokafka.codec.snappy_encode, aiokafka.codec.snappy_decode),
    LZ4: (aiokafka.codec.lz4_encode, aiokafka.codec.lz4_decode),
    ZSTD: (aiokafka.codec.zstd_encode, aiokafka.codec.zstd_decode),
}


class ThereAndBackTest(unittest.TestCase):
    @given(st.binary(max_size=2_000), st.integers(1, 100))
    def test_any_bytes(self, data: bytes, times: int) -> None:
        data *= times
        for codec in CODECS:
            self.assertEqual(bytes(decompress(codec, compress(codec, data))), data)

    def test_many_blocks_and_none_that_shrinks(self) -> None:
        for size in (0, SNAPPY_BLOCK, SNAPPY_BLOCK + 1, LZ4_BLOCK, 3 * LZ4_BLOCK + 5):
            for data in (bytes(size), Random(1).randbytes(size)):
                for codec in CODECS:
                    self.assertEqual(bytes(decompress(codec, compress(codec, data))), data)

    def test_none_is_no_work(self) -> None:
        data = memoryview(b"abc")
        self.assertIs(decompress(0, data), data)
        self.assertEqual(compress(0, data), b"abc")

    def test_as_aiokafka_has_it(self) -> None:
        data = b"some data, " * 20_000
        for codec, (encode, decode) in THEIRS.items():
            self.assertEqual(bytes(decode(compress(codec, data))), data)
            self.assertEqual(bytes(decompress(codec, encode(data))), data)

    def test_snappy_without_framing_as_librdkafka_sends_it(self) -> None:
        self.assertEqual(decompress(SNAPPY, bytes(cramjam.snappy.compress_raw(b"abc" * 100))), b"abc" * 100)

    def test_lz4_blocks_are_independent_as_java_wants_them(self) -> None:
        frame = compress(LZ4, bytes(200_000))
        self.assertTrue(frame[4] & 0x20, "BLOCK_INDEPENDENCE")
        self.assertEqual(bytes(cramjam.lz4.decompress(frame)), bytes(200_000))

    def test_names_are_by_number(self) -> None:
        self.assertEqual([compression.NAMES[codec] for codec in CODECS], ["gzip", "snappy", "lz4", "zstd"])


class HostileTest(unittest.TestCase):
    def test_a_bomb_is_refused_with_little_memory(self) -> None:
        limit = 1 << 16
        for codec in CODECS:
            bomb = compress(codec, bytes(16 << 20))
            tracemalloc.start()
            with self.assertRaisesRegex(WireError, "when decompressed"):
                decompress(codec, bomb, limit)
            self.assertLess(tracemalloc.get_traced_memory()[1], 8 * limit, compression.NAMES[codec])
            tracemalloc.stop()

    def test_the_limit_itself_is_allowed(self) -> None:
        for codec in CODECS:
            for size in (5_000, 100_000):
                packed = compress(codec, bytes(size))
                self.assertEqual(len(decompress(codec, packed, size)), size)
                with self.assertRaises(WireError):
                    decompress(codec, packed, size - 1)

    def test_out_of_room_is_what_cramjam_calls_it(self) -> None:
        """The growth of the buffer hangs on this text: if it changes, this and the test of bombs say so."""
        for module in (cramjam.lz4, cramjam.zstd):
            with self.assertRaisesRegex(cramjam.DecompressionError, "failed to write whole buffer"):
                module.decompress_into(bytes(module.compress(bytes(1000))), bytearray(10))

    def test_harmed_bytes_raise_one_exception_only(self) -> None:
        random = Random(5)
        for turn in range(2_000):
            codec = CODECS[turn % 4]
            bad = harmed(compress(codec, random.randbytes(30) * random.randint(1, 40)), random)
            try:
                decompress(codec, bad, 1 << 20)
            except WireError:
                continue

    def test_cuts_and_tails_are_refused(self) -> None:
        for codec in CODECS:
            packed = compress(codec, b"abc" * 1_000)
            for bad in (b"", packed[:-1], packed[:-5], packed[: len(packed) // 2], packed + b"tail"):
                with self.assertRaises(WireError, msg=f"{compression.NAMES[codec]} {len(bad)}"):
                    decompress(codec, bad)

    def test_a_snappy_length_is_not_believed(self) -> None:
        for bad in (b"\xff\xff\xff\xff\x0fabc", b"\xff\xff\xff\x0fabc"):
            with self.assertRaises(WireError):
                decompress(SNAPPY, bad, MAX_DECOMPRESSED)

    def test_unknown_codecs(self) -> None:
        self.assertRaises(WireError, decompress, 5, b"abc")

    def test_gzip_of_others(self) -> None:
        self.assertEqual(decompress(GZIP, gzip.compress(b"abc", mtime=0)), b"abc")
