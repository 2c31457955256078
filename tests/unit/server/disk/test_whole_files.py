"""`server.disk.whole_files`: content, then name, then the directory are synced, in this order."""

import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from server.disk import whole_files


class WholeFilesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)

    def test_the_order_of_syncs(self) -> None:
        file, seen = self.directory / "a.json", []
        with mock.patch("os.fsync", side_effect=lambda fd: seen.append(file.exists())):
            whole_files.write_durably(file, b"new")
        self.assertEqual((seen, file.read_bytes()), ([False, True], b"new"))

    def test_replaced_as_a_whole(self) -> None:
        file = self.directory / "a.json"
        for content in (b"a long text", b"b"):
            whole_files.write_durably(file, content)
            self.assertEqual(file.read_bytes(), content)
