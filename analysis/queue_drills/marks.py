"""How a message says who sent it: a head, a checksum, and bytes whose number the seed draws. Pure."""

import struct
import zlib
from typing import Final, NamedTuple

HEAD: Final = struct.Struct(">IIQI")
"""Producer, partition, number, CRC-32 of these and of the filling."""
_SIGNED: Final = struct.Struct(">IIQ")


class Mark(NamedTuple):
    producer: int
    partition: int
    number: int


def marked(mark: Mark, filling: bytes) -> bytes:
    return HEAD.pack(*mark, _checksum(_SIGNED.pack(*mark), filling)) + filling


def mark_of(value: bytes) -> Mark | None:
    """None if the bytes are not whole, or not ours."""
    if len(value) < HEAD.size:
        return None
    *fields, checksum = HEAD.unpack_from(value)
    if _checksum(value[: _SIGNED.size], value[HEAD.size :]) != checksum:
        return None
    return Mark(*fields)


def _checksum(signed: bytes, filling: bytes) -> int:
    return zlib.crc32(filling, zlib.crc32(signed))
