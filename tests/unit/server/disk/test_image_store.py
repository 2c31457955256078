"""`server.disk.image_store`: what was stored is found; a failing disk changes nothing; the file stays small."""

import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from server.disk.image_store import FILE, MIN_APPENDED, ImageStore
from server.image import StaleUpdate
from wire.cluster import Image
from wire.cluster_link import Position, Update


def update(version: int, size: int = 1) -> Update:
    name = f"{version}-" + "x" * size
    return Update(Position(1, version), [{"type": "configs", "node_id": None, "configs": {"name": name}}])


class ImageStoreTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.store = self.fresh()

    def fresh(self) -> ImageStore:
        store = ImageStore(self.directory)
        self.addCleanup(store.close)
        return store

    def test_nothing_is_stored(self) -> None:
        self.assertEqual(self.store.load(), Image())

    def test_found_again(self) -> None:
        image = Image()
        for version in range(1, 6):
            image = self.store.store(image, update(version))
            self.assertEqual(self.fresh().load(), image)
        again = self.fresh()
        image = again.store(again.load(), update(6))
        self.assertEqual(self.fresh().load(), image)
        self.assertIs(again.store(image, Update(Position(1, 6))), image)

    def test_refused_updates_leave_no_trace(self) -> None:
        image = self.store.store(Image(), update(3))
        with self.assertRaises(StaleUpdate):
            self.store.store(image, update(2))
        with self.assertRaises(ValueError):
            self.store.store(image, Update(Position(1, 4), [{"type": "topic"}]))
        self.assertEqual(self.fresh().load(), image)

    def test_a_torn_end(self) -> None:
        image = self.store.store(Image(), update(1))
        self.store.store(image, update(2))
        file = self.directory / FILE
        file.write_bytes(file.read_bytes()[:-3])
        again = self.fresh()
        self.assertEqual(again.load(), image)
        following = again.store(image, update(2))
        self.assertEqual(self.fresh().load(), following)

    def test_every_update_is_synced_before_it_counts(self) -> None:
        image = self.store.store(Image(), update(1))
        with mock.patch("os.fdatasync", side_effect=OSError("broken")), self.assertRaises(OSError):
            self.store.store(image, update(2))
        following = self.store.store(image, update(2))
        self.assertEqual(self.fresh().load(), following)
        self.assertEqual((self.directory / FILE).read_bytes().count(b"\n"), 1)  # a whole new file

    def test_a_short_write(self) -> None:
        image = self.store.store(Image(), update(1))
        write = os.write
        with mock.patch("os.write", side_effect=lambda fd, data: write(fd, data[:5])), self.assertRaises(OSError):
            self.store.store(image, update(2))
        self.assertEqual(self.fresh().load(), image)

    def test_a_new_snapshot_when_updates_outgrow_it(self) -> None:
        image = Image()
        for version in range(1, 40):
            image = self.store.store(image, update(version, MIN_APPENDED // 10))
        self.assertLess((self.directory / FILE).stat().st_size, 2 * MIN_APPENDED)
        self.assertEqual(self.fresh().load(), image)
