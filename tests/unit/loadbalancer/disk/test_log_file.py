import errno
import os
import select
import shutil
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from loadbalancer.disk import log_file
from loadbalancer.disk.log_file import LOOK_S, LogFile, check


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "access.log"
        self.file = LogFile(str(self.path))
        self.addCleanup(self.file.close)

    def write(self, lines: bytes, now: float = 0.0) -> None:
        self.assertEqual(self.file.write(lines, now), (0, None))


class Writing(Case):
    def test_lines_are_appended_to_what_is_there(self) -> None:
        self.path.write_bytes(b"zero\n")
        self.write(b"one\ntwo\n")
        self.write(b"three\n")
        self.assertEqual(self.path.read_bytes(), b"zero\none\ntwo\nthree\n")

    def test_a_new_file_is_not_everybody_s(self) -> None:
        self.write(b"a\n")
        self.assertEqual(self.path.stat().st_mode & 0o007, 0)

    def test_each_call_writes_whole_lines_and_no_more_than_it_may(self) -> None:
        lines = b"".join(b"%04d" % number + b"a" * (number % 4000) + b"\n" for number in range(500))
        with mock.patch("os.write", wraps=os.write) as written:
            self.write(lines)
        chunks = [call.args[1] for call in written.call_args_list]
        self.assertEqual(b"".join(chunks), lines)
        self.assertTrue(all(chunk.endswith(b"\n") and len(chunk) <= log_file.CHUNK_BYTES for chunk in chunks))
        self.assertLess(len(chunks), len(lines) // log_file.CHUNK_BYTES + 3)

    def test_a_pipe_gets_no_more_at_once_than_it_takes_whole(self) -> None:
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        lines = (b"a" * 1500 + b"\n") * 9
        with mock.patch("os.write", wraps=os.write) as written:
            self.write(lines)
        self.assertTrue(all(len(call.args[1]) <= select.PIPE_BUF for call in written.call_args_list))
        self.assertEqual(os.read(reader, len(lines)), lines)

    def test_several_writers_never_tear_a_line(self) -> None:
        def write(name: bytes) -> None:
            file = LogFile(str(self.path))
            for number in range(50):
                file.write(b"".join(name * (100 + i) + b"\n" for i in range(number)), 0.0)
            file.close()

        threads = [threading.Thread(target=write, args=(name,)) for name in (b"a", b"b", b"c")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = self.path.read_bytes().splitlines()
        self.assertEqual(len(lines), 3 * sum(range(50)))
        self.assertTrue(all(len(set(line)) == 1 for line in lines))

    def test_standard_output(self) -> None:
        reader, writer = os.pipe()
        before = os.dup(1)
        try:
            os.dup2(writer, 1)
            file = LogFile("-")
            self.assertEqual(file.write(b"a\nb\n", 5.0), (0, None))
            file.close()
            os.write(1, b"still open")
        finally:
            os.dup2(before, 1)
            for fd in (before, writer):
                os.close(fd)
        self.assertEqual(os.read(reader, 100), b"a\nb\nstill open")
        os.close(reader)


class Rotating(Case):
    def test_a_renamed_file_is_left_within_a_second(self) -> None:
        self.write(b"one\n", 0.0)
        self.path.rename(self.directory / "old")
        self.write(b"two\n", LOOK_S / 2)
        self.write(b"three\n", LOOK_S)
        self.assertEqual((self.directory / "old").read_bytes(), b"one\ntwo\n")
        self.assertEqual(self.path.read_bytes(), b"three\n")

    def test_another_in_its_place_is_taken(self) -> None:
        self.write(b"one\n", 0.0)
        self.path.unlink()
        self.path.write_bytes(b"new\n")
        self.write(b"two\n", LOOK_S)
        self.assertEqual(self.path.read_bytes(), b"new\ntwo\n")

    def test_copy_and_truncate(self) -> None:
        self.write(b"one\n", 0.0)
        os.truncate(self.path, 0)
        self.write(b"two\n", LOOK_S)
        self.assertEqual(self.path.read_bytes(), b"two\n")


class Failing(Case):
    def test_what_can_t_be_opened_is_dropped_and_tried_again(self) -> None:
        self.directory.rename(away := self.directory.with_name(self.directory.name + "-away"))
        lost, reason = self.file.write(b"a\nb\n", 0.0)
        assert reason is not None
        self.assertEqual((lost, reason.errno), (2, errno.ENOENT))
        away.rename(self.directory)
        self.write(b"c\n", 0.1)
        self.assertEqual(self.path.read_bytes(), b"c\n")

    def test_a_full_disk(self) -> None:
        full = LogFile("/dev/full")
        self.addCleanup(full.close)
        lost, reason = full.write(b"a\nb\nc\n", 0.0)
        assert reason is not None
        self.assertEqual((lost, reason.errno), (3, errno.ENOSPC))

    def test_one_that_fills_up_within_a_line(self) -> None:
        self.write(b"one\n")
        write = os.write
        with mock.patch("os.write", lambda fd, data: write(fd, data[:6])):  # pyright: ignore[reportUnknownLambdaType]
            lost, reason = self.file.write(b"two\nthree\nfour\n", 0.0)
        assert reason is not None
        self.assertEqual((lost, reason.errno), (2, errno.ENOSPC))
        self.write(b"five\n")
        self.assertEqual(self.path.read_bytes(), b"one\ntwo\nth\nfive\n")

    def test_a_pipe_that_nobody_reads_any_more(self) -> None:
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.write(b"a\n")
        os.close(reader)
        lost, reason = self.file.write(b"b\n", 0.0)
        self.assertEqual((lost, type(reason)), (1, BrokenPipeError))


class Checking(Case):
    def test_where_lines_can_be_written(self) -> None:
        check(str(self.path))
        check("-")
        os.mkfifo(self.directory / "pipe")
        check(str(self.directory / "pipe"))

    def test_where_they_can_t(self) -> None:
        for path in (self.directory, self.directory / "none" / "log"):
            with self.assertRaises(OSError):
                check(str(path))
