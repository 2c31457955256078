"""`server.disk.files`: the contract of disks, and what the operating system can do to a file."""

import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from support.disk_contract import DiskContract
from support.log_case import NAME, SMALL, TOPIC_ID, append, batch, contents, sync

from server.disk.files import FileDisk
from server.log_dirs import create_partition, topic_id_of
from server.recovery import open_log
from server.storage import StorageError


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
