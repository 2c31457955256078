"""What `server.storage` asks of every disk; each one's test supplies `make_disk`."""

import unittest

from server.storage import PARTIAL, Disk, StorageError, read_whole, write_whole
from wire.pieces import Piece, Unread


def in_memory(piece: Piece) -> bytes:
    """All that is left of it, in two steps if it is in a file."""
    return piece.take(10) + piece.take(len(piece)) if isinstance(piece, Unread) else bytes(piece)


class DiskContract(unittest.TestCase):
    """Not collected itself: a subclass has `make_disk` and `__test__ = True`."""

    __test__ = False

    def make_disk(self) -> Disk:
        raise NotImplementedError

    def setUp(self) -> None:
        if type(self) is DiskContract:
            self.skipTest("the contract, not one who keeps it")
        self.disk = self.make_disk()

    def test_a_file_grows_and_is_read_anywhere(self) -> None:
        file = self.disk.make("d").create("f")
        file.append(b"hello ")
        file.append(memoryview(bytearray(b"world")))
        file.sync()
        self.assertEqual(
            (file.size, file.read(0, 11), file.read(6, 3), file.read(9, 9)), (11, b"hello world", b"wor", b"ld")
        )
        self.assertEqual(file.read(11, 5), b"")
        file.truncate(4)
        file.append(b"!")
        self.assertEqual((file.size, file.read(0, 9)), (5, b"hell!"))
        file.close()

    def test_a_part_of_a_file_is_what_a_read_gives_and_outlives_the_file(self) -> None:
        directory = self.disk.make("d")
        file = directory.create("f")
        file.append(bytes(range(256)) * 1000)
        for at, size in ((0, 10), (7, 100_000), (0, 256_000), (200_000, 99_999), (256_000, 5)):
            with self.subTest(at=at, size=size):
                part = file.part(at, size)
                self.assertEqual(len(part), min(size, file.size - at))
                self.assertEqual(in_memory(part), file.read(at, size))
        late, whole = file.part(0, 256_000), file.read(0, 256_000)
        directory.remove("f")
        file.close()
        self.assertEqual(in_memory(late), whole)

    def test_a_file_is_opened_again_at_its_end(self) -> None:
        directory = self.disk.make("d")
        file = directory.create("f")
        file.append(b"one")
        file.close()
        again = directory.open("f")
        again.append(b"two")
        self.assertEqual((again.size, again.read(0, 9)), (6, b"onetwo"))
        again.close()

    def test_who_has_a_file_open_keeps_it(self) -> None:
        directory = self.disk.make("d")
        old = directory.create("f")
        old.append(b"old")
        new = directory.create("f")
        self.assertEqual((old.read(0, 9), new.size), (b"old", 0))
        directory.remove("f")
        self.assertEqual(old.read(0, 9), b"old")
        old.close()
        new.close()

    def test_names(self) -> None:
        directory = self.disk.make("d")
        for name in ("b", "a", "c"):
            directory.create(name).close()
        directory.rename("a", "c")
        directory.remove("nobody")
        directory.sync()
        self.assertEqual(list(directory.names()), ["b", "c"])
        for call in (lambda: directory.open("a"), lambda: directory.rename("a", "d")):
            with self.assertRaises(StorageError):
                call()

    def test_directories(self) -> None:
        self.disk.make("d").create("f").close()
        self.disk.make("e")
        self.assertEqual(list(self.disk.make("d").names()), ["f"])
        self.disk.rename("d", "d-stray")
        self.disk.remove("e")
        self.disk.remove("nobody")
        self.disk.sync()
        self.assertEqual(list(self.disk.names()), ["d-stray"])
        self.assertEqual(list(self.disk.make("d-stray").names()), ["f"])
        with self.assertRaises(StorageError):
            self.disk.rename("d", "e")

    def test_a_whole_file(self) -> None:
        directory = self.disk.make("d")
        write_whole(directory, "f", b"one")
        write_whole(directory, "f", b"two")
        self.assertEqual((read_whole(directory, "f"), list(directory.names())), (b"two", ["f"]))
        self.assertNotIn("f" + PARTIAL, directory.names())
