"""`server.disk.last_run` and `server.disk.whole_files`."""

import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from server.disk.last_run import FILE, boot_id, read_last_run, write_last_run
from server.registration import LastRun


class LastRunTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)

    def test_round_trip(self) -> None:
        self.assertEqual(read_last_run(self.directory), LastRun())
        run = LastRun(3, boot_id(), True)
        write_last_run(self.directory, run)
        self.assertEqual(read_last_run(self.directory), run)
        self.assertEqual([path.name for path in self.directory.iterdir()], [FILE])

    def test_a_failed_write_leaves_the_old_text(self) -> None:
        write_last_run(self.directory, LastRun(3))
        with mock.patch("os.fsync", side_effect=OSError("broken")), self.assertRaises(OSError):
            write_last_run(self.directory, LastRun(4))
        self.assertEqual(read_last_run(self.directory), LastRun(3))

    def test_the_boot(self) -> None:
        self.assertEqual(boot_id(), boot_id())
        with mock.patch("server.disk.last_run.BOOT_ID", self.directory / "nothing"):
            self.assertEqual(boot_id(), "")
