"""One segment of a log: a file of batches, its two indexes, and where its newest batches begin (Kafka's LogSegment).

Readers stand nearly always where a batch ends that was just appended, so the newest of these places are kept in a
dictionary; other offsets are found by the index and a walk over at most some 4 KiB of headers.

What holds: offsets in the file ascend, from the base on; those above may have gaps (compaction). A read begins with a
whole batch and is cut anywhere behind it, which the protocol allows and every client knows (KIP-74).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from server.indexes import OFFSET_ENTRY, TIME_ENTRY, SparseIndex
from server.log_files import INDEX, LOG, TIME_INDEX, file_name
from server.storage import Directory, File, StorageError
from wire.batches import HEADER_SIZE, NO_TIMESTAMP, BatchError, BatchHeader, read_header
from wire.primitives import Data

KNOWN_ENDS: Final = 64
"""Ends of batches that a segment knows by heart: readers at the end, and a high watermark somewhat behind it."""

HEADERS_CHUNK: Final = 8 * 1024
"""Bytes read at once when looking for a batch: two index intervals."""

MAX_RELATIVE: Final = 2**31 - 1
"""Offsets and positions in the indexes have 32 bits."""


class Place(NamedTuple):
    """Where bytes are."""

    file: File
    at: int
    size: int


class Segment:
    """An open segment. Times are -1 while there is no batch."""

    __slots__ = (
        "_ends",
        "_indexed_size",
        "_interval",
        "base_offset",
        "file",
        "first_time_ms",
        "max_time_ms",
        "max_time_offset",
        "next_offset",
        "offsets",
        "size",
        "times",
    )

    def __init__(self, base_offset: int, file: File, offsets: SparseIndex, times: SparseIndex, interval: int) -> None:
        """A segment without batches; `interval` is the bytes between two entries of its indexes."""
        self.base_offset = base_offset
        self.file = file
        self.offsets = offsets
        self.times = times
        self.next_offset = base_offset
        self.size = 0
        self.first_time_ms = NO_TIMESTAMP
        self.max_time_ms = NO_TIMESTAMP
        self.max_time_offset = -1
        self._interval = interval
        self._indexed_size = 0
        self._ends: dict[int, int] = {}

    @classmethod
    def create(cls, directory: Directory, base_offset: int, interval: int) -> "Segment":
        """A new segment. Neither its name nor its bytes are sure before both are synced."""
        file = directory.create(file_name(base_offset, LOG))
        return cls.on(directory, base_offset, file, interval)

    @classmethod
    def on(
        cls, directory: Directory, base_offset: int, file: File, interval: int, *, partial: bool = False
    ) -> "Segment":
        """The segment in `file`, with empty indexes (see SparseIndex on `partial`); its batches are told by `note`."""
        offsets = SparseIndex(directory, file_name(base_offset, INDEX), OFFSET_ENTRY, partial=partial)
        times = SparseIndex(directory, file_name(base_offset, TIME_INDEX), TIME_ENTRY, partial=partial)
        return cls(base_offset, file, offsets, times, interval)

    def believe(self, offsets: SparseIndex, times: SparseIndex) -> None:
        """Take the file and these indexes as they are, without a look at the batches. `next_offset` is the caller's."""
        self.offsets, self.times = offsets, times
        self.size = self.file.size
        self._indexed_size = offsets.last[1] if offsets.last else 0
        if times.last:
            self.max_time_ms, self.max_time_offset = times.last[0], self.base_offset + times.last[1]

    def learn(self) -> None:
        """Take the file as it is, and the rest from its headers, whose CRCs are not looked at."""
        self.size = self.file.size
        headers = [(header.size_bytes, header.last_offset, header.max_timestamp_ms) for _, header in self.headers()]
        self.size = 0
        for noted in headers:
            self.note(*noted)

    # --- appending -------------------------------------------------------------------------------------------

    def append(self, data: Data, header: BatchHeader, last_offset: int) -> None:
        """Append the one stamped batch of `header`, whose offsets end at `last_offset`. One write."""
        self.file.append(data)
        self.note(header.size_bytes, last_offset, header.max_timestamp_ms)

    def note(self, size_bytes: int, last_offset: int, max_time_ms: int) -> None:
        """The file goes on with such a batch."""
        position = self.size
        if max_time_ms > self.max_time_ms:
            if self.max_time_ms == NO_TIMESTAMP:
                self.first_time_ms = max_time_ms
            self.max_time_ms = max_time_ms
            self.max_time_offset = last_offset
        if position - self._indexed_size > self._interval:
            self._index(position, last_offset)
        self.size = end = position + size_bytes
        self.next_offset = last_offset + 1
        ends = self._ends
        ends[last_offset + 1] = end
        if len(ends) > KNOWN_ENDS:
            del ends[next(iter(ends))]

    def _index(self, position: int, last_offset: int) -> None:
        self.offsets.add(last_offset - self.base_offset, position)
        self.times.add(self.max_time_ms, self.max_time_offset - self.base_offset)
        self._indexed_size = position

    def finish_indexes(self) -> list[File]:
        """Write the indexes, the time index to its last entry (Kafka's onBecomeInactiveSegment); to be synced."""
        self._finish_times()
        self.offsets.flush()
        self.times.flush()
        return [file for file in (self.offsets.file, self.times.file) if file is not None]

    def settle_indexes(self) -> None:
        """Store partial indexes; their names are sure after the directory's sync."""
        self._finish_times()
        self.offsets.settle()
        self.times.settle()

    def _finish_times(self) -> None:
        if self.max_time_ms != NO_TIMESTAMP:
            self.times.add(self.max_time_ms, self.max_time_offset - self.base_offset)

    def is_full(self, size_bytes: int, last_offset: int, max_time_ms: int, most_bytes: int, most_ms: int) -> bool:
        """Whether a batch of such size, end and time belongs into the next segment. An empty one takes any."""
        if not self.size:
            return False
        if self.size + size_bytes > most_bytes or last_offset - self.base_offset > MAX_RELATIVE:
            return True
        return self.first_time_ms != NO_TIMESTAMP and max_time_ms - self.first_time_ms > most_ms

    # --- reading -----------------------------------------------------------------------------------------------

    def locate(self, offset: int, max_bytes: int, limit: int, at_least_one: bool) -> Place | None:
        """Where the bytes are from the batch that holds `offset` on, of batches that end below offset `limit`.

        Of no bytes if there are none, or if not even the first fits in `max_bytes`, unless `at_least_one`. None if no
        batch here reaches `offset`: look into the next segment.
        """
        start = self.position_of(offset)
        if start >= self.size:
            return None
        stop = self.size if limit >= self.next_offset else self.position_of(limit)
        size = max(stop - start, 0)
        if size > max(max_bytes, 0):
            first_bytes = _header(self.file.read(start, HEADER_SIZE), 0).size_bytes
            size = max_bytes if first_bytes <= max_bytes else first_bytes if at_least_one else 0
        return Place(self.file, start, size)

    def available(self, offset: int, limit: int) -> int:
        """How many bytes `read` could give from `offset` on, of batches that end below offset `limit`."""
        stop = self.size if limit >= self.next_offset else self.position_of(limit)
        return max(stop - self.position_of(offset), 0)

    def position_of(self, offset: int) -> int:
        """Where the first batch begins that reaches `offset`; the segment's size if none does."""
        known = self._ends.get(offset)
        if known is not None:
            return known
        for position, header in self.headers(self._floor(offset)):
            if header.last_offset >= offset:
                return position
        return self.size

    def headers(self, at: int = 0) -> Iterator[tuple[int, BatchHeader]]:
        """(position, header) of each batch from position `at` on. Raises StorageError if there is no batch."""
        chunk, start, end = b"", at, self.size
        while at < end:
            if at + HEADER_SIZE > start + len(chunk):
                chunk, start = self.file.read(at, HEADERS_CHUNK), at
            header = _header(chunk, at - start)
            yield at, header
            at += header.size_bytes

    def batch(self, position: int, header: BatchHeader) -> bytes:
        return self.file.read(position, header.size_bytes)

    def position_by_time(self, timestamp_ms: int) -> int:
        """A position at or before the first batch whose records reach `timestamp_ms`, near to it."""
        found = self.times.floor(timestamp_ms - 1)
        return 0 if found is None else self._floor(self.base_offset + found[1])

    def _floor(self, offset: int) -> int:
        found = self.offsets.floor(offset - self.base_offset)
        return 0 if found is None else found[1]

    def close(self) -> None:
        self.file.close()
        self.offsets.close()
        self.times.close()


def _header(data: bytes, at: int) -> BatchHeader:
    try:
        return read_header(data, at)
    except BatchError as error:
        raise StorageError(f"the log holds what is no batch: {error}", final=True) from error
