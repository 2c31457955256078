"""`server.disk.data_dir`: one holder, one owner."""

import shutil
import tempfile
import unittest
from pathlib import Path
from unittest.mock import call, patch

from server.disk.data_dir import DataDirBusy, open_data_dir
from server.disk.whole_files import sync_directory
from server.meta import MetaError


class Directories(unittest.TestCase):
    def setUp(self) -> None:
        root = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, root)
        self.path = root / "deep" / "data"

    def test_a_new_one_is_made_and_found_again(self) -> None:
        first = open_data_dir(self.path, "c1", 7)
        self.assertEqual((first.meta.cluster_id, first.meta.node_id), ("c1", 7))
        self.assertRegex(first.meta.directory_id, r"^[A-Za-z0-9_][A-Za-z0-9_-]{21}$")
        first.close()
        again = open_data_dir(self.path, None, None)
        self.assertEqual(again.meta, first.meta)
        again.close()
        self.assertEqual({file.name for file in self.path.iterdir()}, {"lock", "meta.properties"})
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o700)

    def test_its_name_is_sure_before_anything_in_it(self) -> None:
        """Or a power cut takes the whole of a young server's disk, whatever was synced below."""
        for makes in (self.path.parent, self.path):
            if makes is self.path:
                shutil.rmtree(self.path)
                self.path.mkdir()  # by a process that was killed before it could sync
            with patch("server.disk.data_dir.sync_directory", side_effect=sync_directory) as synced:
                open_data_dir(self.path, "c1", 7).close()
            self.assertIn(call(self.path.parent), synced.mock_calls)
            if makes is self.path.parent:
                self.assertIn(call(self.path.parent.parent), synced.mock_calls)

    def test_a_second_holder_is_refused_until_the_first_is_gone(self) -> None:
        first = open_data_dir(self.path, "c1", 7)
        with self.assertRaisesRegex(DataDirBusy, r"in use by process \d+"):
            open_data_dir(self.path, "c1", 7)
        first.close()
        open_data_dir(self.path, "c1", 7).close()

    def test_another_s_directory_is_refused_and_left_unlocked(self) -> None:
        open_data_dir(self.path, "c1", 7).close()
        before = (self.path / "meta.properties").read_bytes()
        for cluster, node_id in (("c2", 7), ("c1", 8)):
            with self.assertRaises(MetaError):
                open_data_dir(self.path, cluster, node_id)
        self.assertEqual((self.path / "meta.properties").read_bytes(), before)
        open_data_dir(self.path, "c1", 7).close()

    def test_a_new_one_needs_an_owner(self) -> None:
        for cluster, node_id in ((None, 7), ("c1", None)):
            with self.assertRaisesRegex(MetaError, "NODE_ID"):
                open_data_dir(self.path, cluster, node_id)
        self.assertFalse((self.path / "meta.properties").exists())

    def test_half_a_file_of_a_crash_does_not_count(self) -> None:
        self.path.mkdir(parents=True)
        (self.path / "meta.tmp").write_text("version=1\nclus")
        open_data_dir(self.path, "c1", 7).close()
        self.assertFalse((self.path / "meta.tmp").exists())
