"""Record batches, format v2: their headers, read, checked and stamped where they lie (Kafka's DefaultRecordBatch.java).

The problem: a batch arrives, is checked, gets its offset, is stored, and is served a thousand times; whoever takes it
apart on that way pays for each record. All that a broker must know stands in the first 61 bytes, and the two fields
that it must change, base offset and leader epoch, stand before what the CRC covers. So a batch is changed in place
(even in the receive buffer) and stays the same bytes on the wire, in memory and on disk. Records are for
`wire.records`.

    0 base offset   8 length (of what follows)  12 leader epoch   16 magic   17 CRC-32C of all that follows it
    21 attributes   23 last offset delta   27 base timestamp   35 max timestamp   43 producer id   51 producer epoch
    53 base sequence   57 count of records   61 records

What holds: whatever the bytes, these functions return or raise BatchError, and look at nothing beyond the data given.
Formats v0 and v1 are gone, as in Kafka 4 (KIP-724).
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final, NamedTuple

import google_crc32c

from wire.errors import ErrorCode
from wire.primitives import Data

HEADER_SIZE: Final = 61
LENGTH_END: Final = 12
"""Bytes up to and with the length field, which its number doesn't count."""

MAGIC: Final = 2

COMPRESSION_BITS: Final = 0x07
LOG_APPEND_TIME_BIT: Final = 0x08
TRANSACTIONAL_BIT: Final = 0x10
CONTROL_BIT: Final = 0x20
DELETE_HORIZON_BIT: Final = 0x40

ZSTD_FROM_PRODUCE: Final = 7
"""The first Produce version that may carry zstd (KIP-110)."""

NO_PRODUCER: Final = -1
NO_TIMESTAMP: Final = -1

MAX_SEQUENCE: Final = 2**31 - 1
"""The last sequence number; 0 follows."""

_CHUNK: Final = 64 * 1024
"""google_crc32c takes only `bytes`, so what it sees is a copy: of pieces that stay in the cache (62 us for 1 MiB, where
whole copies take 70 us and a MiB; the CRC itself takes 37 us)."""


class BatchError(Exception):
    """A batch that can't be stored or read. `code` is Kafka's answer to it: corrupt (try again) or invalid (don't)."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class BatchHeader(NamedTuple):
    """A batch's header, field by field. Times are in ms since 1970; -1 stands for none."""

    base_offset: int
    batch_length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp_ms: int
    max_timestamp_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records_count: int

    @property
    def size_bytes(self) -> int:
        """Of the whole batch, header included."""
        return LENGTH_END + self.batch_length

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """The last record's sequence number, -1 without one; numbers wrap after MAX_SEQUENCE."""
        if self.base_sequence < 0:
            return -1
        return (self.base_sequence + self.last_offset_delta) & MAX_SEQUENCE

    @property
    def compression(self) -> int:
        """The codec's number, as in `wire.compression`."""
        return self.attributes & COMPRESSION_BITS

    @property
    def has_log_append_time(self) -> bool:
        return bool(self.attributes & LOG_APPEND_TIME_BIT)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL_BIT)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL_BIT)

    @property
    def delete_horizon_ms(self) -> int | None:
        """When compaction may remove the tombstones within (KIP-534); record times are relative to it then."""
        return self.base_timestamp_ms if self.attributes & DELETE_HORIZON_BIT else None


# --- reading -----------------------------------------------------------------------------------------------


def read_header(data: Data, at: int = 0) -> BatchHeader:
    """The header of the batch at `at`. Raises BatchError if 61 bytes aren't there or can't be a header of format v2.

    Says nothing about the bytes behind the header: compare `size_bytes`, and `check_crc`.
    """
    if len(data) - at < HEADER_SIZE:
        raise _corrupt(f"{len(data) - at} bytes where a batch's header of {HEADER_SIZE} should be")
    header = BatchHeader._make(_HEADER.unpack_from(data, at))
    if header.magic != MAGIC:
        known = 0 <= header.magic < MAGIC  # by Kafka, which has forgotten how to read them
        raise (_invalid if known else _corrupt)(f"message format {header.magic}, where only {MAGIC} is spoken")
    if header.batch_length < HEADER_SIZE - LENGTH_END:
        raise _corrupt(f"a batch of length {header.batch_length}, smaller than its header")
    return header


def walk(data: Data, at: int = 0) -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of each whole batch from `at` on; a last one that is cut off is left out.

    Raises BatchError where a header is malformed. CRCs are not looked at.
    """
    while len(data) - at >= HEADER_SIZE:
        header = read_header(data, at)
        end = at + header.size_bytes
        if end > len(data):
            return
        yield at, header
        at = end


def find(data: Data, offset: int, at: int = 0) -> int | None:
    """The position of the first batch that reaches `offset`: the one which holds it, or after a gap the next one.

    None if all end before it. A Fetch from the middle of a batch begins there, with the whole batch.
    """
    for position, header in walk(data, at):
        if header.last_offset >= offset:
            return position
    return None


def whole_end(data: Data, max_bytes: int, at: int = 0, before_offset: int | None = None) -> int:
    """Where the last batch ends that lies within `max_bytes` from `at` and below `before_offset` (as a high watermark).

    The first batch counts even if it is larger than `max_bytes` (KIP-74).
    """
    end = at
    for position, header in walk(data, at):
        stop = position + header.size_bytes
        if before_offset is not None and header.last_offset >= before_offset:
            break
        if stop - at > max_bytes and position > at:
            break
        end = stop
    return end


def crc32c(data: Data, start: int, end: int) -> int:
    """CRC-32C of `data[start:end]`."""
    view = memoryview(data)
    if end - start <= _CHUNK:
        return _crc_of(bytes(view[start:end]))
    crc = 0
    for at in range(start, end, _CHUNK):
        crc = _crc_on(crc, bytes(view[at : min(at + _CHUNK, end)]))
    return crc


def check_crc(data: Data, at: int, header: BatchHeader) -> None:
    """Raises BatchError if the batch at `at` isn't whole or its CRC isn't that of its bytes."""
    end = at + header.size_bytes
    if end > len(data):
        raise _corrupt(f"a batch of {header.size_bytes} bytes, of which {len(data) - at} are there")
    if crc32c(data, at + _ATTRIBUTES_AT, end) != header.crc:
        raise _corrupt("the CRC isn't that of the batch")


# --- a producer's batch --------------------------------------------------------------------------------------


def check_produced(records: memoryview | None, version: int) -> BatchHeader:
    """The header of the one batch that a client's Produce of `version` has for a partition, checked but for its
    records.

    Raises BatchError with the codes of Kafka's ProduceRequest.validateRecords and LogValidator: CORRUPT_MESSAGE,
    INVALID_RECORD, INVALID_TIMESTAMP, UNSUPPORTED_COMPRESSION_TYPE. Size limits are the topic's.
    """
    if not records or len(records) < HEADER_SIZE:
        raise _invalid("no record batch")
    header = read_header(records)
    if header.size_bytes != len(records):
        raise _invalid("not one whole record batch")
    check_crc(records, 0, header)
    if header.base_offset or header.records_count != header.last_offset_delta + 1 or header.last_offset_delta < 0:
        raise _invalid(f"{header.records_count} records from {header.base_offset} to {header.last_offset}")
    if header.attributes & ~TRANSACTIONAL_BIT:
        _check_attributes(header, version)
    if header.producer_id >= 0 and (header.base_sequence < 0 or header.producer_epoch < 0):
        raise _invalid("an idempotent producer's batch without a sequence number or epoch")
    return header


def _check_attributes(header: BatchHeader, version: int) -> None:
    codec = header.compression
    if codec > _ZSTD or (codec == _ZSTD and version < ZSTD_FROM_PRODUCE):
        raise BatchError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"codec {codec} with Produce {version}")
    if header.attributes & (CONTROL_BIT | DELETE_HORIZON_BIT):
        raise _invalid("clients don't write control batches or delete horizons")
    if header.has_log_append_time:
        raise BatchError(ErrorCode.INVALID_TIMESTAMP, "clients don't set the log append time")


# --- stamping, in place ------------------------------------------------------------------------------------


def stamp(data: bytearray | memoryview, at: int, base_offset: int, leader_epoch: int) -> None:
    """Give the batch at `at` its offset and its leader's epoch. Both lie before what the CRC covers."""
    _BASE_OFFSET.pack_into(data, at, base_offset)
    _LEADER_EPOCH.pack_into(data, at + _LEADER_EPOCH_AT, leader_epoch)


def stamp_append_time(data: bytearray | memoryview, at: int, timestamp_ms: int) -> None:
    """Make `timestamp_ms` the time of all records of the batch at `at` (LogAppendTime), and mend its CRC."""
    header = read_header(data, at)
    attributes = header.attributes | LOG_APPEND_TIME_BIT
    _ATTRIBUTES.pack_into(data, at + _ATTRIBUTES_AT, attributes)
    _TIMESTAMP.pack_into(data, at + _MAX_TIMESTAMP_AT, timestamp_ms)
    seal(data, at, header.size_bytes)


def seal(data: bytearray | memoryview, at: int, size_bytes: int) -> None:
    """Write the CRC of the batch at `at`."""
    _CRC.pack_into(data, at + _CRC_AT, crc32c(data, at + _ATTRIBUTES_AT, at + size_bytes))


def assemble(header: BatchHeader, payload: Data) -> bytearray:
    """A batch of `header` and `payload`, compressed as the attributes say; length, magic and CRC are filled in here."""
    length = HEADER_SIZE - LENGTH_END + len(payload)
    batch = bytearray(HEADER_SIZE)
    _HEADER.pack_into(batch, 0, *header._replace(batch_length=length, magic=MAGIC, crc=0))
    batch += payload
    seal(batch, 0, len(batch))
    return batch


def _corrupt(reason: str) -> BatchError:
    return BatchError(ErrorCode.CORRUPT_MESSAGE, reason)


def _invalid(reason: str) -> BatchError:
    return BatchError(ErrorCode.INVALID_RECORD, reason)


_crc_of: Final[Callable[[bytes], int]] = google_crc32c.value  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
_crc_on: Final[Callable[[int, bytes], int]] = google_crc32c.extend  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
_HEADER: Final = Struct(">qiibIhiqqqhii")
_BASE_OFFSET: Final = Struct(">q")
_LEADER_EPOCH: Final = Struct(">i")
_CRC: Final = Struct(">I")
_ATTRIBUTES: Final = Struct(">h")
_TIMESTAMP: Final = Struct(">q")
_LEADER_EPOCH_AT: Final = 12
_CRC_AT: Final = 17
_ATTRIBUTES_AT: Final = 21
_MAX_TIMESTAMP_AT: Final = 35
_ZSTD: Final = 4
