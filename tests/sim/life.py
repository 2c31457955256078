"""One life of a server: the real broker and logs on a disk that loses what was not synced, with seeded luck.

What the server does in threads (sync jobs, opening logs, compaction) is done here in pieces: at each operation of the
disk anything else may come in between (`meanwhile`), as it may while a thread waits for the disk.
"""

import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any
from uuid import UUID

from server.compaction import start_compaction
from server.disk.memory import MemoryDisk
from server.log_dirs import partition_directory
from server.now import Now
from server.partition import Partition
from server.recovery import open_log
from tests.support.broker_world import BrokerWorld
from tests.support.log_case import PowerCut, Site, site_of
from wire import messages
from wire.batches import walk, whole_end
from wire.cluster import Image
from wire.records import records_of

MOST_THREADS = 2
"""Of the disk's work under way at once."""


KINDS: Mapping[str, frozenset[tuple[str, str]]] = {
    "a segment's bytes": frozenset({("_run", "bytes")}),
    "small texts": frozenset({("_run", "text")}),
    "names in a partition's directory": frozenset({("_run", "names")}),
    "a new partition's id": frozenset({("create_partition", "text")}),
    "a new partition's directory": frozenset({("create_partition", "names"), ("partition_directory", "names")}),
    "bytes that a recovery has found": frozenset({("_make_sure", "bytes")}),
    "an index made anew": frozenset({("settle", "bytes")}),
    "a compacted segment's bytes": frozenset({("_rewrite", "bytes")}),
    "names, before what they make needless goes": frozenset(
        {
            ("_rewrite", "names"),
            ("finish_swap", "names"),
            ("_finish_swaps", "names"),
            ("tidy", "names"),
            ("_begin_at", "names"),
        }
    ),
}
"""All kinds of syncs that a leader's log asks for: which function, for what."""


class Power:
    """The disk's hook: cuts the power at the operation of number `left`; syncs of the kind `lie` only pretend."""

    def __init__(self, left: int, lie: str | None, meanwhile: Callable[[], None]) -> None:
        self.left = left
        self.asked: set[tuple[str, str]] = set()
        self._lies = KINDS[lie] if lie is not None else frozenset[tuple[str, str]]()
        self._meanwhile = meanwhile

    def __call__(self, operation: str, name: str) -> bool:
        if not self.left:
            raise PowerCut
        self.left -= 1
        kind = ("", "")
        if operation == "sync":
            kind = _kind(site_of(sys._getframe(2)), name)
            self.asked.add(kind)
        self._meanwhile()
        return kind in self._lies


def _kind(site: Site, name: str) -> tuple[str, str]:
    *_, function = site[-1].split()
    if "write_whole" in site[0]:
        return function, "text"
    return function, "bytes" if name.endswith((".log", "index", ".cleaned", ".tmp")) else "names"


class Life(BrokerWorld):
    """`act`: something that a client does just now. Raises PowerCut anywhere."""

    def __init__(self, disk: MemoryDisk, random: Random, now: Now, ids: "ProducerIds", act: Callable[[], None]) -> None:
        super().__init__(auto_sync=False)
        self.disk, self.now = disk, now
        self.broker.control = ids
        self._random = random
        self._act = act
        self._threads = 0
        self._is_in_thread = False
        self._to_open: list[Partition] = []
        self._to_sync: dict[Partition, None] = {}

    def start(self, image: Image) -> None:
        self.broker.apply(image, self.now)
        self.broker.ask_producer_ids()
        while self._to_open:
            self.open_one()
        self.turn()

    @property
    def is_open(self) -> bool:
        return not self.broker.opening

    def offsets_of(self, topic: str) -> list[int]:
        """Of all records in the log of partition 0."""
        log = self.partition(topic).log
        assert log is not None
        found: list[int] = []
        at = log.log_start
        while data := log.read(at, 1 << 20):
            for place, header in walk(data[: whole_end(data, len(data))]):
                found += [record.offset for record in records_of(data, place, header)]
                at = header.next_offset
        return found

    # --- what threads do ---------------------------------------------------------------------------------------------

    def meanwhile(self) -> None:
        """The disk is busy with something: if that is in a thread, the loop's goes on."""
        if self._is_in_thread and self._random.random() < 0.2:
            self._is_in_thread = False
            try:
                self._act()
            finally:
                self._is_in_thread = True

    @contextmanager
    def _thread(self) -> Generator[None]:
        self._threads += 1
        self._is_in_thread = True
        try:
            yield
        finally:
            self._threads -= 1
            self._is_in_thread = False

    def open_one(self) -> None:
        partition = self._to_open.pop(self._random.randrange(len(self._to_open)))
        aside = f"{self._random.getrandbits(64):x}-stray"
        with self._thread():
            directory = partition_directory(self.disk, partition.name, UUID(partition.topic_id), aside)
            log = open_log(directory, partition.rules.log)
        self.broker.opened(partition, log, self.now)

    def sync_one(self) -> None:
        """One log's next job, if one is wanted: now and then one that moves the recovery point."""
        ready = [one for one in self._to_sync if one.log is not None and not one.log.is_syncing]
        if not ready or self._threads >= MOST_THREADS:
            return
        partition = self._random.choice(ready)
        del self._to_sync[partition]
        self.run_job(partition, checkpoint=self._random.random() < 0.2)

    def run_job(self, partition: Partition, checkpoint: bool) -> None:
        log = partition.log
        assert log is not None
        job = log.sync_job(checkpoint)
        if job is None:
            return
        with self._thread():
            job.run()
            self.meanwhile()
        log.synced(job)
        partition.synced(self.now)
        self.turn()

    def compact_one(self) -> None:
        """A pass over a log that wants one; sometimes it isn't run to its end."""
        if self._threads >= MOST_THREADS:
            return
        for partition in self.broker.held():
            log = partition.log
            work = log and start_compaction(log, self.now.wall_ms, partition.high_watermark)
            if log is None or not work:
                continue
            most = self._random.choice((10, 1000, 1000))
            with self._thread():
                done = sum(1 for _ in zip(range(most), work.steps(), strict=False))
            work.finish() if done < most else work.abandon()
            return

    def stop(self) -> None:
        """An orderly end."""
        self._act = lambda: None
        for partition in self.broker.held():
            self.run_job(partition, checkpoint=False)
            self.run_job(partition, checkpoint=True)
            assert partition.log is not None
            partition.log.close()

    # --- server.broker.World -----------------------------------------------------------------------------------------

    def open(self, partition: Partition) -> None:
        self._to_open.append(partition)

    def sync(self, partition: Partition) -> None:
        self._to_sync[partition] = None


class ProducerIds:
    """Control, as far as a lone server needs it: each block is given once, whoever forgets it."""

    def __init__(self) -> None:
        self.next = 1

    def ask(self, api_key: int, version: int, body: bytes, timeout_s: float, done: Callable[[Any], None]) -> None:
        self.next += 3
        values = {"throttle_time": 0, "error_code": 0, "producer_id_start": self.next - 3, "producer_id_len": 3}
        done(memoryview(messages.answer(0, messages.build(api_key, version, values)))[4:])
