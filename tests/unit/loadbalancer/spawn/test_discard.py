import fcntl
import os
import shutil
import tempfile
import unittest
from pathlib import Path

from loadbalancer.spawn.process import discard, prune


class DiscardTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.node = self.directory / "7"
        self.node.mkdir()
        (self.node / "lock").touch()
        (self.node / "data").write_text("x")

    def test_a_node_that_left_takes_its_data_along(self) -> None:
        discard(self.node)
        self.assertFalse(self.node.exists())
        discard(self.node)

    def test_whoever_holds_the_lock_keeps_it(self) -> None:
        with (self.node / "lock").open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with self.assertRaises(BlockingIOError):
                discard(self.node)
        self.assertTrue((self.node / "data").exists())

    def test_a_link_is_not_ours(self) -> None:
        link = self.directory / "8"
        link.symlink_to(self.node)
        with self.assertRaises(NotADirectoryError):
            discard(link)
        self.assertTrue((self.node / "data").exists())

    def test_the_newest_logs_are_kept(self) -> None:
        for age in range(5):
            log = self.directory / f"server{age}.log"
            log.touch()
            os.utime(log, (1000 - age, 1000 - age))
        prune(self.directory, keep=2)
        self.assertEqual(sorted(path.name for path in self.directory.glob("*.log")), ["server0.log", "server1.log"])
