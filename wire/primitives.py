"""Kafka's primitive types, read from bytes that nobody vouches for (Kafka protocol guide, "Protocol primitive
types"; KIP-482 for the compact forms and tagged fields).

The problem: a length comes before what it measures, so a reader that believes it can be made to reserve gigabytes
by five bytes. Here nothing is believed: a length is compared with the bytes that remain, and an array's count also
with the smallest size that its elements can have, before anything is reserved. As an element of three bytes becomes
an object of a hundred, the elements of one message are limited as a whole too.

What holds: whatever the bytes, a `Reader` returns a value or raises WireError, in time and memory proportional to
the bytes. Null and empty are kept apart. The road not taken: to be lenient where Java is by accident (any negative
length is null there, malformed UTF-8 is replaced); a client that sends such things is broken, and hears it at once.
"""

from struct import Struct
from struct import error as StructError
from typing import Final, TypeVar
from uuid import UUID

MAX_ELEMENTS: Final = 100_000
"""Array elements and tagged fields of one message altogether: librdkafka's limit for partitions
(RD_KAFKAP_PARTITIONS_MAX), more than any request that a broker answers in reasonable time."""

MAX_STRING: Final = 0x7FFF
"""Bytes of a string, compact or not: Kafka's generated readers refuse longer ones, and its older forms can't hold them,
in which the same names are stored and answered."""

MAX_UVARINT_SIZE: Final = 5
"""Bytes of an unsigned varint, which holds 32 bits (Kafka's ByteUtils.readUnsignedVarint)."""

MAX_VARLONG_SIZE: Final = 10
"""Bytes of a zigzag varlong, which holds 64 bits."""

Data = bytes | bytearray | memoryview

T = TypeVar("T")


class WireError(Exception):
    """The bytes aren't what the protocol says. The peer's fault; what follows on its connection can't be trusted."""


class Reader:
    """Reads primitives one after another from `data`, beginning at `at`. Each raises WireError where it can't.

    `at` is the offset of the next byte. After a WireError the reader is of no more use.
    """

    __slots__ = ("_data", "_elements_left", "_size", "at")

    def __init__(self, data: Data, at: int = 0) -> None:
        self._data = memoryview(data)
        self._size = len(data)
        self._elements_left = MAX_ELEMENTS
        self.at = at

    @property
    def left(self) -> int:
        """How many bytes remain."""
        return self._size - self.at

    def expect_end(self) -> None:
        """Refuse bytes behind the message: sender and reader don't mean the same schema."""
        if self.at != self._size:
            raise WireError(f"{self.left} bytes behind the end of the message")

    def boolean(self) -> bool:
        """Any byte but 0 is true, as in Java's reader."""
        return self.int8() != 0

    def int8(self) -> int:
        return self._fixed(_INT8)

    def int16(self) -> int:
        return self._fixed(_INT16)

    def int32(self) -> int:
        return self._fixed(_INT32)

    def int64(self) -> int:
        return self._fixed(_INT64)

    def uint16(self) -> int:
        return self._fixed(_UINT16)

    def uint32(self) -> int:
        return self._fixed(_UINT32)

    def float64(self) -> float:
        return self._fixed(_FLOAT64)

    def fields(self, layout: Struct) -> tuple[int, ...]:
        """Several fixed fields at once."""
        at = self.at
        self.at = at + layout.size
        try:
            return layout.unpack_from(self._data, at)
        except StructError:
            raise _short() from None

    def uuid(self) -> UUID | None:
        """None for the zero id, which stands for "no topic" and the like."""
        raw = self.raw_uuid()
        return None if raw == NO_UUID else UUID(bytes=raw)

    def raw_uuid(self) -> bytes:
        """The 16 bytes as they are: making a UUID of them takes longer than all else in a Fetch."""
        start = self.at
        self.at = start + 16
        raw = bytes(self._data[start : start + 16])
        if len(raw) != 16:
            raise _short()
        return raw

    def uvarint(self) -> int:
        """An unsigned varint of at most 32 bits."""
        try:
            first = self._data[self.at]
        except IndexError:
            raise _short() from None
        if first < 0x80:
            self.at += 1
            return first
        return self._long_uvarint()

    def slice(self, size: int) -> memoryview:
        """The next `size` bytes, not copied."""
        start = self.at
        end = start + size
        if size < 0 or end > self._size:
            raise _short()
        self.at = end
        return self._data[start:end]

    # --- lengths: None is null ------------------------------------------------------------------------

    def compact_size(self) -> int | None:
        """The length of a compact string or bytes, already known to fit."""
        at = self.at
        if at < self._size and (first := self._data[at]) < 0x80:
            size = first - 1
            self.at = at + 1
        else:
            size = self.uvarint() - 1
        if size > self._size - self.at:
            raise _short()
        return size if size >= 0 else None

    def short_size(self) -> int | None:
        return self._checked(self.int16())

    def long_size(self) -> int | None:
        return self._checked(self.int32())

    def compact_count(self, element_size: int) -> int | None:
        """The count of a compact array, whose elements are of at least `element_size` bytes each."""
        count = self.uvarint() - 1
        return self._counted(count, element_size) if count >= 0 else None

    def count(self, element_size: int) -> int | None:
        """The same of a legacy array."""
        count = self.int32()
        if count >= 0:
            return self._counted(count, element_size)
        if count == -1:
            return None
        raise WireError("a negative count")

    # --- strings and bytes: None is null --------------------------------------------------------------

    def compact_string(self) -> str | None:
        size = self.compact_size()
        if size is None:
            return None
        if size > MAX_STRING:
            raise WireError(f"a string of more than {MAX_STRING} bytes")
        return self._string(size)

    def legacy_string(self) -> str | None:
        size = self.short_size()
        return None if size is None else self._string(size)

    def compact_view(self) -> memoryview | None:
        """Compact bytes or records, not copied."""
        size = self.compact_size()
        return None if size is None else self.slice(size)

    def legacy_view(self) -> memoryview | None:
        size = self.long_size()
        return None if size is None else self.slice(size)

    # --- tagged fields ----------------------------------------------------------------------------------

    def tag_count(self) -> int:
        """How many tagged fields follow, each of at least a tag and a length. Mostly none, and one byte says so."""
        at = self.at
        if at < self._size and self._data[at] == 0:
            self.at = at + 1
            return 0
        return self._counted(self.uvarint(), 2)

    def tag(self) -> tuple[int, int]:
        """A tagged field's tag and where it ends."""
        tag, size = self.uvarint(), self.uvarint()
        if size > self._size - self.at:
            raise _short()
        return tag, self.at + size

    def skip_tags(self) -> None:
        """Skip tagged fields that nobody here knows (KIP-482)."""
        for _ in range(self.tag_count()):
            self.at = self.tag()[1]

    # --- inside -------------------------------------------------------------------------------------------

    def _fixed(self, layout: Struct) -> int:
        at = self.at
        self.at = at + layout.size
        try:
            return layout.unpack_from(self._data, at)[0]
        except StructError:
            raise _short() from None

    def _long_uvarint(self) -> int:
        value, shift = 0, 0
        for byte in self._data[self.at : self.at + MAX_UVARINT_SIZE]:
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                self.at += shift // 7
                return value
        raise WireError("an unsigned varint without an end")

    def _checked(self, size: int) -> int | None:
        if size > self._size - self.at:
            raise _short()
        if size >= 0:
            return size
        if size == -1:
            return None
        raise WireError("a negative length")

    def _counted(self, count: int, element_size: int) -> int:
        if count * element_size > self._size - self.at:
            raise _short()
        self._elements_left -= count
        if self._elements_left < 0:
            raise WireError(f"more than {MAX_ELEMENTS} elements in one message")
        return count

    def _string(self, size: int) -> str:
        start = self.at
        self.at = start + size
        try:
            return str(self._data[start : start + size], "utf-8")
        except UnicodeDecodeError:
            raise WireError("a string that isn't UTF-8") from None


def present(value: T | None) -> T:
    """`value`, where the schema allows no null. Raises WireError."""
    if value is None:
        raise WireError("null where the schema allows none")
    return value


# --- varints of records: zigzag, so that small negatives are short --------------------------------------


def varlong_at(data: Data, at: int) -> tuple[int, int]:
    """The zigzag varint or varlong at `at`, and the offset behind it. Raises WireError."""
    try:
        byte = data[at]
        at += 1
        value = byte & 0x7F
        shift = 7
        while byte >= 0x80:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 7 * MAX_VARLONG_SIZE:
                raise WireError("a varlong without an end")
    except IndexError:
        raise _short() from None
    return (value >> 1) ^ -(value & 1), at


def _short() -> WireError:
    return WireError("the message ends before its fields do, or a length is beyond its end")


NO_UUID: Final = bytes(16)

_INT8: Final = Struct(">b")
_INT16: Final = Struct(">h")
_INT32: Final = Struct(">i")
_INT64: Final = Struct(">q")
_UINT16: Final = Struct(">H")
_UINT32: Final = Struct(">I")
_FLOAT64: Final = Struct(">d")
