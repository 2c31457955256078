"""The queue's log in the store, and the secret beside it."""

import shutil
import tempfile
import unittest
from pathlib import Path

from loadbalancer.disk.secret import cluster_secret
from loadbalancer.disk.store import QueueState, Store, StoreError


def records(first: int, last: int) -> list[dict[str, int | str]]:
    return [{"type": "producer_ids", "next": number} for number in range(first, last + 1)]


class TestQueueLog(unittest.TestCase):
    def setUp(self) -> None:
        self.dir = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.store = self.open()

    def open(self) -> Store:
        store = Store.open(self.dir / "state.sqlite")
        self.addCleanup(store.close)
        store.next_generation()
        return store

    def test_appended_and_found_again(self) -> None:
        self.store.append_queue(0, records(1, 3), None)
        self.store.append_queue(3, records(4, 5), None)
        self.assertEqual(self.open().load_queue(), QueueState(0, [], records(1, 5)))

    def test_a_snapshot_takes_the_place_of_what_it_holds(self) -> None:
        self.store.append_queue(0, records(1, 3), None)
        self.store.append_queue(3, records(4, 4), QueueState(4, records(9, 9)))
        self.store.append_queue(4, records(5, 5), None)
        self.assertEqual(self.open().load_queue(), QueueState(4, records(9, 9), records(5, 5)))

    def test_what_was_never_told_is_written_over(self) -> None:
        self.store.append_queue(0, records(1, 3), None)
        self.store.append_queue(1, records(7, 7), None)
        self.assertEqual(self.store.load_queue().records, [*records(1, 1), *records(7, 7)])

    def test_a_control_that_is_over_appends_nothing(self) -> None:
        self.open()
        with self.assertRaises(StoreError):
            self.store.append_queue(0, records(1, 1), None)
        self.assertEqual(self.store.load_queue(), QueueState(0, [], []))

    def test_a_gap_is_no_log(self) -> None:
        self.store.append_queue(5, records(1, 1), None)
        with self.assertRaisesRegex(StoreError, "gap"):
            self.store.load_queue()


class TestSecret(unittest.TestCase):
    def test_an_empty_file_is_no_secret(self) -> None:
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        path = directory / "secret"
        self.assertEqual(len(cluster_secret(path)), 64)
        path.write_text("\n")
        with self.assertRaises(OSError):
            cluster_secret(path)


if __name__ == "__main__":
    unittest.main()
