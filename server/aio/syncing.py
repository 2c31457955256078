"""Group commit: logs' sync jobs in a few threads, beside the loop.

The problem: an fdatasync takes 0.1 to 10 ms, in which the loop could serve a thousand requests. So a job runs in a
thread while the loop goes on; what is appended meanwhile goes with the next job of that log. Each log has one job under
way, several logs have theirs at once, and the file system commits them together.

The road not taken: `run_in_executor`, whose futures cost as much as the sync of a fast disk.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from time import perf_counter
from typing import Final

from server.log import Log
from server.storage import StorageError
from server.sync_job import SyncJob
from server.traffic import Times

THREADS: Final = 4
"""More don't make a disk faster: what they wait for is the file system's one journal."""

_log = logging.getLogger("carousel.queue")

Outcome = Callable[[StorageError | None], None]
Work = tuple[Callable[[], None], Outcome]


class Syncing:
    """The threads. Everything is called on the loop's thread, but the jobs."""

    def __init__(self, threads: int = THREADS) -> None:
        self.flushes = Times()
        self._loop = asyncio.get_running_loop()
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._done: deque[tuple[Outcome, StorageError | None]] = deque()
        self._threads = [threading.Thread(target=self._run, name=f"sync-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def sync(self, log: Log, outcome: Outcome, checkpoint: bool = False) -> None:
        """Run the log's next job, if it has one and none is under way; `outcome` hears on the loop, after the log.

        Where the disk failed, so has the log (R8).
        """
        if log.is_syncing:
            return
        job = log.sync_job(checkpoint)
        if job is None:
            return

        took_s = 0.0

        def run() -> None:
            nonlocal took_s
            begun = perf_counter()
            job.run()
            took_s = perf_counter() - begun

        def told(error: StorageError | None) -> None:
            self.flushes.add(took_s)
            _tell(log, job, error)
            outcome(error)

        self._work.put((run, told))

    def run(self, work: Callable[[], None], outcome: Outcome) -> None:
        """Run anything else that blocks on the disk."""
        self._work.put((work, outcome))

    def close(self) -> None:
        """Wait for the work under way; outcomes that weren't told yet never are."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            run, outcome = work
            error: StorageError | None = None
            try:
                run()
            except StorageError as failed:
                error = failed
            except Exception as failed:
                if not isinstance(failed, OSError):  # a fault of ours: whoever waits must not wait for ever
                    _log.exception("work on the disk failed")
                error = StorageError(repr(failed), final=True, is_io=isinstance(failed, OSError))
            self._done.append((outcome, error))
            try:
                self._loop.call_soon_threadsafe(self._tell_all)
            except RuntimeError:  # the loop is closed: nobody wants to know
                return

    def _tell_all(self) -> None:
        while self._done:
            outcome, error = self._done.popleft()
            outcome(error)


def _tell(log: Log, job: SyncJob, error: StorageError | None) -> None:
    if error is None:
        log.synced(job)
    else:
        log.job_failed(job, error)
