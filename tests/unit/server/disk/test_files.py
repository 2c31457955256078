"""`server.disk.files`: the contract of disks, and what the operating system can do to a file."""

import errno
import os
import shutil
import socket
import tempfile
import unittest
from contextlib import suppress
from pathlib import Path
from unittest import mock

from support.disk_contract import DiskContract
from support.log_case import NAME, SMALL, TOPIC_ID, append, batch, contents, sync

from server.disk.files import FileDisk
from server.log_dirs import create_partition, topic_id_of
from server.recovery import open_log
from server.storage import StorageError
from wire.pieces import Unread


def file_disk(case: unittest.TestCase) -> FileDisk:
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    case.addCleanup(shutil.rmtree, path)
    return FileDisk(path)


class FilesTest(DiskContract):
    __test__ = True

    def make_disk(self) -> FileDisk:
        return file_disk(self)


class FailuresTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = file_disk(self).make("d")
        self.file = self.directory.create("f")
        self.addCleanup(self.file.close)

    def test_a_write_that_stops_halfway_is_undone(self) -> None:
        self.file.append(b"before ")
        full = OSError(28, "No space left on device")
        real = os.pwrite
        with mock.patch("os.pwrite", side_effect=[3, full]), self.assertRaises(StorageError) as caught:
            self.file.append(b"lost")
        self.assertFalse(caught.exception.final)

        def two_bytes(fd: int, data: bytes, at: int) -> int:
            return real(fd, bytes(data)[:2], at)

        with mock.patch("os.pwrite", side_effect=two_bytes):
            self.file.append(b"in pieces")
        self.assertEqual(self.file.read(0, 99), b"before in pieces")

    def test_a_write_that_cannot_be_undone_is_the_end(self) -> None:
        broken = OSError(5, "Input/output error")
        with mock.patch("os.pwrite", side_effect=broken), mock.patch("os.ftruncate", side_effect=broken):
            self.assertRaises(StorageError, self.file.append, b"lost")
        with self.assertRaises(StorageError) as caught:
            self.file.append(b"more")
        self.assertTrue(caught.exception.final)

    def test_a_sync_that_failed_is_never_tried_again(self) -> None:
        with mock.patch("os.fdatasync", side_effect=OSError(5, "Input/output error")):
            self.assertRaises(StorageError, self.file.sync)
        for call in (self.file.sync, lambda: self.file.append(b"more")):
            with self.assertRaises(StorageError) as caught:
                call()
            self.assertTrue(caught.exception.final)

    def test_a_read_or_a_sync_of_names_that_fails(self) -> None:
        broken = OSError(5, "Input/output error")
        with mock.patch("os.pread", side_effect=broken), self.assertRaises(StorageError):
            self.file.read(0, 1)
        with mock.patch("os.fsync", side_effect=broken), self.assertRaises(StorageError) as caught:
            self.directory.sync()
        self.assertTrue(caught.exception.final)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class PartTest(unittest.TestCase):
    """Bytes that are left in their file."""

    def setUp(self) -> None:
        self.directory = file_disk(self).make("d")
        self.file = self.directory.create("f")
        self.file.append(bytes(range(256)) * 16_000)
        self.ours, self.theirs = socket.socketpair()
        for end in (self.ours, self.theirs):
            end.setblocking(False)
            self.addCleanup(end.close)

    def part(self, at: int, size: int) -> Unread:
        part = self.file.part(at, size)
        assert isinstance(part, Unread)
        return part

    def test_what_the_socket_takes_now_and_the_rest_later(self) -> None:
        part, arrived, steps = self.part(1, 4_000_000), b"", 0
        while part:
            before = len(part)
            part.send(self.ours.fileno())
            self.assertLess(len(part), before)
            steps += 1
            with suppress(BlockingIOError):
                while data := self.theirs.recv(1 << 20):
                    arrived += data
        self.assertGreater(steps, 1)
        self.assertEqual(arrived, self.file.read(1, 4_000_000))

    def test_a_full_socket_and_one_that_is_gone(self) -> None:
        part = self.part(0, 4_000_000)
        part.send(self.ours.fileno())
        left = len(part)
        part.send(self.ours.fileno())
        self.assertEqual(len(part), left)
        self.theirs.close()
        self.assertRaises(ConnectionError, part.send, self.ours.fileno())

    def test_a_file_that_was_cut_and_written_anew(self) -> None:
        sent, taken = self.part(0, 100_000), self.part(0, 100_000)
        self.file.truncate(50_000)
        self.file.append(b"other" * 20_000)
        self.assertRaises(OSError, sent.send, self.ours.fileno())
        self.assertRaises(OSError, taken.take, 1)
        self.assertTrue(self.part(0, 100_000).take(100_000).endswith(b"other"))

    def test_a_file_that_others_made_shorter(self) -> None:
        sent = self.part(0, 100_000)
        os.truncate(self.directory.path / "f", 0)
        self.assertRaises(OSError, sent.send, self.ours.fileno())

    def test_after_a_failure_the_file_is_read_before_an_answer_begins(self) -> None:
        broken = OSError(errno.EIO, "Input/output error")
        with mock.patch("os.sendfile", side_effect=broken):
            self.assertRaises(OSError, self.part(0, 100_000).send, self.ours.fileno())
        self.assertIsInstance(self.file.part(0, 100_000), bytes)
        with mock.patch("os.pread", side_effect=broken), self.assertRaises(StorageError):
            self.file.part(0, 100_000)

    def test_a_file_system_without_sendfile(self) -> None:
        part = self.part(0, 100_000)
        with mock.patch("os.sendfile", side_effect=OSError(errno.EINVAL, "Invalid argument")):
            part.send(self.ours.fileno())
        self.assertEqual(part.take(100_000), self.file.read(0, 100_000))

    def test_the_descriptor_is_open_as_long_as_it_is_needed(self) -> None:
        before = descriptors()
        part = self.part(0, 100_000)
        self.file.close()
        self.assertEqual(descriptors(), before)
        del part
        self.assertEqual(descriptors(), before - 1)


class LogTest(unittest.TestCase):
    def test_a_log_on_files(self) -> None:
        disk = file_disk(self)
        log = open_log(create_partition(disk, NAME, TOPIC_ID), SMALL)
        for number in range(30):
            append(log, batch(2, time_ms=number, producer=(1, 0, 2 * number)), epoch=number // 10)
        log.advance_start(11)
        sync(log)
        append(log, batch(2, time_ms=99, producer=(1, 0, 60)), epoch=3)
        before = contents(log)
        log.close()
        self.assertEqual(topic_id_of(disk.make(NAME)), TOPIC_ID)
        again = open_log(disk.make(NAME), SMALL)
        self.assertEqual((contents(again), again.log_start, again.producers), (before, 11, log.producers))
        self.assertEqual(again.find_by_time(15), (15, 29))
        again.close()
