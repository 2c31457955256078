import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from client.consume_log import Record
from client.errors import ConfigError
from client.plain.line_file import LineFile, replace_file


class LineFileTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder / "new" / "consumer_1.txt"

    def test_a_first_run(self) -> None:
        with LineFile(self.path) as file:
            self.assertIsNone(file.kept)
            file.append(b"one\n")
            file.record(Record(0, {("T", 0): 1}))
            file.append(b"two\n")
            self.assertEqual(self.path.read_bytes(), b"one\ntwo\n")
        self.assertEqual(file.kept, Record(4, {("T", 0): 1}))

    def test_what_is_behind_the_record_is_cut_off(self) -> None:
        with LineFile(self.path) as file:
            file.append(b"one\n")
            file.record(Record(0, {("T", 0): 1}))
            file.append(b"two\nthr")
        with LineFile(self.path) as file:
            self.assertEqual(file.kept, Record(4, {("T", 0): 1}))
            file.append(b"two\n")
            file.record(Record(0, {("T", 0): 2}))
        self.assertEqual(self.path.read_bytes(), b"one\ntwo\n")
        with LineFile(self.path) as file:
            self.assertEqual(file.kept, Record(8, {("T", 0): 2}))

    def test_lines_of_others_before_the_first_record_stay(self) -> None:
        self.path.parent.mkdir()
        self.path.write_bytes(b"old\n")
        with LineFile(self.path) as file:
            file.record(Record(0))
            file.append(b"torn")
        with LineFile(self.path):
            self.assertEqual(self.path.read_bytes(), b"old\n")

    def test_a_file_that_was_removed_is_begun_anew_from_the_positions(self) -> None:
        with LineFile(self.path) as file:
            file.append(b"one\n")
            file.record(Record(0, {("T", 0): 1}))
        self.path.unlink()
        with LineFile(self.path) as file:
            self.assertEqual(file.kept, Record(4, {("T", 0): 1}))
            file.append(b"two\n")
            file.record(Record(0, {("T", 0): 2}))
            self.assertEqual(file.kept, Record(4, {("T", 0): 2}))

    def test_a_disk_that_takes_lines_piece_by_piece(self) -> None:
        """A disk that is nearly full takes a part without a word."""
        with LineFile(self.path) as file:
            whole = file._file
            file._file = mock.Mock(**{"write.side_effect": lambda lines: whole.write(lines[:3])})
            file.append(b"one\ntwo\n")
            file._file = whole
            self.assertEqual(self.path.read_bytes(), b"one\ntwo\n")

    def test_two_programs_with_one_id(self) -> None:
        with LineFile(self.path), self.assertRaisesRegex(ConfigError, "another program writes .*consumer_1.txt"):
            LineFile(self.path)
        LineFile(self.path).close()

    def test_a_record_that_can_not_be_read(self) -> None:
        LineFile(self.path).close()
        self.path.with_suffix(".offsets").write_bytes(b"{")
        with self.assertRaisesRegex(ConfigError, "remove it"):
            LineFile(self.path)

    def test_a_replacement_that_broke_off_leaves_what_was(self) -> None:
        path = self.folder / "file"
        replace_file(path, b"one")
        (self.folder / ".file.new").write_bytes(b"tw")
        self.assertEqual(path.read_bytes(), b"one")
        replace_file(path, b"two")
        self.assertEqual(path.read_bytes(), b"two")
        self.assertEqual([one.name for one in self.folder.iterdir()], ["file"])
