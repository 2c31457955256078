"""The four codecs of record batches, as Kafka's Java client reads and writes them (CompressionType.java).

The problem: compressed bytes come from strangers, and a kilobyte of them can stand for a gigabyte. So nothing is
decompressed but into a buffer of known size: gzip and raw snappy say how much they need or stop where told; for lz4 and
zstd the buffer begins at four times the input and grows fourfold while it proves too small, up to the limit. The work
is at most a third more than one pass, and the memory at most four times what honestly came out.

Two framings are peculiar to Kafka:
- snappy is xerial's stream, blocks of 32 KiB behind their lengths; librdkafka sends one raw block without any framing;
- lz4 frames must have independent blocks: Java refuses others, and cramjam's frames (as of 2.14) are of the other kind,
  so the frame (three bytes that never change, blocks of 64 KiB) is put together here, around cramjam's blocks.
"""

import zlib
from collections.abc import Callable
from struct import Struct
from typing import Final

import cramjam

from wire.primitives import Data, WireError

NONE: Final = 0
GZIP: Final = 1
SNAPPY: Final = 2
LZ4: Final = 3
ZSTD: Final = 4

NAMES: Final = ("none", "gzip", "snappy", "lz4", "zstd")
"""As `compression.type` has them; a codec's number is its place."""

MAX_DECOMPRESSED: Final = 100 * 1024 * 1024
"""Bytes that one batch may become: what could have been sent uncompressed (`socket.request.max.bytes`)."""

SNAPPY_BLOCK: Final = 32 * 1024
LZ4_BLOCK: Final = 64 * 1024

_FIRST_GUESS: Final = 4
_SNAPPY_RATIO: Final = 22
"""No raw snappy block expands further: its densest element makes 64 bytes of three."""


def decompress(codec: int, data: Data, limit: int = MAX_DECOMPRESSED) -> bytes | bytearray | memoryview:
    """`data` decompressed. Raises WireError if it is malformed, of an unknown codec, or of more than `limit` bytes."""
    if codec == NONE:
        return data
    if codec not in _DECOMPRESS:
        raise WireError(f"unknown codec {codec}")
    try:
        return _DECOMPRESS[codec](memoryview(data), limit)
    except (zlib.error, cramjam.DecompressionError) as error:
        raise WireError(f"malformed {NAMES[codec]}: {error}") from None


def compress(codec: int, data: Data) -> bytes:
    """`data` compressed as Java's client reads it. Raises KeyError for an unknown codec."""
    return bytes(data) if codec == NONE else _COMPRESS[codec](data)


def _gunzip(data: memoryview, limit: int) -> bytes:
    stream = zlib.decompressobj(wbits=_GZIP_BITS)
    out = stream.decompress(data, limit + 1)
    if len(out) > limit:
        raise _too_large(limit)
    if not stream.eof or stream.unused_data:
        raise WireError("gzip that doesn't end where it should")
    return out


def _unsnap(data: memoryview, limit: int) -> bytes | bytearray:
    if bytes(data[: len(_XERIAL_MAGIC)]) != _XERIAL_MAGIC:
        return _unsnap_block(data, limit)
    out = bytearray()
    at = _XERIAL_HEAD_SIZE
    while at < len(data):
        if len(data) - at < _INT32.size:
            raise WireError("snappy that ends within a length")
        size: int = _INT32.unpack_from(data, at)[0]
        at += _INT32.size
        if not 0 <= size <= len(data) - at:
            raise WireError("a snappy block beyond the end")
        out += _unsnap_block(data[at : at + size], limit - len(out))
        at += size
    return out


def _unsnap_block(data: memoryview, limit: int) -> bytearray:
    if not data:
        raise WireError("an empty snappy block")
    size = cramjam.snappy.decompress_raw_len(data)
    if size > limit:
        raise _too_large(limit)
    if size > len(data) * _SNAPPY_RATIO:
        raise WireError("a snappy block that claims more than it can hold")
    out = bytearray(size)
    cramjam.snappy.decompress_raw_into(data, out)
    return out


def _growing(into: Callable[[Data, bytearray], int]) -> Callable[[memoryview, int], memoryview]:
    def decompress_growing(data: memoryview, limit: int) -> memoryview:
        room = _FIRST_GUESS * len(data) + 1024
        while True:
            out = bytearray(min(room, limit))
            try:
                return memoryview(out)[: into(data, out)]
            except cramjam.DecompressionError as error:
                if _OUT_OF_ROOM not in str(error):
                    raise
            if room >= limit:
                raise _too_large(limit)
            room *= 4

    return decompress_growing


def _gzip(data: Data) -> bytes:
    stream = zlib.compressobj(wbits=_GZIP_BITS)
    return stream.compress(data) + stream.flush()


def _snap(data: Data) -> bytes:
    parts = [_XERIAL_MAGIC, _XERIAL_VERSIONS]
    for block in _blocks(data, SNAPPY_BLOCK):
        packed = bytes(cramjam.snappy.compress_raw(block))
        parts += (_INT32.pack(len(packed)), packed)
    return b"".join(parts)


def _lz4(data: Data) -> bytes:
    parts = [_LZ4_HEAD]
    for block in _blocks(data, LZ4_BLOCK):
        packed = bytes(cramjam.lz4.compress_block(block, store_size=False))
        if len(packed) < len(block):
            parts += (_UINT32_LITTLE.pack(len(packed)), packed)
        else:
            parts += (_UINT32_LITTLE.pack(len(block) | _LZ4_STORED), bytes(block))
    parts.append(_LZ4_END)
    return b"".join(parts)


def _zstd(data: Data) -> bytes:
    return bytes(cramjam.zstd.compress(data))


def _blocks(data: Data, size: int) -> list[memoryview]:
    view = memoryview(data)
    return [view[at : at + size] for at in range(0, len(view), size)]


def _too_large(limit: int) -> WireError:
    return WireError(f"more than {limit} bytes when decompressed")


_GZIP_BITS: Final = 31  # zlib's name for "with gzip's head and tail"
_OUT_OF_ROOM: Final = "failed to write whole buffer"  # Rust's io::ErrorKind::WriteZero; a test holds cramjam to it
_XERIAL_MAGIC: Final = b"\x82SNAPPY\x00"
_XERIAL_VERSIONS: Final = b"\x00\x00\x00\x01\x00\x00\x00\x01"
_XERIAL_HEAD_SIZE: Final = len(_XERIAL_MAGIC) + len(_XERIAL_VERSIONS)
_LZ4_HEAD: Final = b"\x04\x22\x4d\x18\x60\x40\x82"  # version 1, independent blocks of at most 64 KiB, the head's hash
_LZ4_END: Final = bytes(4)
_LZ4_STORED: Final = 0x80000000
_INT32: Final = Struct(">i")
_UINT32_LITTLE: Final = Struct("<I")

_DECOMPRESS: Final[dict[int, Callable[[memoryview, int], bytes | bytearray | memoryview]]] = {
    GZIP: _gunzip,
    SNAPPY: _unsnap,
    LZ4: _growing(cramjam.lz4.decompress_into),
    ZSTD: _growing(cramjam.zstd.decompress_into),
}
_COMPRESS: Final[dict[int, Callable[[Data], bytes]]] = {GZIP: _gzip, SNAPPY: _snap, LZ4: _lz4, ZSTD: _zstd}
