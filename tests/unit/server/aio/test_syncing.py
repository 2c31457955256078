"""`server.aio.syncing`: jobs in threads, outcomes on the loop, and a failure that is final."""

import asyncio
import threading
import unittest

from server.aio.syncing import Syncing
from server.disk.memory import MemoryDisk
from server.storage import StorageError
from tests.support.log_case import append, new_log


class SyncingTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.syncing = Syncing(threads=2)
        self.disk = MemoryDisk()
        self.log = new_log(disk=self.disk)
        self.outcomes: asyncio.Queue[StorageError | None] = asyncio.Queue()

    async def asyncTearDown(self) -> None:
        await asyncio.to_thread(self.syncing.close)

    async def test_the_log_is_told_before_whoever_asked(self) -> None:
        append(self.log)
        ends: list[int] = []
        self.syncing.sync(self.log, lambda error: (ends.append(self.log.synced_end), self.outcomes.put_nowait(error)))
        self.assertTrue(self.log.is_syncing)
        self.assertIsNone(await asyncio.wait_for(self.outcomes.get(), 5))
        self.assertEqual(ends, [1])

    async def test_one_job_at_a_time_and_what_comes_meanwhile_goes_with_the_next(self) -> None:
        gate = threading.Event()
        self.disk.hook = lambda operation, name: operation == "sync" and not gate.wait(5)
        append(self.log)
        self.syncing.sync(self.log, self.outcomes.put_nowait)
        append(self.log)
        self.syncing.sync(self.log, self.outcomes.put_nowait)
        gate.set()
        await asyncio.wait_for(self.outcomes.get(), 5)
        self.assertEqual((self.log.synced_end, self.outcomes.qsize()), (1, 0))
        self.syncing.sync(self.log, self.outcomes.put_nowait)
        await asyncio.wait_for(self.outcomes.get(), 5)
        self.assertEqual(self.log.synced_end, 2)

    async def test_nothing_to_do(self) -> None:
        self.syncing.sync(self.log, self.outcomes.put_nowait)
        self.assertTrue(self.outcomes.empty())

    async def test_a_failure_is_the_logs_end(self) -> None:
        def fails(operation: str, name: str) -> bool:
            if operation == "sync":
                raise StorageError("no", final=True)
            return False

        append(self.log)
        self.disk.hook = fails
        self.syncing.sync(self.log, self.outcomes.put_nowait)
        self.assertIsInstance(await asyncio.wait_for(self.outcomes.get(), 5), StorageError)
        with self.assertRaises(StorageError):
            append(self.log)

    async def test_what_ends_after_the_log_has_failed(self) -> None:
        """A compaction fails while a job runs: the job is told all the same, and who waits for it."""
        gate = threading.Event()
        self.disk.hook = lambda operation, name: operation == "sync" and not gate.wait(5)
        append(self.log)
        self.syncing.sync(self.log, self.outcomes.put_nowait)
        self.log.fail(StorageError("elsewhere", final=True))
        self.assertTrue(self.log.is_syncing, "its files are in use")
        gate.set()
        self.assertIsNone(await asyncio.wait_for(self.outcomes.get(), 5))
        self.assertEqual((self.log.is_syncing, self.log.synced_end), (False, 0))

    async def test_a_fault_of_ours_is_an_outcome_too(self) -> None:
        def fails() -> None:
            raise KeyError("nobody thought of it")

        with self.assertLogs("carousel.queue"):
            self.syncing.run(fails, self.outcomes.put_nowait)
            error = await asyncio.wait_for(self.outcomes.get(), 5)
        self.assertTrue(error is not None and error.final)

    async def test_other_work_and_errors_that_nobody_translated(self) -> None:
        def fails() -> None:
            raise OSError(5, "I/O error")

        self.syncing.run(lambda: None, self.outcomes.put_nowait)
        self.assertIsNone(await asyncio.wait_for(self.outcomes.get(), 5))
        self.syncing.run(fails, self.outcomes.put_nowait)
        error = await asyncio.wait_for(self.outcomes.get(), 5)
        self.assertTrue(error is not None and error.final)


if __name__ == "__main__":
    unittest.main()
