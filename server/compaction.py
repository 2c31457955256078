"""Compaction: the last record of each key is kept, older ones go (Kafka's LogCleaner and Cleaner).

The problem: rewrite old segments while appends and reads go on, so that whoever reads from the start sees for each key
its last value, or all that came since; and so that a crash at any step leaves either the old segments or the new ones.
So a pass reads segments that no longer change, writes their successors beside them, and swaps each group in steps
that recovery can finish (`finish_swap`). It touches nothing above the high watermark, the stored recovery point, the
lag, or in the active segment.

What holds:
- offsets never change: a batch keeps its base offset and last delta, though records within are gone;
- of each group the last batch stays, empty if need be, so that the new segment says how far it reaches; so does the
  last batch of each producer, which holds its sequence (KAFKA-5793);
- a tombstone stays for `delete.retention.ms` from the pass that first met it with nothing older of its key before it:
  that time is stored in the batch, as its delete horizon (KIP-534).

- records that can't be read (only their producer knows how they are packed; a topic may have become a compacted one
  later) make the log uncleanable and nothing else: whoever reads and writes it goes on, as with Kafka's cleaner.

The road not taken: a table of keys for the whole log. One pass takes as many keys as fit (MAX_KEYS), and goes on next
time from where it ended.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from server.log import Log
from server.log_files import CLEANED, LOG, SWAP, file_name
from server.recovery import finish_swap
from server.segment import MAX_RELATIVE, Segment
from server.storage import Directory
from wire.batches import DELETE_HORIZON_BIT, BatchError, BatchHeader
from wire.records import Record, rebuild, records_of, retime

MAX_KEYS: Final = 500_000
"""Keys of one pass: some 75 MB for as long as it lasts. Kafka's dedupe buffer (128 MiB) takes five million."""

KEY_BYTES: Final = 16
"""Longer keys are kept as a hash of that size, which is Kafka's too (MD5 there)."""


class Uncleanable(Exception):
    """The log holds what can't be compacted; the text says what."""


def start_compaction(log: Log, now_ms: int, high_watermark: int) -> "Compaction | None":
    """A pass over the log, if enough is dirty and none is under way. `log.cleaning` then holds until it has ended."""
    if not log.settings.compacts or log.cleaning or log.is_uncleanable:
        return None
    segments = _cleanable(log, now_ms, high_watermark)
    dirty = sum(segment.size for segment in segments if segment.next_offset > log.cleaned)
    if not dirty or dirty < log.settings.min_dirty_ratio * sum(segment.size for segment in segments):
        return None
    log.cleaning = True
    return Compaction(log, segments, now_ms)


def _cleanable(log: Log, now_ms: int, high_watermark: int) -> list[Segment]:
    found: list[Segment] = []
    end = min(high_watermark, log.checkpoint.recovery_point)
    for segment in log.segments[:-1]:
        is_young = 0 <= now_ms - segment.max_time_ms < log.settings.min_compaction_lag_ms
        if segment.next_offset > end or (is_young and segment.next_offset > log.cleaned):
            break
        found.append(segment)
    return found


@dataclass(slots=True)
class _Group:
    """Segments that become one."""

    old: list[Segment] = field(default_factory=list[Segment])
    new: Segment | None = None


class Compaction:
    """One pass. `steps` may run on another thread, in small pieces; `finish` or `abandon` ends it, on the log's."""

    def __init__(self, log: Log, segments: Sequence[Segment], now_ms: int) -> None:
        self._log = log
        self._segments = segments
        self._now_ms = now_ms
        self._cleaned = log.cleaned
        self._last: dict[bytes, int] = {}
        self._end = segments[0].base_offset
        self._groups: list[_Group] = []
        self._keepers = log.producers.last_offsets()

    def steps(self) -> Iterator[None]:
        """Read the dirty part, then rewrite all: a step for each batch. Raises Uncleanable; on a StorageError that is
        final the log has failed."""
        yield from self._learn_keys()
        limits = self._log.settings.segment_bytes
        for group in _groups([one for one in self._segments if one.base_offset < self._end], limits):
            self._groups.append(group)
            yield from self._rewrite(group)

    def finish(self) -> None:
        """All steps were done: readers see the new segments from now on."""
        log = self._log
        self._swap()
        log.cleaned = max(self._cleaned, self._end)
        log.cleaning = False
        log.drop_old_segments()

    def abandon(self, *, for_good: bool = False) -> None:
        """Not all steps were done: what was swapped stays so, the rest is as it was. `for_good`: it was Uncleanable."""
        self._log.is_uncleanable = for_good
        self._swap()
        self._log.cleaning = False
        self._log.drop_old_segments()

    def _swap(self) -> None:
        for group in self._groups:
            if group.new is not None:
                self._log.replace_segments(self._log.segments.index(group.old[0]), len(group.old), [group.new])
                for old in group.old:
                    old.close()

    # --- which records are the last of their key -------------------------------------------------------------------

    def _learn_keys(self) -> Iterator[None]:
        for segment in self._segments:
            if segment.next_offset <= self._cleaned:
                self._end = segment.next_offset
                continue
            for position, header in segment.headers():
                if header.next_offset > self._cleaned:
                    if len(self._last) + header.records_count > MAX_KEYS and self._last:
                        return
                    self._learn(segment.batch(position, header), header)
                self._end = header.next_offset
                yield
            self._end = segment.next_offset

    def _learn(self, data: bytes, header: BatchHeader) -> None:
        if header.is_control:
            return
        for record in _records(data, header):
            if record.key is not None:
                self._last[_short(record.key)] = record.offset

    # --- rewriting -------------------------------------------------------------------------------------------------

    def _rewrite(self, group: _Group) -> Iterator[None]:
        directory, base = self._log.directory, group.old[0].base_offset
        with closing(directory.create(file_name(base, CLEANED))) as file:
            for segment in group.old:
                for position, header in segment.headers():
                    is_last = segment is group.old[-1] and position + header.size_bytes == segment.size
                    data = self._cleaned_batch(segment.batch(position, header), header, must_stay=is_last)
                    if data:
                        file.append(data)
                    yield
            file.sync()
        directory.rename(file_name(base, CLEANED), file_name(base, SWAP))
        directory.sync()
        finish_swap(directory, base)
        group.new = _opened(directory, group.old, self._log.settings.index_interval_bytes)

    def _cleaned_batch(self, data: bytes, header: BatchHeader, *, must_stay: bool) -> bytes | bytearray:
        """The batch with what must stay of it; empty if it may go."""
        if header.is_control:
            return data
        records = list(_records(data, header))
        horizon_ms = header.delete_horizon_ms
        kept = [record for record in records if self._stays(record, horizon_ms)]
        if not kept and not must_stay and header.last_offset not in self._keepers:
            return b""
        if kept and horizon_ms is None and any(record.value is None for record in kept):
            horizon_ms = self._now_ms + self._log.settings.delete_retention_ms
            return retime(header, kept, horizon_ms, header.attributes | DELETE_HORIZON_BIT)
        return data if len(kept) == len(records) else rebuild(header, kept)

    def _stays(self, record: Record, horizon_ms: int | None) -> bool:
        if record.offset >= self._end:
            return True
        if record.key is None or self._last.get(_short(record.key), -1) > record.offset:
            return False
        return record.value is not None or horizon_ms is None or self._now_ms < horizon_ms


def _groups(segments: Iterable[Segment], most_bytes: int) -> list[_Group]:
    """Neighbours that fit in one segment, before anything is taken out of them."""
    groups: list[_Group] = []
    size_bytes = 0
    for segment in segments:
        base = groups[-1].old[0].base_offset if groups else 0
        if not groups or size_bytes + segment.size > most_bytes or segment.next_offset - base > MAX_RELATIVE:
            groups.append(_Group())
            size_bytes = 0
        groups[-1].old.append(segment)
        size_bytes += segment.size
    return groups


def _opened(directory: Directory, old: Sequence[Segment], interval: int) -> Segment:
    base = old[0].base_offset
    segment = Segment.on(directory, base, directory.open(file_name(base, LOG)), interval, partial=True)
    segment.learn()
    segment.settle_indexes()
    segment.next_offset = old[-1].next_offset
    return segment


def _records(data: bytes, header: BatchHeader) -> Iterator[Record]:
    try:
        yield from records_of(data, 0, header)
    except BatchError as error:
        raise Uncleanable(f"records at {header.base_offset} can't be read: {error}") from error


def _short(key: memoryview) -> bytes:
    return bytes(key) if len(key) < KEY_BYTES else blake2b(key, digest_size=KEY_BYTES).digest()
