"""The queue of one server: a `Broker` with a disk, threads, timers and listeners.

Opening logs, syncing them and putting them away blocks on the disk, so it is done by `Syncing`'s threads. What woken
fetches have to look at is put off to the end of the loop's turn, so that what many producers wrote in one turn is one
answer. The way to control comes from outside; what it has decided comes by `apply`.
"""

import asyncio
import logging
import os
import random
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from server.aio.kafka import MAX_SERVERS, Budget, Listener, Login
from server.aio.syncing import Syncing
from server.api import k18_api_versions
from server.api.cluster_context import Control
from server.api.shape import Answer, Call
from server.apis import registry
from server.broker import Broker, BrokerSettings
from server.busy_poll import BusyPoll
from server.compaction import Compaction, Uncleanable, start_compaction
from server.log import Log
from server.log_dirs import create_partition, partition_directory, put_strays_aside
from server.log_files import DELETED_DIRECTORY, STRAY_DIRECTORY
from server.log_settings import Fsync
from server.now import Now
from server.partition import Partition
from server.queue_metrics import metrics_text
from server.recovery import open_log
from server.storage import Disk, StorageError
from server.traffic import Requests
from wire.cluster import Image
from wire.frames import BufferPool, RequestHead

GROUPS_TICK_S: Final = 0.1
RETRY_S: Final = 1.0

RETENTION_S: Final = 300.0
"""How often old records are looked for (`log.retention.check.interval.ms`)."""

CHECKPOINT_S: Final = 60.0
"""How often the recovery point is moved to the end (`log.flush.offset.checkpoint.interval.ms`)."""

SWEEP_S: Final = 30.0
"""How often idle connections are looked for."""

REOPEN_S: Final = 30.0
"""How often a log is tried again that couldn't be opened, for want of room, say."""

INTERVAL_S: Final = 1.0
"""`fsync=interval`: how much may be lost with the power."""

DELETE_DELAY_S: Final = 60.0
"""`file.delete.delay.ms`"""


_log = logging.getLogger("carousel.queue")


def clock() -> Now:
    """CLOCK_BOOTTIME (R2): a machine that was suspended must know for how long nobody has heard of it."""
    return Now(time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000, time.time_ns() // 1_000_000)


class Queue:
    """See the module. All of it is called on the loop's thread."""

    def __init__(
        self,
        node_id: int,
        cluster_id: str,
        disk: Disk,
        control: Control,
        settings: BrokerSettings | None = None,
        fsync: Fsync = Fsync.ALWAYS,
        distrust: bool = False,
        busy_poll_s: float = 0.0,
    ) -> None:
        settings = settings or BrokerSettings()
        self.apis = registry()
        self.broker = Broker(node_id, cluster_id, settings, self, control, clock, lambda: str(uuid.uuid4()), _number)
        self.syncing = Syncing()
        self.listeners: dict[str, Listener] = {}
        self._when_opened: list[Callable[[], None]] = []
        self.on_leaders_changed: Callable[[], None] = lambda: None
        """Called when others may be to be followed, or no longer."""
        self.has_failed = False
        self.on_disk_failed: Callable[[], None] = lambda: None
        """Called once: a server whose disk has failed had better go (R8), as Kafka's goes with its last log directory.
        Others lead then what is theirs too, and its next life knows what the disk really has."""
        self._loop = asyncio.get_running_loop()
        self._disk = disk
        self._fsync = fsync
        self._distrust = distrust
        self._pool = BufferPool()
        self._budget = Budget()
        self._busy_poll = BusyPoll(busy_poll_s, self._loop.call_soon, time.perf_counter)
        self._requests = Requests()
        self._wanted_syncs: list[Partition] = []
        self._after_sync: dict[Log, list[Callable[[], None]]] = {}
        self._busy: dict[str, list[Partition]] = {}
        """Directories that are being opened, or put away, and who waits to open the next of that name."""
        self._is_run_due = False
        self._deadline: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False
        self._is_compacting = False

    @property
    def context(self) -> Any:
        """What API modules are given: each types it by what it uses."""
        return self.broker

    def unknown_version(self, call: Call, head: RequestHead) -> Answer | None:
        """ApiVersions says what is spoken; nobody could read an answer to anything else."""
        return k18_api_versions.unsupported(call.correlation_id) if head.api_key == k18_api_versions.KEY else None

    def metrics_text(self) -> str:
        """For `/metrics`."""
        return metrics_text(self.broker, self._requests, self.syncing.flushes)

    # --- starting and stopping -------------------------------------------------------------------------------------

    async def listen(
        self, name: str, host: str, port: int, login: Callable[[], Login] | None = None, accept: bool = True
    ) -> int:
        """The port, which is a free one for 0; connections are refused until `accept`. Raises OSError."""
        budget = self._budget if login is None else Budget(connections=MAX_SERVERS)
        listener = Listener(name, self, clock, self._pool, budget, self._requests, self._busy_poll, login)
        bound = await listener.listen(host, port, accept)
        self.listeners[name] = listener
        return bound

    def accept(self) -> None:
        """Take connections on all listeners."""
        for listener in self.listeners.values():
            listener.accept()

    def start(self) -> None:
        """Begin with what is done now and then."""
        every = [(GROUPS_TICK_S, self._tick_groups), (RETENTION_S, lambda: self.broker.keep_house(clock()))]
        every += [(CHECKPOINT_S, self._checkpoint), (SWEEP_S, self._sweep)]
        every.append((self.broker.settings.cleaner_backoff_ms / 1000, self._compact_next))
        every.append((RETRY_S, self.broker.ask_again))
        every.append((REOPEN_S, self.broker.retry_opening))
        every.append((self.broker.settings.lag_ms / 2000, lambda: self.broker.shrink_isrs(clock())))
        if self._fsync is Fsync.INTERVAL:
            every.append((INTERVAL_S, self._sync_all))
        self._tasks = [asyncio.create_task(_repeat(seconds, work)) for seconds, work in every]

    @property
    def is_sound(self) -> bool:
        """No disk has failed: everything is as it was told."""
        partitions = self.broker.held()
        return all(p.open_error is None and (p.log is None or p.log.failure is None) for p in partitions)

    def apply(self, image: Image) -> None:
        """Be what the image says; see `when_opened`."""
        self.broker.apply(image, clock())

    def put_strays_aside(self) -> None:
        """R3: what the image gives to others goes, after a while. Once, behind the first `apply` and on its turn of the
        loop, so that no directory of a later image is meant."""
        held = frozenset(partition.name for partition in self.broker.held())
        try:
            waiting = put_strays_aside(self._disk, held, lambda name: _gone(name, STRAY_DIRECTORY))
        except StorageError as error:
            _log.error("strays stay", extra={"fields": {"reason": str(error)}})
            return
        for name in waiting:
            self._loop.call_later(DELETE_DELAY_S, self._remove, name)
        if waiting:
            _log.info("strays", extra={"fields": {"directories": waiting, "removed_in_s": DELETE_DELAY_S}})

    def when_opened(self, done: Callable[[], None]) -> None:
        """Call `done` once no log is being opened any more, maybe now: all that the image gives to this server is
        served then, but for what the disk refuses."""
        self._when_opened.append(done)
        self._tell_opened()

    def _tell_opened(self) -> None:
        if not self.broker.opening:
            waiting, self._when_opened = self._when_opened, []
            for done in waiting:
                done()

    async def stop(self) -> None:
        """Take no more requests, sync everything, and move the recovery points to the ends: the next start is short."""
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
        for listener in self.listeners.values():
            listener.end()
        for partition in self.broker.held():
            await self._finish(partition)
        for listener in self.listeners.values():
            listener.close()
        await asyncio.to_thread(self.syncing.close)

    async def _finish(self, partition: Partition) -> None:
        """One last job, behind the one under way; who waits for it is answered."""
        log = partition.log
        if log is None:
            return
        while log.failure is None or log.is_syncing or log.cleaning:
            is_last = not log.is_syncing and not log.cleaning
            done = self._loop.create_future()
            if is_last:
                self._sync(partition, checkpoint=True)
            if not log.is_syncing and not log.cleaning:
                break
            self._after_sync.setdefault(log, []).append(partial(_finish, done))
            await done
            if is_last:
                break
        log.close()

    # --- the broker's world ----------------------------------------------------------------------------------------

    def open(self, partition: Partition) -> None:
        """A topic that is deleted and made again, or a replica that goes and comes back, has the directory's name of
        the one before: it waits until that is closed and renamed, or the new log would be renamed under its feet."""
        waiting = self._busy.get(partition.name)
        if waiting is not None:
            waiting.append(partition)
            return
        self._busy[partition.name] = []
        opened: list[Log] = []
        rules, name, topic_id = partition.rules.log, partition.name, uuid.UUID(partition.topic_id)
        may_be_rebuilt, damaged = partition.may_be_rebuilt, _gone(name, STRAY_DIRECTORY)

        def work() -> None:
            directory = partition_directory(self._disk, name, topic_id, _gone(name, STRAY_DIRECTORY))
            try:
                opened.append(open_log(directory, rules, fsync=self._fsync, distrust=self._distrust))
            except StorageError as error:
                if error.is_io or not (error.final and may_be_rebuilt):
                    raise
                _log.error("a damaged log is built anew", extra={"fields": {"partition": name, "reason": str(error)}})
                self._disk.rename(name, damaged)
                opened.append(open_log(create_partition(self._disk, name, topic_id), rules, fsync=self._fsync))

        def outcome(error: StorageError | None) -> None:
            if error is not None:
                _log.error("can't open", extra={"fields": {"partition": name, "reason": str(error)}})
                self.broker.open_failed(partition, error)
                self._free(name)
            elif self.broker.opened(partition, opened[0], clock()):
                self._free(name)
            else:
                self.retire(partition, opened[0], is_deleted=True)
            self._tell_opened()

        self.syncing.run(work, outcome)

    def _free(self, name: str) -> None:
        """The directory has its owner, or is no more under that name: the next one's turn, if it is still wanted."""
        waiting = self._busy.pop(name)
        wanted = [partition for partition in waiting if partition in self.broker.opening]
        if wanted:
            self.open(wanted[-1])  # only the last one of a name is held

    def retire(self, partition: Partition, log: Log | None, is_deleted: bool) -> None:
        if log is None:
            return
        ending = DELETED_DIRECTORY if is_deleted else STRAY_DIRECTORY
        name, gone = partition.name, _gone(partition.name, ending)
        self._busy.setdefault(name, [])

        def put_away() -> None:
            if log.is_syncing or log.cleaning:  # something is under way: when it has ended
                self._after_sync.setdefault(log, []).append(put_away)
                return
            log.close()
            self.syncing.run(lambda: self._disk.rename(name, gone), lambda _: self._free(name))
            self._loop.call_later(DELETE_DELAY_S, self._remove, gone)

        put_away()

    def _remove(self, name: str) -> None:
        if not self._is_stopping:
            self.syncing.run(lambda: self._disk.remove(name), lambda _: None)

    def sync(self, partition: Partition) -> None:
        """At the end of the turn: all that is appended in it goes with one job."""
        self._wanted_syncs.append(partition)
        self.run_soon()

    def run_soon(self) -> None:
        if not self._is_run_due:
            self._is_run_due = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._is_run_due = False
        wanted, self._wanted_syncs = self._wanted_syncs, []
        for partition in wanted:
            self._sync(partition)
        self.broker.run(clock())

    async def synced(self, partition: Partition) -> None:
        """Return once all that its log holds now is synced, or never will be."""
        while (log := partition.log) is not None and log.failure is None:
            if not log.is_syncing:
                if not log.wants_sync:
                    return
                self._sync(partition)
                if not log.is_syncing:  # the disk refused
                    return
            done = self._loop.create_future()
            self._after_sync.setdefault(log, []).append(partial(_finish, done))
            await done

    def _sync(self, partition: Partition, checkpoint: bool = False) -> None:
        log = partition.log
        if log is None or log.is_syncing or log.failure is not None:
            return

        def outcome(error: StorageError | None) -> None:
            if error is not None:
                self.broker.disk_failed(partition, error, clock())
            else:
                partition.synced(clock())
            self._tell_idle(log)

        try:
            self.syncing.sync(log, outcome, checkpoint)
        except StorageError as error:
            self.broker.disk_failed(partition, error, clock())

    def _tell_idle(self, log: Log) -> None:
        for told in self._after_sync.pop(log, ()):
            told()

    def deadline_is_earlier(self) -> None:
        due_ms = self.broker.deadlines.next_ms()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if due_ms is not None:
            self._call_at(due_ms, clock().steady_ms)

    def _call_at(self, due_ms: int, now_ms: int) -> None:
        """The loop has another clock, so it is told how long, and may be a little early."""
        self._deadline = self._loop.call_later(max(due_ms - now_ms, 1) / 1000, self._expire)

    def _expire(self) -> None:
        self._deadline = None
        now = clock()
        self.broker.deadlines.expire(now)
        due_ms = self.broker.deadlines.next_ms()
        if due_ms is not None:
            self._call_at(due_ms, now.steady_ms)

    def disk_failed(self, partition: Partition, error: StorageError) -> None:
        if not self.has_failed:
            self.has_failed = True
            fields = {"partition": partition.name, "reason": str(error)}
            _log.error("the disk failed", extra={"fields": fields})
            self.on_disk_failed()

    def leaders_changed(self) -> None:
        self.on_leaders_changed()

    def disk_bytes(self) -> tuple[int, int]:
        try:
            found = os.statvfs(self.broker.log_dir)
        except OSError:
            return -1, -1
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize

    # --- now and then ----------------------------------------------------------------------------------------------

    def _tick_groups(self) -> None:
        self.broker.tick_groups(clock())

    def _checkpoint(self) -> None:
        for partition in self.broker.held():
            self._sync(partition, checkpoint=True)

    def _compact_next(self) -> None:
        """One log at a time: compaction may take its time, and the disk is for those who wait."""
        if self._is_compacting or self._is_stopping:
            return
        for partition in self.broker.held():
            log = partition.log
            if log is None or log.failure is not None:
                continue
            work = start_compaction(log, clock().wall_ms, partition.high_watermark)
            if work is not None:
                self._compact(partition, log, work)
                return

    def _compact(self, partition: Partition, log: Log, work: Compaction) -> None:
        self._is_compacting = True
        is_whole: list[bool] = []
        uncleanable: list[str] = []

        def run() -> None:
            try:
                for _ in work.steps():
                    if self._is_stopping or partition.log is not log:
                        return
            except Uncleanable as fault:
                uncleanable.append(str(fault))
            else:
                is_whole.append(True)

        def outcome(error: StorageError | None) -> None:
            self._is_compacting = False
            if is_whole:
                work.finish()
            elif uncleanable:
                work.abandon(for_good=True)
                _log.warning("uncleanable", extra={"fields": {"log": partition.name, "reason": uncleanable[0]}})
            elif error is None or not error.final:
                work.abandon()
            else:
                log.cleaning = False
                self.broker.disk_failed(partition, error, clock())
            self._tell_idle(log)
            if error is None:  # a full disk is tried again after the usual pause
                self._compact_next()

        self.syncing.run(run, outcome)

    def _sync_all(self) -> None:
        for partition in self.broker.held():
            self._sync(partition)

    def _sweep(self) -> None:
        for listener in self.listeners.values():
            listener.sweep()


async def _repeat(seconds: float, work: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            work()
        except Exception:  # a fault of ours, this time; retention and sessions are to go on
            _log.exception("housekeeping failed")


def _finish(done: "asyncio.Future[None]") -> None:
    """Who waited may have been cancelled meanwhile."""
    if not done.done():
        done.set_result(None)


def _gone(name: str, ending: str) -> str:
    """What a directory is called that waits for its removal, as in Kafka."""
    return f"{name}.{uuid.uuid4().hex}{ending}"


def _number() -> int:
    return random.randrange(1, 2**31)
