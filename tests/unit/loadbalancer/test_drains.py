import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.drains import DrainLedger
from loadbalancer.snapshot import Epoch

OLD, NOW = Epoch(1, 1), Epoch(1, 2)


def ledger(*workers: str) -> DrainLedger:
    made = DrainLedger()
    for worker in workers:
        made.connected(worker)
    made.set_draining(["S1"], NOW)
    return made


class DrainLedgerTest(unittest.TestCase):
    def test_every_worker_must_have_said_so(self) -> None:
        drains = ledger("a", "b")
        drains.drained("a", "S1", NOW)
        self.assertEqual(drains.finished(), [])
        drains.drained("b", "S1", NOW)
        self.assertEqual(drains.finished(), ["S1"])

    def test_a_word_from_before_it_drained_does_not_count(self) -> None:
        drains = ledger("a")
        drains.drained("a", "S1", OLD)
        self.assertEqual(drains.finished(), [])

    def test_a_later_snapshot_keeps_what_was_said(self) -> None:
        drains = ledger("a")
        drains.drained("a", "S1", NOW)
        drains.set_draining(["S1", "S2"], Epoch(1, 3))
        self.assertEqual(drains.finished(), ["S1"])

    def test_a_worker_that_is_gone_holds_nothing_up(self) -> None:
        drains = ledger("a", "b")
        drains.drained("a", "S1", NOW)
        drains.gone("b")
        self.assertEqual(drains.finished(), ["S1"])

    def test_a_worker_that_comes_later_is_asked_too(self) -> None:
        drains = ledger("a")
        drains.drained("a", "S1", NOW)
        drains.connected("b")
        self.assertEqual(drains.finished(), [])

    def test_without_workers_nobody_has_its_requests(self) -> None:
        self.assertEqual(ledger().finished(), ["S1"])

    def test_a_leaver_that_came_back_is_forgotten(self) -> None:
        drains = ledger("a")
        drains.drained("a", "S1", NOW)
        drains.set_draining([], Epoch(1, 3))
        drains.set_draining(["S1"], Epoch(1, 4))
        self.assertEqual(drains.finished(), [])

    def test_words_about_strangers_are_skipped(self) -> None:
        drains = ledger("a")
        drains.drained("a", "S9", NOW)
        self.assertEqual(drains.finished(), [])

    @given(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))
    def test_finished_means_all_connected_said_so(self, workers: set[int], gone: set[int], said: set[int]) -> None:
        drains = DrainLedger()
        drains.set_draining(["S1"], NOW)
        for worker in workers:
            drains.connected(worker)
        for worker in said:
            drains.drained(worker, "S1", NOW)
        for worker in gone:
            drains.gone(worker)
        self.assertEqual(bool(drains.finished()), workers - gone <= said)
