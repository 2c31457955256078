"""The records inside a batch: walked for compaction and look-ups by time, and put together for batches of our own.

Kafka's DefaultRecord.java: `size attributes timestamp-delta offset-delta key value headers`, where sizes, deltas and
the count of headers are zigzag varints and a key or value of size -1 is null. Nothing here is on the way of Produce or
Fetch.

What holds: whatever the bytes, walking them raises BatchError or yields records whose keys, values and headers lie
within the batch, not copied (after decompression, if there is any), at most as many as the header says, with offsets
and times that fit in 64 bits. A walk that ended has seen exactly as many as the header says, and all bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from wire import compression
from wire.batches import (
    COMPRESSION_BITS,
    HEADER_SIZE,
    MAGIC,
    NO_PRODUCER,
    BatchError,
    BatchHeader,
    assemble,
    read_header,
)
from wire.errors import ErrorCode
from wire.packing import varlong
from wire.primitives import Data, WireError, varlong_at

MIN_RECORD: Final = 7
"""Bytes of the smallest record, its size included: attributes, two deltas, null key, null value, no headers."""

Headers = Sequence[tuple[str, bytes | None]]


class Record(NamedTuple):
    """One record as it lies in its batch: `raw` is all of it, size included; `headers_of` takes `headers` apart."""

    offset: int
    timestamp_ms: int
    key: memoryview | None
    value: memoryview | None
    headers: memoryview
    raw: memoryview


class NewRecord(NamedTuple):
    """One record to be put into a batch."""

    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def records_of(
    data: Data, at: int = 0, header: BatchHeader | None = None, limit: int = compression.MAX_DECOMPRESSED
) -> Iterator[Record]:
    """The records of the whole batch at `at`, which may become `limit` bytes when decompressed. Raises BatchError."""
    header = read_header(data, at) if header is None else header
    try:
        payload = memoryview(compression.decompress(header.compression, _payload(data, at, header), limit))
        yield from _walk(payload, header)
    except WireError as error:
        raise _invalid(str(error)) from None


def headers_of(record: Record) -> list[tuple[str, bytes | None]]:
    """A record's headers in order. Raises BatchError."""
    data, found = record.headers, list[tuple[str, bytes | None]]()
    try:
        count, at = varlong_at(data, 0)
        if not 0 <= 2 * count <= len(data) - at:
            raise _invalid("more headers than bytes")
        for _ in range(count):
            name, at = _sized(data, at, len(data))
            value, at = _sized(data, at, len(data))
            if name is None:
                raise _invalid("a header without a name")
            found.append((str(name, "utf-8"), None if value is None else bytes(value)))
    except (WireError, UnicodeDecodeError) as error:
        raise _invalid(f"malformed headers: {error}") from None
    return found


def first_at_or_after(
    data: Data, timestamp_ms: int, at: int = 0, limit: int = compression.MAX_DECOMPRESSED
) -> Record | None:
    """The first record of the batch at `at` not older than `timestamp_ms`: ListOffsets by time. Raises BatchError."""
    header = read_header(data, at)
    if header.max_timestamp_ms < timestamp_ms:
        return None
    for record in records_of(data, at, header, limit):
        if record.timestamp_ms >= timestamp_ms:
            return record
    return None


# --- putting together -----------------------------------------------------------------------------------


def encode_record(
    offset_delta: int, timestamp_delta_ms: int, key: Data | None, value: Data | None, headers: Data = b"\x00"
) -> bytes:
    """One record's bytes; `headers` as `encode_headers` gives them, or those of a Record."""
    body = b"".join(
        (b"\x00", varlong(timestamp_delta_ms), varlong(offset_delta), *_sized_parts(key), *_sized_parts(value), headers)
    )
    return varlong(len(body)) + body


def encode_headers(headers: Headers) -> bytes:
    parts: list[Data] = [varlong(len(headers))]
    for name, value in headers:
        parts += _sized_parts(name.encode())
        parts += _sized_parts(value)
    return b"".join(parts)


def encode_batch(
    records: Sequence[NewRecord],
    *,
    codec: int = compression.NONE,
    base_offset: int = 0,
    leader_epoch: int = -1,
    attributes: int = 0,
    producer: tuple[int, int, int] = (NO_PRODUCER, -1, -1),
) -> bytearray:
    """A batch of one or more records with offsets one after another, as a producer writes it.

    `attributes` are the bits besides the codec; `producer` is (id, epoch, base sequence).
    """
    assert records, "a producer writes no empty batch"
    first_ms = records[0].timestamp_ms
    encoded = [
        encode_record(delta, record.timestamp_ms - first_ms, record.key, record.value, encode_headers(record.headers))
        for delta, record in enumerate(records)
    ]
    header = BatchHeader(
        base_offset,
        0,
        leader_epoch,
        MAGIC,
        0,
        attributes | codec,
        len(records) - 1,
        first_ms,
        max(record.timestamp_ms for record in records),
        *producer,
        len(records),
    )
    return assemble(header, compression.compress(codec, b"".join(encoded)))


def rebuild(header: BatchHeader, kept: Iterable[Record]) -> bytearray:
    """The batch of `header` with only those of its records that are `kept`: compaction.

    Base offset, last offset delta, sequence and base time stay, so the kept records' bytes do too; a batch of none is
    legal, and keeps its producer's last sequence (KAFKA-5793).
    """
    kept = list(kept)
    if not kept:
        return assemble(header._replace(records_count=0, attributes=header.attributes & ~COMPRESSION_BITS), b"")
    if not header.has_log_append_time:
        header = header._replace(max_timestamp_ms=max(record.timestamp_ms for record in kept))
    payload = compression.compress(header.compression, b"".join([record.raw for record in kept]))
    return assemble(header._replace(records_count=len(kept)), payload)


def retime(header: BatchHeader, kept: Iterable[Record], base_timestamp_ms: int, attributes: int) -> bytearray:
    """The same with another base time and attributes, as a delete horizon needs (KIP-534); record times stay."""
    moved = [
        record._replace(
            raw=memoryview(
                encode_record(
                    record.offset - header.base_offset,
                    record.timestamp_ms - base_timestamp_ms,
                    record.key,
                    record.value,
                    record.headers,
                )
            )
        )
        for record in kept
    ]
    return rebuild(header._replace(base_timestamp_ms=base_timestamp_ms, attributes=attributes), moved)


# --- inside -------------------------------------------------------------------------------------------------


def _payload(data: Data, at: int, header: BatchHeader) -> memoryview:
    if at + header.size_bytes > len(data):
        raise BatchError(ErrorCode.CORRUPT_MESSAGE, "a batch that is cut off")
    return memoryview(data)[at + HEADER_SIZE : at + header.size_bytes]


def _walk(data: memoryview, header: BatchHeader) -> Iterator[Record]:
    at, end = 0, len(data)
    if not 0 <= header.records_count * MIN_RECORD <= end:
        raise _invalid(f"{header.records_count} records in {end} bytes")
    for _ in range(header.records_count):
        size, body = varlong_at(data, at)
        if not MIN_RECORD - 1 <= size <= end - body:
            raise _invalid("a record beyond the end of its batch")
        yield _record(data, at, body, body + size, header)
        at = body + size
    if at != end:
        raise _invalid("bytes behind the last record")


def _record(data: memoryview, start: int, body: int, end: int, header: BatchHeader) -> Record:
    time_delta, at = varlong_at(data, body + 1)
    offset_delta, at = varlong_at(data, at)
    key, at = _sized(data, at, end)
    value, at = _sized(data, at, end)
    if at >= end or not 0 <= offset_delta <= header.last_offset_delta:
        raise _invalid("a record that ends too early, or of an offset outside of its batch")
    time = header.max_timestamp_ms if header.has_log_append_time else header.base_timestamp_ms + time_delta
    if not -_INT64 <= time < _INT64:
        raise _invalid("a time beyond 64 bits")
    return Record(header.base_offset + offset_delta, time, key, value, data[at:end], data[start:end])


def _sized(data: memoryview, at: int, end: int) -> tuple[memoryview | None, int]:
    size, at = varlong_at(data, at)
    if size == -1:
        return None, at
    if not 0 <= size <= end - at:
        raise WireError("a length beyond the end of its record")
    return data[at : at + size], at + size


def _sized_parts(value: Data | None) -> tuple[Data, ...]:
    return (_NULL,) if value is None else (varlong(len(value)), value)


def _invalid(reason: str) -> BatchError:
    return BatchError(ErrorCode.INVALID_RECORD, reason)


_NULL: Final = varlong(-1)
_INT64: Final = 2**63
