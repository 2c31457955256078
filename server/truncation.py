"""A follower's log cut back, or emptied: its leader has something else there (KIP-101, KIP-279).

The problem: what is appended behind the cut must never meet again what was there, whatever the power does. So both
functions block until all is on disk; they are rare, and nobody waits for a follower that is about to catch up. The
checkpoint is lowered first: a crash in the midst leaves a log that recovery brings to some prefix of the old one, all
of it above the high watermark, and the follower asks again where to cut.
"""

from bisect import bisect_right

from server.leader_epochs import LeaderEpochs
from server.log import Log
from server.log_dirs import remove_indexes, remove_segment, snapshots_up_to, store_checkpoint, store_epochs
from server.log_files import EPOCHS, Checkpoint
from server.log_settings import LogSettings
from server.recovery import open_log, replay_producers
from server.segment import Segment
from server.storage import Directory, StorageError


def truncate(log: Log, offset: int) -> None:
    """Cut the log's end to `offset`, or to the start of the batch that holds it; behind the end, only an epoch goes
    that begins there.

    Raises StorageError; the log has failed then, also where the disk was only full: it may be cut halfway, and what was
    appended next might be to a file without a name. Nothing may be under way, neither a job nor a compaction.
    """
    assert not log.is_syncing and not log.cleaning
    try:
        if offset < log.end_offset:
            _truncate(log, offset)
        else:
            _forget_empty_epoch(log)
    except StorageError as error:
        log.fail(error)
        raise


def _forget_empty_epoch(log: Log) -> None:
    """The epoch that begins at the log's end: it was led from here, and nothing was written in it. Its leader knows
    nothing of it, and would tell who names it to cut the log there for ever (as UnifiedLog.truncateTo does)."""
    latest = log.epochs.latest
    log.epochs.cut_end(log.end_offset)
    if log.epochs.latest != latest:
        _finish_work(log)
        store_epochs(log.directory, log.epochs)
        log.directory.sync()


def _truncate(log: Log, offset: int) -> None:
    place = max(bisect_right([segment.base_offset for segment in log.segments], offset) - 1, 0)
    kept, dropped = log.segments[place], log.segments[place + 1 :]
    if offset < log.log_start or _batch_at(kept, offset) < log.log_start:
        raise StorageError(f"the log begins at {log.log_start} and can't be cut to {offset}", final=True)
    _finish_work(log)
    checkpoint = log.checkpoint.lowered(kept.base_offset)
    store_checkpoint(log.directory, checkpoint)
    segment = _cut(log.directory, kept, [old.base_offset for old in dropped], offset, log.settings)
    snapshots = _cut_derived(log.directory, log.epochs, segment.next_offset)
    log.replace_segments(place, len(log.segments) - place, [segment])
    for old in dropped:
        old.close()
    log.rewound(replay_producers(log.directory, log.segments, snapshots), checkpoint, snapshots)


def restart_at(log: Log, offset: int) -> Log:
    """The log emptied, to go on at `offset`: a follower whose end lies before its leader's start.

    `log` is closed; or it has failed, with a StorageError, as by `truncate`."""
    assert not log.is_syncing and not log.cleaning and offset >= log.end_offset
    directory = log.directory
    try:
        store_checkpoint(directory, Checkpoint(recovery_point=offset, log_start=offset))
        log.close()
        for segment in log.segments:
            remove_segment(directory, segment.base_offset)
        snapshots_up_to(directory, -1)  # also those that only waited for their removal
        directory.remove(EPOCHS)
        return open_log(directory, log.settings, fsync=log.fsync)
    except StorageError as error:
        log.fail(error)
        raise


def _batch_at(segment: Segment, offset: int) -> int:
    """The base offset of the batch that holds `offset`; `offset` itself if there is none."""
    found = next(segment.headers(segment.position_of(offset)), None)
    return offset if found is None else min(found[1].base_offset, offset)


def _finish_work(log: Log) -> None:
    """What remains is to be sure when `truncate` returns, also where it lies in older segments."""
    job = log.sync_job()
    if job is not None:
        try:
            job.run()
        except StorageError as error:
            log.job_failed(job, error)
            raise
        log.synced(job)


def _cut(directory: Directory, old: Segment, dropped: list[int], offset: int, settings: LogSettings) -> Segment:
    """The segment without what reaches beyond `offset`, its bytes on disk; indexes are to be made anew."""
    headers = [header for _, header in old.headers() if header.next_offset <= offset]
    segment = Segment.on(directory, old.base_offset, old.file, settings.index_interval_bytes)
    for header in headers:
        segment.note(header.size_bytes, header.last_offset, header.max_timestamp_ms)
    old.offsets.close()
    old.times.close()
    remove_indexes(directory, old.base_offset)
    for base in dropped:
        remove_segment(directory, base)
    segment.file.truncate(segment.size)
    segment.file.sync()
    return segment


def _cut_derived(directory: Directory, epochs: LeaderEpochs, end_offset: int) -> list[int]:
    """Epochs and snapshots beyond the end go as well. The snapshots that remain."""
    epochs.cut_end(end_offset)
    store_epochs(directory, epochs)
    snapshots = snapshots_up_to(directory, end_offset)
    directory.sync()
    return snapshots
