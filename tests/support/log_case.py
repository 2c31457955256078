"""Help for the tests of the log: batches, a log in memory, syncs, and a disk that loses power in the midst."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from types import FrameType
from uuid import UUID

from server.disk.memory import MemoryDirectory, MemoryDisk
from server.log import Log
from server.log_dirs import create_partition, topic_id_of
from server.log_settings import Fsync, LogSettings
from server.producers import Producers
from server.recovery import open_log
from server.truncation import restart_at, truncate
from wire.batches import BatchHeader, read_header, walk
from wire.records import NewRecord, encode_batch

TOPIC_ID = UUID(int=7)
NAME = "topic-0"

SMALL = LogSettings(segment_bytes=600, index_interval_bytes=100)
"""Settings with which a dozen small batches fill several segments, with indexes of several entries."""


def batch(
    count: int = 1,
    *,
    time_ms: int = 1000,
    size: int = 0,
    producer: tuple[int, int, int] = (-1, -1, -1),
    key: bytes = b"k",
) -> bytearray:
    records = [NewRecord(time_ms + delta, key, b"v" * size) for delta in range(count)]
    return encode_batch(records, producer=producer)


def append(log: Log, data: bytearray | None = None, epoch: int = 0) -> int:
    data = batch() if data is None else data
    return log.append(memoryview(data), read_header(data), epoch)


def sync(log: Log, checkpoint: bool = False) -> None:
    job = log.sync_job(checkpoint)
    if job is not None:
        job.run()
        log.synced(job)


def new_log(settings: LogSettings = SMALL, disk: MemoryDisk | None = None, fsync: Fsync = Fsync.ALWAYS) -> Log:
    return open_log(create_partition(disk or MemoryDisk(), NAME, TOPIC_ID), settings, fsync=fsync)


def reopened(log: Log, settings: LogSettings | None = None) -> Log:
    """The log as another process finds it that starts after this one was killed, the page cache intact."""
    return open_log(log.directory, settings or log.settings)


def contents(log: Log, start: int | None = None, limit: int = 2**63 - 1) -> list[bytes]:
    """All batches from offset `start` on, read piece by piece as a consumer does."""
    found: list[bytes] = []
    offset = log.log_start if start is None else start
    while data := log.read(offset, 1, limit):
        for at, header in walk(data):
            found.append(bytes(data[at : at + header.size_bytes]))
            offset = header.next_offset
    return found


def headers(log: Log) -> list[BatchHeader]:
    return [read_header(data) for data in contents(log)]


class PowerCut(Exception):
    """The hook's word for the end."""


Site = tuple[str, ...]
"""Where in the code a sync was asked for: the innermost calls, by file and line."""


class Fuse:
    """A hook: cuts the power at the operation of number `at`, and lets the syncs asked for at `lie` only pretend."""

    def __init__(self, at: int = -1, lie: Site | None = None) -> None:
        self.count = 0
        self.sites: set[Site] = set()
        self._at = at
        self._lie = lie

    def __call__(self, operation: str, name: str) -> bool:
        if self.count == self._at:
            raise PowerCut
        self.count += 1
        if operation != "sync":
            return False
        site = site_of(sys._getframe(2))  # pyright: ignore[reportPrivateUsage]
        self.sites.add(site)
        return site == self._lie


def site_of(frame: FrameType | None) -> Site:
    """Where the code asks for it that a hook of the disk is called from."""
    places: list[str] = []
    while frame is not None and "/server/" in frame.f_code.co_filename and len(places) < 2:
        name = frame.f_code.co_filename.rpartition("/")[2]
        places.append(f"{name}:{frame.f_lineno} {frame.f_code.co_name}")
        if frame.f_code.co_name != "write_whole" and not frame.f_code.co_name.startswith("store_"):
            break
        frame = frame.f_back
    return tuple(places)


class Story:
    """One partition's log on a disk, and beside it all that was appended and promised: the law of recovery (R8)."""

    def __init__(self, disk: MemoryDisk, settings: LogSettings = SMALL) -> None:
        self.disk = disk
        self.settings = settings
        self.appended: list[bytes] = []
        self.exists = False
        self.acknowledged = 0
        """All below it was promised to stay."""
        self.starts = [0, 0]
        """The log start that was promised, and the one that was asked for."""
        self.restart: int | None = None
        """A restart at this offset is under way."""
        self.epoch = 0
        self.sequence = 0
        self.time_ms = 1000

    def open(self) -> None:
        directory = create_partition(self.disk, NAME, TOPIC_ID)
        self.exists = True
        self.log = open_log(directory, self.settings)

    def append(self, count: int = 1, size: int = 20) -> None:
        """A batch of `count` records by producer 5."""
        self.time_ms += 10
        data = batch(count, time_ms=self.time_ms, size=size, producer=(5, 0, self.sequence))
        self.sequence += count
        append(self.log, data, self.epoch)
        self.appended.append(bytes(data))

    def sync(self, checkpoint: bool = False) -> None:
        asked = self.starts[1]
        sync(self.log, checkpoint)
        self.acknowledged, self.starts[0] = self.log.end_offset, asked

    def begin_epoch(self) -> None:
        self.epoch += 1
        self.log.begin_epoch(self.epoch)

    def advance_start(self, offset: int) -> None:
        offset = min(offset, self.acknowledged)
        self.starts[1] = max(self.starts[1], offset)
        self.log.advance_start(offset)

    def stop_and_start(self) -> None:
        self.sync(checkpoint=True)
        self.log.close()
        self.log = open_log(self.log.directory, self.settings)
        assert not self.log.wants_sync

    def truncate(self, offset: int) -> None:
        if offset < self.log.log_start:
            return
        for header in map(read_header, self.appended):
            if header.base_offset < self.log.log_start and header.base_offset <= offset <= header.last_offset:
                return
        reaching = [header.base_offset for header in map(read_header, self.appended) if header.last_offset >= offset]
        self.acknowledged = min(self.acknowledged, *reaching[:1], offset)
        truncate(self.log, offset)
        while self.appended and read_header(self.appended[-1]).next_offset > self.log.end_offset:
            self.sequence = read_header(self.appended.pop()).base_sequence
        self.acknowledged = self.log.end_offset
        self.epoch += 1

    def restart_at(self, offset: int) -> None:
        self.acknowledged, self.restart = 0, offset
        self.log = restart_at(self.log, offset)
        self.appended, self.restart = [], None
        self.acknowledged, self.starts = offset, [offset, offset]

    # --- the law -----------------------------------------------------------------------------------------------

    def check(self, directory: MemoryDirectory | None) -> None:
        """Raises AssertionError, or StorageError, if what is left breaks a promise; then goes on for a while."""
        if directory is None or topic_id_of(directory) is None:
            assert not self.exists, "the directory is gone, or nobody's"
            return
        log = open_log(directory, self.settings)
        if self.restart is not None and log.log_start == self.restart:
            assert log.end_offset == self.restart
            return
        self._check_batches(log)
        again = open_log(directory, self.settings)
        assert contents(again) == contents(log), "a second recovery finds something else"
        self.log, self.epoch = again, max(again.epochs.latest, self.epoch)
        append(again, epoch=self.epoch)
        sync(again)
        expected = contents(again)
        self.disk.kill(lambda count: 0)
        assert contents(open_log(directory, self.settings)) == expected, "appended after a recovery, and lost"

    def _check_batches(self, log: Log) -> None:
        assert self.starts[0] <= log.log_start <= self.starts[1], f"{log.log_start} isn't within {self.starts}"
        assert log.end_offset >= self.acknowledged, f"{log.end_offset} of {self.acknowledged} acknowledged"
        assert log.synced_end == log.end_offset
        found = contents(log)
        expected = [data for data in self.appended if log.log_start <= read_header(data).last_offset < log.end_offset]
        assert found == expected, "no prefix of what was appended"
        end = read_header(found[-1]).next_offset if found else log.log_start
        assert log.end_offset == end
        for header in map(read_header, found):
            known_from = log.epochs.starts[0].start_offset  # not the log's start, if that was about to move
            assert known_from <= self.starts[1]
            assert log.epochs.at(header.base_offset) == header.leader_epoch or header.base_offset < known_from
            hit = log.find_by_time(header.max_timestamp_ms)
            assert hit is not None and hit.timestamp_ms == header.max_timestamp_ms
        known = Producers()
        for header in map(read_header, self.appended):
            if header.last_offset < log.end_offset:
                known.appended(header, header.base_offset)
        assert log.producers == known, "producers' state isn't that of the batches"


def survive(play: Callable[[Story], None], seeds: Sequence[int], lie: Site | None = None) -> set[Site]:
    """Play the story to its end, then again with the power cut at each of its disk's operations: the law must hold.

    Returns the sites of all syncs.
    """
    fuse = Fuse(lie=lie)
    play(Story(MemoryDisk(fuse)))
    for at in range(fuse.count + 1):
        for seed in seeds:
            disk = MemoryDisk(Fuse(at, lie))
            story = Story(disk)
            with suppress(PowerCut):
                play(story)
            disk.kill(Random(f"{at} {seed}").randrange)
            story.check(disk.make(NAME) if NAME in disk.names() else None)
    return fuse.sites
