import shutil
import sqlite3
import tempfile
import threading
import unittest
from pathlib import Path

from loadbalancer.disk.store import QueueState, Store, StoreError
from loadbalancer.event_log import KEPT_EVENTS, Event


def event(number: int, reason: str = "why") -> Event:
    return Event(number, number / 10, "dead", "server1", reason)


class StoreCase(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder / "state.db"
        self.store = self.open()

    def open(self) -> Store:
        store = Store.open(self.path)
        self.addCleanup(store.close)
        return store

    def again(self) -> Store:
        self.store.close()
        return self.open()


class TestKeeping(StoreCase):
    def test_a_new_one_is_empty(self) -> None:
        self.assertEqual((self.store.load_fleet(), self.store.events(), self.store.notice), (None, [], ""))

    def test_what_was_kept_is_there_again(self) -> None:
        self.store.commit({"a": [1, None]}, [event(1), event(2)])
        store = self.again()
        self.assertEqual(store.load_fleet(), {"a": [1, None]})
        self.assertEqual(store.events(), [event(1), event(2)])

    def test_a_record_replaces_the_one_before_and_events_leave_it_alone(self) -> None:
        self.store.commit({"a": 1}, [])
        self.store.commit({"a": 2}, [])
        self.store.commit(None, [event(1)])
        self.assertEqual(self.again().load_fleet(), {"a": 2})

    def test_it_is_written_ahead_and_synced(self) -> None:
        self.store.commit({}, [])
        with sqlite3.connect(self.path) as connection:
            self.assertEqual(connection.execute("PRAGMA journal_mode").fetchone(), ("wal",))
        connection.close()
        self.assertEqual(self.store._connection.execute("PRAGMA synchronous").fetchone(), (2,))

    def test_another_thread_may_use_it(self) -> None:
        thread = threading.Thread(target=self.store.commit, args=({"a": 1}, []))
        thread.start()
        thread.join()
        self.assertEqual(self.store.load_fleet(), {"a": 1})


class TestGenerations(StoreCase):
    def test_each_is_above_all_before(self) -> None:
        self.assertEqual([self.store.next_generation(), self.again().next_generation()], [1, 2])

    def test_and_at_least_what_the_caller_knows_of(self) -> None:
        self.assertEqual([self.store.next_generation(40), self.store.next_generation(7)], [40, 41])

    def test_one_that_is_over_writes_nothing(self) -> None:
        self.store.next_generation()
        self.store.commit({"of": "the old"}, [])
        newer = self.open()
        newer.next_generation()
        with self.assertRaisesRegex(StoreError, "generation 1 of control is over"):
            self.store.commit({"of": "a ghost"}, [event(1)])
        self.assertEqual((newer.load_fleet(), newer.events()), ({"of": "the old"}, []))


class TestRecovery(StoreCase):
    def test_what_was_recovered_is_all_there_is_and_this_control_s_last_write(self) -> None:
        store = self.open()
        generation = store.next_generation(1)
        store.append_queue(0, [{"type": "a"}, {"type": "b"}], None)
        store.recover_queue(generation + 7, QueueState(50, [{"type": "c"}]))
        with self.assertRaises(StoreError):
            store.append_queue(50, [{"type": "d"}], None)
        store.close()
        store = self.open()
        self.assertEqual(store.next_generation(1), generation + 8)
        self.assertEqual(store.load_queue(), QueueState(50, [{"type": "c"}], []))


class TestEvents(StoreCase):
    def test_only_the_newest_are_kept(self) -> None:
        self.store.commit(None, [event(number) for number in range(1, KEPT_EVENTS + 1)])
        self.assertEqual(len(self.store.events()), KEPT_EVENTS)
        self.store.commit(None, [event(KEPT_EVENTS + 1), event(KEPT_EVENTS + 2)])
        kept = self.store.events()
        self.assertEqual((len(kept), kept[0].id, kept[-1].id), (KEPT_EVENTS, 3, KEPT_EVENTS + 2))

    def test_one_told_twice_is_kept_once(self) -> None:
        self.store.commit(None, [event(1)])
        self.store.commit(None, [event(1), event(2)])
        self.assertEqual([kept.id for kept in self.store.events()], [1, 2])


class TestTrouble(StoreCase):
    def fill(self) -> None:
        """No page more than there are."""
        (pages,) = self.store._connection.execute("PRAGMA page_count").fetchone()
        self.store._connection.execute(f"PRAGMA max_page_count={pages}")

    def test_a_full_disk_is_told_and_costs_only_what_did_not_fit(self) -> None:
        self.store.commit({"a": 1}, [event(1)])
        self.fill()
        with self.assertRaisesRegex(StoreError, "disk is full"):
            self.store.commit({"a": "x" * 100_000}, [event(2)])
        self.assertEqual((self.store.load_fleet(), self.store.events()), ({"a": 1}, [event(1)]))

    def test_when_there_is_room_again_it_goes_on(self) -> None:
        self.fill()
        with self.assertRaises(StoreError):
            self.store.commit({"a": "x" * 100_000}, [])
        self.store._connection.execute("PRAGMA max_page_count=1000000")
        self.store.commit({"a": 2}, [])
        self.assertEqual(self.again().load_fleet(), {"a": 2})

    def test_a_store_error_is_an_os_error_with_its_cause(self) -> None:
        self.fill()
        with self.assertRaises(OSError) as caught:
            self.store.commit({"a": "x" * 100_000}, [])
        self.assertIsInstance(caught.exception.__cause__, sqlite3.OperationalError)

    def test_a_damaged_file_is_set_aside_and_said_so(self) -> None:
        self.store.close()
        self.path.write_bytes(b"not a database at all" * 1000)
        store = self.open()
        self.assertIn("was damaged", store.notice)
        self.assertIsNone(store.load_fleet())
        kept = self.folder / "state.db.damaged-1"
        self.assertTrue(kept.read_bytes().startswith(b"not a database"))
        self.assertGreater(store.next_generation(), 1_700_000_000, "above any that was handed out")

    def test_damage_inside_is_found_too_and_the_second_does_not_overwrite_the_first(self) -> None:
        for number in (1, 2):
            self.store.commit(None, [event(it, "x" * 500) for it in range(200)])
            self.store.close()
            content = bytearray(self.path.read_bytes())
            content[8192:] = b"\xff" * (len(content) - 8192)
            self.path.write_bytes(content)
            self.store = self.open()
            self.assertIn(f"damaged-{number}", self.store.notice)
            self.assertTrue((self.folder / f"state.db.damaged-{number}").exists())

    def test_a_newer_format_is_refused_not_set_aside(self) -> None:
        self.store._connection.execute("PRAGMA user_version=99")
        self.store.close()
        with self.assertRaisesRegex(StoreError, "newer Carousel"):
            Store.open(self.path)
        self.assertEqual([it.name for it in self.folder.glob("*damaged*")], [])

    def test_a_place_where_nothing_can_be_made_is_an_error(self) -> None:
        with self.assertRaises(StoreError):
            Store.open(self.folder / "absent" / "state.db")
