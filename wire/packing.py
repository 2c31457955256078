"""Kafka's primitive types, written: the small pieces that answers and records packed by hand consist of.

What is written is our own, so a value that doesn't fit raises struct.error, which is its writer's fault.
"""

from functools import lru_cache
from struct import Struct
from typing import Final


def uvarint(value: int) -> bytes:
    """`value` as an unsigned varint."""
    if value < 0x80:
        return _ONE_BYTE[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def compact_bytes(value: bytes | None) -> bytes:
    return b"\x00" if value is None else uvarint(len(value) + 1) + value


def compact_string(value: str | None) -> bytes:
    return b"\x00" if value is None else compact_bytes(value.encode())


def legacy_string(value: str | None) -> bytes:
    """Raises struct.error beyond 32 767 bytes, which is its writer's fault."""
    if value is None:
        return b"\xff\xff"
    raw = value.encode()
    return _INT16.pack(len(raw)) + raw


@lru_cache(maxsize=4096)
def packed_name(name: str, compact: bool) -> bytes:
    """A topic's name as it stands in answers; the same few come again and again."""
    return compact_string(name) if compact else legacy_string(name)


def array_head(count: int, compact: bool) -> bytes:
    return uvarint(count + 1) if compact else _INT32.pack(count)


def tagged(tag: int, value: bytes) -> bytes:
    """One tagged field, of which the count stands before the first."""
    return uvarint(tag) + uvarint(len(value)) + value


def varlong(value: int) -> bytes:
    """`value` as a zigzag varlong; a varint is the same within 32 bits."""
    return uvarint((value << 1) ^ (value >> 63))


_INT16: Final = Struct(">h")
_INT32: Final = Struct(">i")
_ONE_BYTE: Final = tuple(bytes((value,)) for value in range(0x80))
