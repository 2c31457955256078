"""A log opened: what a power cut left is brought back to a prefix of what was appended (cluster-rules R8).

Law: the log then holds a prefix of the appended batches, with every acknowledged one. So:
- what lies below the stored recovery point was synced and is believed; if it proves wrong (a bad CRC, missing bytes)
  the disk lied, nothing is cut, and the log has failed: its replica is built anew from another;
- what lies above is read batch by batch; at the first that isn't whole, sound and in order, the log ends. Its indexes,
  epochs and producers' state are built again from it;
- what is found may be in the page cache only, its writer killed before it could sync: so before anything is removed
  because of a name or text that was found, the directory is synced;
- in the end all is synced and the recovery point moved: what survived only in the page cache is not yet safe.

After an orderly stop the recovery point is the end, and nothing is read but the last segment's first header and the
newest snapshot of producers' state.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from typing import Final

from server.indexes import OFFSET_ENTRY, TIME_ENTRY, SparseIndex
from server.log import Log
from server.log_dirs import (
    remove_segment,
    snapshots_up_to,
    stored_checkpoint,
    stored_epochs,
    stored_trusted_end,
    tidy,
)
from server.log_files import INDEX, LOG, SNAPSHOT, SWAP, TIME_INDEX, TRUSTED, Checkpoint, file_name, offset_in
from server.log_settings import Fsync, LogSettings
from server.producers import Producers, SnapshotError
from server.segment import MAX_RELATIVE, Segment
from server.storage import Directory, File, StorageError, read_whole
from wire.batches import HEADER_SIZE, BatchError, BatchHeader, check_crc, read_header

SCAN_CHUNK: Final = 1024 * 1024
"""Bytes read at once when every batch is looked at."""


def open_log(
    directory: Directory, settings: LogSettings, *, fsync: Fsync = Fsync.ALWAYS, distrust: bool = False
) -> Log:
    """The log in `directory`, recovered and synced; a new one if there is none.

    `distrust`: believe nothing above the recovery point, because the machine went down without syncs. Where a sync
    failed before, nothing is believed above what was surely synced then (R8). Raises StorageError; the log has failed
    if that is `final`.
    """
    checkpoint = stored_checkpoint(directory)
    marked = stored_trusted_end(directory)
    trusted_end = _trusted_end(checkpoint, marked, distrust)
    _finish_swaps(directory)
    bases = tidy(directory, checkpoint)
    recovery = _Recovery(directory, settings, checkpoint, trusted_end)
    recovery.load(bases)
    snapshots = snapshots_up_to(directory, recovery.end_offset)
    producers = replay_producers(directory, recovery.segments, snapshots, checkpoint)
    log = Log(directory, settings, fsync, recovery.segments, recovery.epochs, producers, checkpoint, snapshots)
    log.drop_old_segments()
    if recovery.scanned:
        _make_sure(log, recovery.scanned)
    if TRUSTED in directory.names():
        directory.remove(TRUSTED)
        directory.sync()
    return log


def _trusted_end(checkpoint: Checkpoint, marked: int | None, distrust: bool) -> int | None:
    """None: whatever is sound is believed. What lies below the recovery point always is."""
    if distrust:
        return checkpoint.recovery_point
    return None if marked is None else max(marked, checkpoint.recovery_point)


def replay_producers(
    directory: Directory, segments: Sequence[Segment], snapshots: Sequence[int], checkpoint: Checkpoint | None = None
) -> Producers:
    """Producers' state at the end of `segments`: the newest sound one of `snapshots`, and all batches behind it.

    None are known at the recovery point of `checkpoint` if it says so.
    """
    producers, start = _newest_snapshot(directory, snapshots)
    if checkpoint is not None and checkpoint.producers == 0 and checkpoint.recovery_point > start:
        producers, start = Producers(), checkpoint.recovery_point
    for segment in segments:
        if segment.next_offset > start:
            for _, header in segment.headers(segment.position_of(max(start, segment.base_offset))):
                producers.appended(header, header.base_offset)
    return producers


def _newest_snapshot(directory: Directory, snapshots: Sequence[int]) -> tuple[Producers, int]:
    for offset in sorted(snapshots, reverse=True):
        try:
            return Producers.from_snapshot(read_whole(directory, file_name(offset, SNAPSHOT))), offset
        except SnapshotError:
            continue
    return Producers(), 0


class _Recovery:
    """Loads segment after segment; `scanned` are those above the recovery point, whose bytes must be synced again."""

    def __init__(
        self, directory: Directory, settings: LogSettings, checkpoint: Checkpoint, trusted_end: int | None
    ) -> None:
        self.segments: list[Segment] = []
        self.scanned: list[Segment] = []
        self.epochs = stored_epochs(directory)
        self._checkpoint = checkpoint
        self._directory = directory
        self._interval = settings.index_interval_bytes
        self._trusted_end = trusted_end
        self._names = frozenset(directory.names())

    @property
    def end_offset(self) -> int:
        return self.segments[-1].next_offset

    def load(self, bases: Sequence[int]) -> None:
        """All segments of the log; where nothing remains, an empty one."""
        point, start = self._checkpoint.recovery_point, self._checkpoint.log_start
        first = bisect_right(bases, point) - 1
        if bases[0] > start if bases else point > start:
            raise StorageError(f"segments are missing from {start} on, below the recovery point {point}", final=True)
        for base, after in pairwise(bases[: first + 1]):
            self.segments.append(self._believed(base, after))
        behind = self._load_rest(bases[max(first, 0) :])
        if self.segments and point > start and self.end_offset < point:
            raise StorageError(f"damaged at offset {self.end_offset}, below the recovery point {point}", final=True)
        self._cut(behind)
        self.epochs.cut_start(start)
        if not self.segments or self.end_offset < start:
            self._begin_at(start)

    # --- below the recovery point: believed ----------------------------------------------------------------------

    def _believed(self, base: int, next_base: int) -> Segment:
        segment = self._with_indexes(base, self._directory.open(file_name(base, LOG)), None, None)
        segment.next_offset = next_base
        return segment

    def _with_indexes(self, base: int, file: File, index_size: int | None, time_index_size: int | None) -> Segment:
        index, time_index = file_name(base, INDEX), file_name(base, TIME_INDEX)
        if (index_size != 0 and index not in self._names) or (time_index_size != 0 and time_index not in self._names):
            return self._index_anew(base, file)
        segment = Segment.on(self._directory, base, file, self._interval)
        offsets = SparseIndex.load(self._directory, index, OFFSET_ENTRY, index_size)
        times = SparseIndex.load(self._directory, time_index, TIME_ENTRY, time_index_size)
        segment.believe(offsets, times)
        return segment

    def _index_anew(self, base: int, file: File) -> Segment:
        """An index is missing: a small segment has none, or someone removed it, or a compaction was cut short."""
        segment = Segment.on(self._directory, base, file, self._interval, partial=True)
        segment.learn()
        segment.settle_indexes()
        return segment

    # --- above it: looked at -------------------------------------------------------------------------------------

    def _load_rest(self, bases: Sequence[int]) -> Sequence[int]:
        """The segment of the recovery point and those behind it; returns the segments behind the log's end."""
        if len(bases) == 1 and self._trusted_end is None and self._load_clean(bases[0]):
            return ()
        if bases:
            self.epochs.cut_end(bases[0])
        for place, base in enumerate(bases):
            if place and base != self.end_offset:
                return bases[place:]
            if self._scan(base):
                return bases[place + 1 :]
        return ()

    def _load_clean(self, base: int) -> bool:
        """The last segment, if it is just as it was when the recovery point was stored."""
        stored, file = self._checkpoint, self._directory.open(file_name(base, LOG))
        if stored.recovery_segment != base or file.size != stored.recovery_size:
            file.close()
            return False
        segment = self._with_indexes(base, file, stored.index_size, stored.time_index_size)
        segment.next_offset = stored.recovery_point
        if segment.size:
            segment.first_time_ms = next(segment.headers())[1].max_timestamp_ms
        self.segments.append(segment)
        return True

    def _scan(self, base: int) -> bool:
        """Look at every batch; True if the log ends with this segment. What can't be kept is not yet cut off."""
        file = self._directory.open(file_name(base, LOG))
        segment = Segment.on(self._directory, base, file, self._interval, partial=True)
        self.segments.append(segment)
        self.scanned.append(segment)
        for header in sound_batches(segment.file):
            if not self._follows(header, segment):
                break
            self.epochs.begin(header.leader_epoch, header.base_offset)
            segment.note(header.size_bytes, header.last_offset, header.max_timestamp_ms)
        is_end = self._trusted_end is not None and segment.next_offset >= self._trusted_end
        return segment.size != segment.file.size or is_end

    def _follows(self, header: BatchHeader, segment: Segment) -> bool:
        """Offsets and epochs may jump ahead, as compaction leaves gaps. The CRC covers neither of them."""
        if self._trusted_end is not None and header.last_offset >= self._trusted_end:
            return False
        is_next = header.base_offset >= segment.next_offset and header.last_offset_delta >= 0
        is_near = header.last_offset - segment.base_offset <= MAX_RELATIVE
        return is_next and is_near and header.leader_epoch >= self.epochs.latest

    def _cut(self, bases: Sequence[int]) -> None:
        """The log ends here: what lies behind goes."""
        for base in reversed(bases):
            remove_segment(self._directory, base)
        if self.scanned and self.scanned[-1].file.size > self.scanned[-1].size:
            self.scanned[-1].file.truncate(self.scanned[-1].size)

    def _begin_at(self, offset: int) -> None:
        """All records below `offset` are deleted, and none are left: an empty segment goes on from there."""
        if self.segments:
            self._directory.sync()  # that the checkpoint is the one which was read, before what it says is done
        for segment in self.segments:
            segment.close()
            remove_segment(self._directory, segment.base_offset)
        self.segments = [Segment.create(self._directory, offset, self._interval)]
        self.scanned = self.segments[:]


def _make_sure(log: Log, scanned: Sequence[Segment]) -> None:
    """Sync all that was found, and move the recovery point to the end."""
    for segment in scanned[:-1]:
        segment.file.sync()
    for segment in scanned:
        segment.settle_indexes()
    log.mark_recovered()
    job = log.sync_job(checkpoint=True)
    if job is not None:
        job.run()
        log.synced(job)


def sound_batches(file: File) -> Iterator[BatchHeader]:
    """The headers of the batches from the file's start, up to the first that isn't whole or has a wrong CRC."""
    chunk, start, at = b"", 0, 0
    while at + HEADER_SIZE <= file.size:
        if at + HEADER_SIZE > start + len(chunk):
            chunk, start = file.read(at, SCAN_CHUNK), at
        try:
            header = read_header(chunk, at - start)
            if at + header.size_bytes > start + len(chunk):
                chunk, start = file.read(at, min(max(header.size_bytes, SCAN_CHUNK), file.size - at)), at
            check_crc(chunk, at - start, header)
        except BatchError:
            return
        yield header
        at += header.size_bytes


# --- compacted segments ------------------------------------------------------------------------------------------


def _finish_swaps(directory: Directory) -> None:
    """Let each compacted segment take the place of those that it was made from (`server.compaction`)."""
    bases = [base for name in directory.names() if (base := offset_in(name, SWAP)) is not None]
    if bases:
        directory.sync()  # the names may be in the page cache only: who gave them was killed before it could sync
    for base in bases:
        finish_swap(directory, base)


def finish_swap(directory: Directory, base: int) -> None:
    """The segments that `base`'s .swap file reaches go, then it takes the first one's name. Each step is sure before
    the next begins, and it can begin again from any of them."""
    end = base + 1
    with closing(directory.open(file_name(base, SWAP))) as file:
        for header in sound_batches(file):
            end = header.next_offset
    # Also an index whose log is gone: the power may have brought it back, and it knows other positions.
    offsets = (offset_in(name, ending) for name in directory.names() for ending in (LOG, INDEX, TIME_INDEX))
    for replaced in sorted({offset for offset in offsets if offset is not None and base <= offset < end}):
        remove_segment(directory, replaced)
    directory.sync()
    directory.rename(file_name(base, SWAP), file_name(base, LOG))
    directory.sync()
