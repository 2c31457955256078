import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from client.cli.kept import Kept, Unusable


class KeptTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "state"

    def test_what_is_written_is_read(self) -> None:
        with Kept(self.path) as kept:
            self.assertIsNone(kept.read())
            kept.write({"a": 1})
            kept.write({"a": 2})
            self.assertEqual(kept.read(), {"a": 2})
        with Kept(self.path) as kept:
            self.assertEqual(kept.read(), {"a": 2})
        self.assertEqual(list(self.directory.iterdir()), [self.path])

    def test_one_holds_it_and_the_lock_goes_with_the_name(self) -> None:
        with Kept(self.path) as kept:
            for _ in range(2):
                with self.assertRaisesRegex(Unusable, "in use"):
                    Kept(self.path)
                kept.write({})
        Kept(self.path).close()

    def test_a_file_renamed_over_while_it_was_opened_is_opened_anew(self) -> None:
        first = Kept(self.path)
        first.write({"a": 1})
        opened = os.open

        def late(path: Path, flags: int, mode: int = 0o777) -> int:
            fd = opened(path, flags, mode)
            with mock.patch("client.cli.kept.os.open", opened):
                first.write({"a": 2})
            first.close()
            patched.stop()
            return fd

        patched = mock.patch("client.cli.kept.os.open", late)
        patched.start()
        with Kept(self.path) as kept:
            self.assertEqual(kept.read(), {"a": 2})

    def test_something_else_is_left_alone(self) -> None:
        for text in ("no json", json.dumps([1])):
            self.path.write_text(text)
            with Kept(self.path) as kept, self.assertRaisesRegex(Unusable, "holds something else"):
                kept.read()
            self.assertEqual(self.path.read_text(), text)

    def test_a_write_that_fails_changes_nothing(self) -> None:
        with Kept(self.path) as kept:
            kept.write({"a": 1})
            with mock.patch("client.cli.kept.os.fsync", side_effect=OSError("full")), self.assertRaises(OSError):
                kept.write({"a": 2})
            self.assertEqual(kept.read(), {"a": 1})
        self.assertEqual(list(self.directory.iterdir()), [self.path])

    def test_a_disk_that_takes_it_piece_by_piece(self) -> None:
        """A disk that is nearly full takes a part without a word; the rest fails, or fits by then."""
        wrote = os.write
        with Kept(self.path) as kept, mock.patch("client.cli.kept.os.write", lambda fd, data: wrote(fd, data[:5])):
            kept.write({"a": "long enough"})
            self.assertEqual(kept.read(), {"a": "long enough"})

    def test_the_name_is_synced_too(self) -> None:
        """Who sends lines only after the state is kept must find it after a power cut."""
        synced: list[int] = []
        with (
            Kept(self.path) as kept,
            mock.patch("client.cli.kept.os.fsync", lambda fd: synced.append(os.fstat(fd).st_ino)),
        ):
            kept.write({})
        self.assertEqual(synced, [self.path.stat().st_ino, self.directory.stat().st_ino])


if __name__ == "__main__":
    unittest.main()
