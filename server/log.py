"""One partition's log: batches appended, read by offset and time, synced in groups, and cut at both ends.

The problem: an append must cost one write and some microseconds, and yet what was acknowledged must survive any power
cut. So appending touches nothing but the end of one file and some numbers, and all that waits for a disk is put into a
`SyncJob`: files to sync, small files to write, old segments to remove, in the one order that is safe. A shell runs the
job in a thread, or wherever, and gives it back; then `synced_end` has moved. Appends go on meanwhile, and the next job
has them all: that is the group commit.

What holds:
- offsets below `synced_end` survive a power cut; those of the *stored* recovery point and below are never cut (R8);
- the checkpoint is written after all that it vouches for (bytes, names, indexes, epochs, producers), and nothing is
  removed before it is written: `recovery.py` and the tests that take out one sync after the other rely on this order;
- `log_start` never goes back. The high watermark is the owner's, who passes it where it matters.

The road not taken: to sync while rolling, as Kafka does under the log's lock: every append waits for it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from server.leader_epochs import LeaderEpochs
from server.log_dirs import segment_files
from server.log_files import EPOCHS, SNAPSHOT, Checkpoint, file_name
from server.log_settings import Fsync, LogSettings
from server.producers import Producers
from server.retention import SegmentFacts, kept_from
from server.segment import Place, Segment
from server.storage import Directory, File, StorageError
from server.sync_job import SyncJob
from wire.batches import BatchError, BatchHeader, check_crc, stamp, walk
from wire.errors import ErrorCode
from wire.pieces import Piece
from wire.primitives import Data
from wire.records import records_of

NO_LIMIT: Final = 2**63 - 1


class OffsetOutOfRange(Exception):
    """There is no such offset, or no longer: OFFSET_OUT_OF_RANGE."""


class Found(NamedTuple):
    """A record found by time."""

    timestamp_ms: int
    offset: int


class Log:
    """An open log. All methods belong on one thread; `server.recovery.open_log` makes one.

    Every method may raise StorageError. If it is `final`, or a job failed, the log is of no more use until its replica
    is built anew; otherwise (a full disk) nothing has changed and the call may be tried again.
    """

    def __init__(
        self,
        directory: Directory,
        settings: LogSettings,
        fsync: Fsync,
        segments: Sequence[Segment],
        epochs: LeaderEpochs,
        producers: Producers,
        checkpoint: Checkpoint,
        snapshots: Sequence[int] = (),
    ) -> None:
        self.settings = settings
        self.fsync = fsync
        self.epochs = epochs
        self.producers = producers
        self.checkpoint = checkpoint
        """As it is stored."""
        self.log_start = checkpoint.log_start
        self.segments = list(segments)
        self.end_offset = self.segments[-1].next_offset
        self.synced_end = self.end_offset
        self.failure: StorageError | None = None
        self.cleaning = False
        """A compaction is under way (`server.compaction`), which reads segments in a thread."""
        self.is_uncleanable = False
        """Compaction has met what it can't understand: it leaves this log alone until the next start."""
        self.directory = directory
        self._bases = [segment.base_offset for segment in self.segments]
        self._active = self.segments[-1]
        self._synced_size = self._active.size
        self._snapshots = sorted(snapshots)
        self._job: SyncJob | None = None
        self._unsynced: list[File] = []
        self._names_changed = False
        self._has_rolled = False
        self._texts: dict[str, bytes] = {}
        self._doomed: list[Segment] = []
        self._doomed_names: list[str] = []
        self._rolled_producers = 0
        self.cleaned = checkpoint.cleaned

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self.segments)

    # --- appending -----------------------------------------------------------------------------------------------

    def append(self, batch: bytearray | memoryview, header: BatchHeader, leader_epoch: int) -> int:
        """Stamp the one checked batch of `header` in place and append it, by one write; its base offset.

        The header is as it will be stored but for what is stamped. The producer was checked (`producers.check`).
        """
        base_offset = self.end_offset
        last_offset = base_offset + header.last_offset_delta
        segment = self._room_for(len(batch), last_offset, header.max_timestamp_ms)
        stamp(batch, 0, base_offset, leader_epoch)
        segment.append(batch, header, last_offset)
        self.end_offset = last_offset + 1
        if leader_epoch != self.epochs.latest:
            self.begin_epoch(leader_epoch, base_offset)
        if header.producer_id >= 0:
            self.producers.appended(header, base_offset)
        return base_offset

    def append_fetched(self, data: Data) -> int:
        """Append the whole batches of `data` as the leader has stamped them, by one write; the new end offset.

        Raises BatchError, and appends nothing, if a CRC is wrong or they don't follow on this log's end.
        """
        self._check_usable()
        found = self._checked(data)
        if not found:
            return self.end_offset
        last = found[-1][1]
        size_bytes = found[-1][0] + last.size_bytes
        segment = self._room_for(size_bytes, last.last_offset, last.max_timestamp_ms)
        segment.file.append(memoryview(data)[:size_bytes])
        for _, header in found:
            segment.note(header.size_bytes, header.last_offset, header.max_timestamp_ms)
            self.begin_epoch(header.leader_epoch, header.base_offset)
            self.producers.appended(header, header.base_offset)
        self.end_offset = last.next_offset
        return self.end_offset

    def _checked(self, data: Data) -> list[tuple[int, BatchHeader]]:
        found, expected, epoch = list(walk(data)), self.end_offset, self.epochs.latest
        for at, header in found:
            check_crc(data, at, header)
            if header.base_offset < expected or header.last_offset_delta < 0 or header.leader_epoch < epoch:
                raise BatchError(ErrorCode.CORRUPT_MESSAGE, f"a batch at {header.base_offset} behind {expected}")
            expected, epoch = header.next_offset, header.leader_epoch
        return found

    def begin_epoch(self, epoch: int, start_offset: int | None = None) -> None:
        """A leader of `epoch` writes from `start_offset` (default: the end) on. Older ones are passed over."""
        if self.epochs.begin(epoch, self.end_offset if start_offset is None else start_offset):
            self._texts[EPOCHS] = self.epochs.to_text().encode()

    def roll(self) -> None:
        """Go on in a new segment. Nothing is synced here: the next job does."""
        self._check_usable()
        old = self._active
        indexes = old.finish_indexes()
        new = Segment.create(self.directory, self.end_offset, self.settings.index_interval_bytes)
        self._unsynced += (old.file, *indexes)
        self.segments.append(new)
        self._bases.append(new.base_offset)
        self._active, self._synced_size = new, 0
        self._names_changed = self._has_rolled = True
        self._rolled_producers = len(self.producers)
        self._take_snapshot()

    def _room_for(self, size_bytes: int, last_offset: int, max_time_ms: int) -> Segment:
        if self.failure is not None:
            raise self.failure
        settings = self.settings
        if self._active.is_full(size_bytes, last_offset, max_time_ms, settings.segment_bytes, settings.segment_ms):
            self.roll()
        return self._active

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self, offset: int, max_bytes: int, limit: int = NO_LIMIT, at_least_one: bool = True) -> bytes:
        """Batches as they lie in the file, from the one that holds `offset` on, all below offset `limit`.

        About `max_bytes`: the last one may be cut off. The first is whole even if it is larger, if `at_least_one`;
        otherwise the answer is empty then. Raises OffsetOutOfRange outside of `log_start` to `end_offset`.
        """
        place = self._locate(offset, max_bytes, limit, at_least_one)
        return b"" if place is None else place.file.read(place.at, place.size)

    def part(self, offset: int, max_bytes: int, limit: int = NO_LIMIT, at_least_one: bool = True) -> Piece:
        """As `read`, but much of it may be left in the file until it is sent."""
        place = self._locate(offset, max_bytes, limit, at_least_one)
        return b"" if place is None else place.file.part(place.at, place.size)

    def _locate(self, offset: int, max_bytes: int, limit: int, at_least_one: bool) -> Place | None:
        if not self.log_start <= offset <= self.end_offset:
            raise OffsetOutOfRange(f"offset {offset} isn't within {self.log_start} to {self.end_offset}")
        if self.failure is not None:
            raise self.failure
        if offset >= min(limit, self.end_offset):
            return None
        if offset >= self._active.base_offset:
            return self._active.locate(offset, max_bytes, limit, at_least_one)
        for segment in self.segments[bisect_right(self._bases, offset) - 1 :]:
            place = segment.locate(offset, max_bytes, limit, at_least_one)
            if place is not None:
                return place
        return None

    def available(self, offset: int, at_most: int, limit: int) -> int:
        """How many bytes there are from `offset` on, of batches below offset `limit`: `at_most`, or more. It reads no
        records, as this is asked at each turn by each fetch that waits for a million bytes."""
        found = 0
        for segment in self.segments[max(bisect_right(self._bases, offset) - 1, 0) :]:
            if found >= at_most or segment.base_offset >= limit:
                break
            found += segment.available(offset, limit)
        return found

    def find_by_time(self, timestamp_ms: int) -> Found | None:
        """The first record not older than `timestamp_ms`: ListOffsets by time."""
        self._check_usable()
        for segment in self.segments:
            if segment.max_time_ms >= timestamp_ms:
                found = self._find_in(segment, timestamp_ms)
                if found is not None:
                    return found
        return None

    def find_newest(self) -> Found | None:
        """The first record that has the largest time of all: ListOffsets' MAX_TIMESTAMP (KIP-734)."""
        newest = max(segment.max_time_ms for segment in self.segments)
        return None if newest < 0 else self.find_by_time(newest)

    def _find_in(self, segment: Segment, timestamp_ms: int) -> Found | None:
        for position, header in segment.headers(segment.position_by_time(timestamp_ms)):
            if header.max_timestamp_ms < timestamp_ms or header.last_offset < self.log_start:
                continue
            try:
                for record in records_of(segment.batch(position, header), 0, header):
                    if record.timestamp_ms >= timestamp_ms and record.offset >= self.log_start:
                        return Found(record.timestamp_ms, record.offset)
            except BatchError:  # records that only their producer knows how to read; the batch itself is sound
                return Found(header.max_timestamp_ms, max(header.base_offset, self.log_start))
        return None

    # --- syncing -------------------------------------------------------------------------------------------------

    @property
    def safe_end(self) -> int:
        """Below it all is synced, or only written where `fsync` isn't `always` (R1): what may be acknowledged."""
        return self.synced_end if self.fsync is Fsync.ALWAYS else self.end_offset

    @property
    def wants_sync(self) -> bool:
        """A job should be run soon. Unless `fsync` is `always`, bytes alone don't count."""
        if self.fsync is Fsync.ALWAYS and self._synced_size != self._active.size:
            return True
        return self._names_changed or bool(self._texts or self._doomed_names) or self._has_moved_start()

    @property
    def is_syncing(self) -> bool:
        return self._job is not None

    def sync_job(self, checkpoint: bool = False) -> SyncJob | None:
        """What must be done for all that was appended, or None if nothing. One job is under way at a time.

        With `checkpoint` the recovery point is moved to the end as well, so that a start needs to look at nothing: for
        an orderly stop, or now and then. A job that was taken must be run, and told by `synced` or `fail`.
        """
        self._check_usable()
        assert self._job is None, "one job at a time: what is appended meanwhile goes with the next"
        if checkpoint or self._has_small_work():
            self._job = self._whole_job(checkpoint)
        elif self._synced_size != self._active.size:
            self._job = SyncJob(self.directory, self.end_offset, (self._active.file,), synced_end=self.synced_end)
        self._synced_size = self._active.size
        return self._job

    def _has_small_work(self) -> bool:
        return (
            self._names_changed or bool(self._unsynced or self._texts or self._doomed_names) or self._has_moved_start()
        )

    def _has_moved_start(self) -> bool:
        return self.log_start != self.checkpoint.log_start or self.cleaned != self.checkpoint.cleaned

    def _whole_job(self, checkpoint: bool) -> SyncJob | None:
        wanted = self._wanted_checkpoint()
        files = [*self._unsynced]
        if self._synced_size != self._active.size:
            files.append(self._active.file)
        if checkpoint and not self._is_stored(wanted):
            files += self._active.finish_indexes()
            wanted = self._checkpoint_at_end(wanted)
        stored = wanted if wanted != self.checkpoint else None
        if not (files or stored or self._has_small_work()):
            return None
        texts, doomed_names, doomed = tuple(self._texts.items()), tuple(self._doomed_names), tuple(self._doomed)
        job = SyncJob(
            self.directory,
            self.end_offset,
            tuple(files),
            self._names_changed,
            texts,
            stored,
            doomed_names,
            doomed,
            self.synced_end,
        )
        self._forget_work()
        return job

    def synced(self, job: SyncJob) -> None:
        """`job` ran to its end; it counts for nothing if the log has failed meanwhile."""
        assert job is self._job
        self._job = None
        if self.failure is None:
            self.checkpoint = job.checkpoint or self.checkpoint
            self.synced_end = job.end_offset
        for segment in job.doomed:
            segment.close()

    def job_failed(self, job: SyncJob, error: StorageError) -> None:
        """`job` didn't: how far it came isn't known, so whatever it was, the log has failed."""
        assert job is self._job
        self._job = None
        self.fail(error)

    def fail(self, error: StorageError) -> None:
        """The disk can't be trusted any more: every call from now on raises `error`. Nothing is tried again (R8). A job
        may be under way; its end is to be told all the same."""
        self.failure = self.failure or error

    def close(self) -> None:
        """Close the files. No job may be under way; take one with `checkpoint` before, and run it."""
        assert self._job is None
        for segment in (*self.segments, *self._doomed):
            segment.close()

    def _wanted_checkpoint(self) -> Checkpoint:
        wanted = replace(self.checkpoint, log_start=self.log_start, cleaned=self.cleaned)
        if not self._has_rolled:
            return wanted
        base = self._active.base_offset
        return Checkpoint(base, base, producers=self._rolled_producers, log_start=self.log_start, cleaned=self.cleaned)

    def _is_stored(self, wanted: Checkpoint) -> bool:
        place = self.end_offset, self._active.base_offset, self._active.size
        return (wanted.recovery_point, wanted.recovery_segment, wanted.recovery_size) == place

    def _checkpoint_at_end(self, wanted: Checkpoint) -> Checkpoint:
        self._names_changed = True
        self._take_snapshot()
        return replace(
            wanted,
            recovery_point=self.end_offset,
            recovery_segment=self._active.base_offset,
            recovery_size=self._active.size,
            index_size=self._active.offsets.stored_bytes,
            time_index_size=self._active.times.stored_bytes,
            producers=len(self.producers),
        )

    def _take_snapshot(self) -> None:
        """Producers' state as of the end. Older ones stay where a segment begins: a truncation may need them."""
        if not len(self.producers) or self.end_offset in self._snapshots:
            return
        self._texts[file_name(self.end_offset, SNAPSHOT)] = self.producers.to_snapshot()
        for offset in [offset for offset in self._snapshots if offset not in self._bases]:
            self._drop_snapshot(offset)
        self._snapshots.append(self.end_offset)

    def _drop_snapshot(self, offset: int) -> None:
        self._snapshots.remove(offset)
        self._texts.pop(file_name(offset, SNAPSHOT), None)
        self._doomed_names.append(file_name(offset, SNAPSHOT))

    def _forget_work(self) -> None:
        self._unsynced, self._doomed, self._doomed_names = [], [], []
        self._names_changed = self._has_rolled = False
        self._texts = {}

    def _check_usable(self) -> None:
        if self.failure is not None:
            raise self.failure

    # --- cutting the old end -----------------------------------------------------------------------------------

    def advance_start(self, offset: int) -> None:
        """Records below `offset` (at most the high watermark) are deleted: DeleteRecords, or as the leader has it.

        Sure, and the room free, once the next job is done. Never goes back.
        """
        self._check_usable()
        assert offset <= self.end_offset
        if offset <= self.log_start:
            return
        self.log_start = offset
        self.epochs.cut_start(offset)  # stored with the next epoch; until then opening the log cuts again
        self.drop_old_segments()

    def retain(self, now_ms: int, high_watermark: int) -> None:
        """Where the policy has `delete`: drop segments whose time is over or that are too much, the active one too."""
        self._check_usable()
        if not self.settings.deletes:
            return
        facts = [SegmentFacts(segment.next_offset, segment.size, segment.max_time_ms) for segment in self.segments]
        count = kept_from(facts, now_ms, self.settings.retention_ms, self.settings.retention_bytes, high_watermark)
        if count == len(facts) and self._active.size:
            self.roll()
        if count:
            self.advance_start(facts[count - 1].next_offset)

    def drop_old_segments(self) -> None:
        """Take leave of the segments that end at or below `log_start`; not while a compaction reads them."""
        while not self.cleaning and len(self.segments) > 1 and self._bases[1] <= self.log_start:
            segment = self.segments.pop(0)
            base = self._bases.pop(0)
            self._doomed.append(segment)
            self._doomed_names += segment_files(base)
            if base in self._snapshots and base != self._snapshots[-1]:
                self._drop_snapshot(base)

    # --- replacing segments (truncation and compaction) ----------------------------------------------------------

    def replace_segments(self, first: int, count: int, new: Sequence[Segment]) -> None:
        """Put `new` in place of `count` segments from the `first` on, which stay open: the caller closes them."""
        self.segments[first : first + count] = new
        self._bases = [segment.base_offset for segment in self.segments]
        self._active = self.segments[-1]

    def rewound(self, producers: Producers, checkpoint: Checkpoint, snapshots: Sequence[int]) -> None:
        """The end was cut by `server.recovery.truncate`, on disk too; jobs from before say nothing about what comes."""
        assert self._job is None
        self.end_offset = self.segments[-1].next_offset
        self.synced_end = self.end_offset
        self.producers, self.checkpoint, self._snapshots = producers, checkpoint, list(snapshots)
        self._synced_size = self._active.size
        self._unsynced, self._texts, self._has_rolled = [], {}, False

    def mark_recovered(self) -> None:
        """Nothing of the last segment, nor of the names, is known to be on disk: the next job syncs them."""
        self._synced_size = -1
        self._names_changed = True
        self.synced_end = self.checkpoint.recovery_point
        if EPOCHS in self.directory.names() or self.epochs.starts:
            self._texts[EPOCHS] = self.epochs.to_text().encode()

    @property
    def snapshots(self) -> tuple[int, ...]:
        """Up to which offsets producers' state is stored, or about to be."""
        return tuple(self._snapshots)
