import contextlib
import io
import json
import shutil
import tempfile
import unittest
from pathlib import Path

from client.cli.kept import Unusable
from client.cli.positions import BadPosition
from client.cli.sinks import File, Stdout


class FileTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "out"
        self.position = self.directory / "out.position"

    def test_what_is_written_behind_the_last_position_is_cut_at_the_next_start(self) -> None:
        with File(self.path) as file:
            self.assertFalse(file.goes_on)
            file.write(b"one\n")
            file.keep({("T1", 0): 1})
            file.write(b"two\nthr")
        self.assertEqual(self.path.read_bytes(), b"one\ntwo\nthr")
        with File(self.path) as file:
            self.assertTrue(file.goes_on)
            self.assertEqual((file.position.size_bytes, dict(file.position.next)), (4, {("T1", 0): 1}))
            file.write(b"two\n")
            file.keep({("T1", 0): 2})
        self.assertEqual(self.path.read_bytes(), b"one\ntwo\n")
        self.assertEqual(json.loads(self.position.read_text())["size_bytes"], 8)

    def test_a_log_that_was_made_anew_is_not_mixed_with_the_old_one(self) -> None:
        with File(self.path) as file, self.assertRaisesRegex(BadPosition, "T1:0 was made anew.*another file"):
            file.begin_anew(("T1", 0))
        with contextlib.redirect_stderr(io.StringIO()) as said:
            Stdout().begin_anew(("T1", 0))
        self.assertIn("T1:0 was made anew", said.getvalue())

    def test_somebody_else_s_file_is_left_alone(self) -> None:
        self.path.write_bytes(b"mine")
        for _ in range(2):
            with self.assertRaisesRegex(Unusable, "remove it, or name another"):
                File(self.path)
        self.assertEqual(self.path.read_bytes(), b"mine")

    def test_a_file_that_lost_its_end_is_not_gone_on_with(self) -> None:
        with File(self.path) as file:
            file.write(b"one\n")
            file.keep({})
        self.path.write_bytes(b"")
        with self.assertRaisesRegex(Unusable, "was 4 bytes long and is 0"):
            File(self.path)

    def test_one_writes_it(self) -> None:
        with File(self.path), self.assertRaisesRegex(Unusable, "in use"):
            File(self.path)

    def test_a_start_without_a_message_is_kept(self) -> None:
        with File(self.path) as file:
            file.keep({("T1", 0): 7})
        with File(self.path) as file:
            self.assertEqual((file.goes_on, dict(file.position.next)), (True, {("T1", 0): 7}))


class StdoutTest(unittest.TestCase):
    def test_what_is_written_is_flushed(self) -> None:
        bytes_out = io.BytesIO()
        text = io.TextIOWrapper(bytes_out)
        with contextlib.redirect_stdout(text):
            Stdout().write(b"a\xff")
            Stdout().keep({})
        self.assertEqual(bytes_out.getvalue(), b"a\xff")


if __name__ == "__main__":
    unittest.main()
