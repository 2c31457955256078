"""`server.log_dirs`: whose a directory is, and which wait for their removal (R3)."""

import unittest
from uuid import UUID

from server.disk.memory import MemoryDisk
from server.log_dirs import create_partition, partition_directory, put_strays_aside, stored_trusted_end, topic_id_of
from server.log_files import METADATA, TRUSTED
from server.storage import write_whole

OURS, OTHERS = UUID(int=1), UUID(int=2)


class Directories(unittest.TestCase):
    def setUp(self) -> None:
        self.disk = MemoryDisk()

    def test_made_once_and_found_again(self) -> None:
        made = partition_directory(self.disk, "t-0", OURS, "aside-stray")
        self.assertEqual(topic_id_of(made), OURS)
        self.assertIs(partition_directory(self.disk, "t-0", OURS, "aside-stray"), made)
        self.assertEqual(self.disk.names(), ["t-0"])

    def test_another_topics_of_the_same_name_is_put_aside(self) -> None:
        create_partition(self.disk, "t-0", OTHERS).create("file")
        found = partition_directory(self.disk, "t-0", OURS, "aside-stray")
        self.assertEqual((topic_id_of(found), found.names()), (OURS, [METADATA]))
        self.assertEqual(topic_id_of(self.disk.make("aside-stray")), OTHERS)

    def test_one_that_nobody_has_finished_is_nobodys(self) -> None:
        self.disk.make("t-0").create("file")
        self.assertEqual(topic_id_of(partition_directory(self.disk, "t-0", OURS, "aside-stray")), OURS)
        self.assertIn("aside-stray", self.disk.names())

    def test_one_whose_maker_was_killed_is_made_sure(self) -> None:
        """The process ended before the disk's sync; the page cache shows the name all the same."""
        directory = self.disk.make("t-0")
        write_whole(directory, METADATA, b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ")
        directory.sync()
        partition_directory(self.disk, "t-0", OURS, "aside-stray")
        self.disk.kill(lambda _: 0)
        self.assertEqual(self.disk.names(), ["t-0"])

    def test_what_is_not_held_is_put_aside_and_what_was_waits_on(self) -> None:
        for name in ("t-0", "t-1", "u-0", "v-0.12-stray", "w-0.34-delete"):
            create_partition(self.disk, name, OURS)
        waiting = put_strays_aside(self.disk, {"t-0", "t-1"}, lambda name: f"{name}.56-stray")
        self.assertEqual(waiting, ["u-0.56-stray", "v-0.12-stray", "w-0.34-delete"])
        self.assertEqual(self.disk.names(), ["t-0", "t-1", *waiting])

    def test_the_mark_of_a_failed_sync(self) -> None:
        directory = create_partition(self.disk, "t-0", OURS)
        self.assertIsNone(stored_trusted_end(directory))
        write_whole(directory, TRUSTED, b"42\n")
        self.assertEqual(stored_trusted_end(directory), 42)
        write_whole(directory, TRUSTED, b"\xff")
        self.assertIsNone(stored_trusted_end(directory), "torn by a power cut, after which it says nothing")


if __name__ == "__main__":
    unittest.main()
