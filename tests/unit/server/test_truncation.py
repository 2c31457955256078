"""`server.truncation`: the end cut back to what the leader has; the power cuts are in `test_recovery`."""

import unittest

from support.log_case import append, batch, contents, new_log, reopened, sync

from server.disk.memory import MemoryDisk
from server.storage import StorageError
from server.truncation import restart_at, truncate


class TruncationTest(unittest.TestCase):
    def setUp(self) -> None:
        self.log = new_log()
        for number in range(20):
            append(self.log, batch(2, time_ms=100 * number), epoch=number // 5)
        sync(self.log, checkpoint=True)
        self.before = contents(self.log)

    def test_to_every_offset_then_on(self) -> None:
        for offset in range(45, -1, -1):
            truncate(self.log, offset)
            end = min(offset // 2 * 2, 40)
            self.assertEqual((self.log.end_offset, self.log.synced_end), (end, end))
            self.assertEqual(contents(self.log), self.before[: end // 2])
            self.assertEqual(self.log.epochs.latest, (end // 2 - 1) // 5 if end else -1)
        self.assertEqual(append(self.log), 0)
        self.assertEqual(contents(reopened(self.log)), contents(self.log))

    def test_by_time_after_a_cut(self) -> None:
        truncate(self.log, 10)
        append(self.log, batch(2, time_ms=5000), epoch=9)
        self.assertEqual(self.log.find_by_time(450), (5000, 10))
        sync(self.log, checkpoint=True)
        self.assertEqual(reopened(self.log).find_by_time(450), (5000, 10))

    def test_an_epoch_that_began_at_the_end_and_has_nothing(self) -> None:
        """This server led it, and then another did: else the two would disagree about it for ever."""
        self.log.epochs.begin(9, 40)
        for offset in (40, 41):
            truncate(self.log, offset)
            self.assertEqual((self.log.epochs.latest, contents(self.log)), (3, self.before))
        self.assertEqual(reopened(self.log).epochs.latest, 3)

    def test_an_empty_log_s_epoch(self) -> None:
        log = new_log()
        log.epochs.begin(2, 0)
        truncate(log, 0)
        self.assertEqual(log.epochs.latest, -1)

    def test_never_below_the_start(self) -> None:
        self.log.advance_start(11)
        for offset in (3, 10, 11):
            with self.assertRaises(StorageError):
                truncate(self.log, offset)
        self.assertEqual(self.log.end_offset, 40)

    def test_a_disk_that_is_full_in_the_midst(self) -> None:
        """Whatever fails, the log has: what is half cut must not be appended to."""
        for cut in (lambda log: truncate(log, 10), lambda log: restart_at(log, 100)):
            for operation in ("create", "append", "sync", "rename", "remove", "truncate"):
                with self.subTest(operation):
                    disk = MemoryDisk()
                    log = new_log(disk=disk)
                    for number in range(20):
                        append(log, batch(2, time_ms=100 * number), epoch=number // 5)
                    failed: list[str] = []

                    def full(asked: str, name: str, operation: str = operation, failed: list[str] = failed) -> bool:
                        if asked == operation:
                            failed.append(name)
                            raise StorageError("No space left on device")
                        return False

                    disk.hook = full
                    try:
                        cut(log)
                    except StorageError:
                        self.assertIsNotNone(log.failure)
                        self.assertFalse(log.is_syncing)
                    else:
                        self.assertEqual(failed, [])

    def test_emptied(self) -> None:
        log = restart_at(self.log, 100)
        self.assertEqual((log.log_start, log.end_offset, log.epochs.latest, contents(log)), (100, 100, -1, []))
        self.assertEqual(append(log), 100)
        self.assertEqual(contents(reopened(log)), contents(log))
