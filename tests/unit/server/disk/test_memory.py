"""`server.disk.memory`: the contract of disks, and what a power cut may and may not take."""

import unittest
from random import Random

from support.disk_contract import DiskContract

from server.disk.memory import PAGE_SIZE, MemoryDisk


class MemoryTest(DiskContract):
    __test__ = True

    def make_disk(self) -> MemoryDisk:
        return MemoryDisk()


class PowerCutTest(unittest.TestCase):
    def kept(self, *, sync_file: bool, sync_names: bool) -> set[bytes | None]:
        """All that may be left of a file, over many cuts."""
        found: set[bytes | None] = set()
        for seed in range(300):
            disk = MemoryDisk()
            directory = disk.make("d")
            disk.sync()
            file = directory.create("f")
            file.append(b"x" * 2 * PAGE_SIZE)
            if sync_file:
                file.sync()
            if sync_names:
                directory.sync()
            disk.kill(Random(seed).randrange)
            found.add(directory.open("f").read(0, 999) if "f" in directory.names() else None)
        return found

    def test_bytes_and_names_are_lost_apart(self) -> None:
        whole = b"x" * 2 * PAGE_SIZE
        self.assertEqual(self.kept(sync_file=True, sync_names=True), {whole})
        self.assertEqual(self.kept(sync_file=True, sync_names=False), {whole, None})
        left = self.kept(sync_file=False, sync_names=True)
        self.assertNotIn(None, left)
        shapes = {(b"\0" in data, b"x" in data) for data in left if data}
        self.assertEqual(shapes, {(True, False), (False, True), (True, True)})
        self.assertGreater(len({len(data) for data in left if data}), PAGE_SIZE)

    def test_what_was_synced_stays_under_what_was_not(self) -> None:
        for seed in range(100):
            disk = MemoryDisk()
            directory = disk.make("d")
            disk.sync()
            file = directory.create("f")
            file.append(b"sure")
            file.sync()
            directory.sync()
            file.append(b" and more")
            disk.kill(Random(seed).randrange)
            self.assertEqual(directory.open("f").read(0, 4), b"sure")

    def test_a_rename_is_kept_or_lost_as_a_whole(self) -> None:
        found: set[tuple[str, ...]] = set()
        for seed in range(50):
            disk = MemoryDisk()
            directory = disk.make("d")
            disk.sync()
            directory.create("a").sync()
            directory.sync()
            directory.rename("a", "b")
            disk.kill(Random(seed).randrange)
            found.add(tuple(directory.names()))
        self.assertEqual(found, {("a",), ("b",)})

    def test_a_directory_that_was_not_synced(self) -> None:
        left = {tuple(self._made_and_killed(seed)) for seed in range(50)}
        self.assertEqual(left, {(), ("d",)})

    def _made_and_killed(self, seed: int) -> list[str]:
        disk = MemoryDisk()
        disk.make("d")
        disk.kill(Random(seed).randrange)
        return list(disk.names())

    def test_a_sync_that_lies(self) -> None:
        disk = MemoryDisk(lambda operation, name: operation == "sync")
        disk.make("d")
        disk.sync()
        disk.kill(lambda count: 0)
        self.assertEqual(list(disk.names()), [])
