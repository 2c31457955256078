"""Nothing that was acknowledged is lost or doubled, wherever a server is killed; and a missing sync is found out.

`SEED=… python -m tests.sim.simulation` replays what failed.
"""

import unittest
from collections.abc import Iterable
from random import Random

import pytest

from tests.sim.ledger import Broken, Ledger
from tests.sim.life import KINDS
from tests.sim.simulation import Simulation

KILLS = 10
EVERYDAY = range(20)
"""200 kills."""
MANY = 400
MOST_SEEDS = 400
"""Within which a missing sync has to be found out; most are by the first."""
SOON = ("a segment's bytes", "small texts", "a new partition's id", "a new partition's directory")


def first_broken(lie: str, seeds: Iterable[int]) -> int | None:
    """The first seed with which a promise is broken if the syncs of kind `lie` only pretend."""
    for seed in seeds:
        try:
            Simulation(seed, KILLS, lie).run()
        except Broken:
            return seed
    return None


class TestSimulation(unittest.TestCase):
    def test_200_kills(self) -> None:
        asked: set[tuple[str, str]] = set()
        for seed in EVERYDAY:
            one = Simulation(seed, KILLS)
            one.run()
            asked |= one.asked
        self.assertEqual(asked - frozenset().union(*KINDS.values()), set(), "a kind of sync that nobody takes out")

    def test_the_same_seed_is_the_same_story(self) -> None:
        one, again = Simulation(3, 3), Simulation(3, 3)
        one.run()
        again.run()
        self.assertEqual(one.story, again.story)

    def test_a_sync_that_only_pretends_is_found_out(self) -> None:
        for lie in SOON:
            with self.subTest(lie):
                self.assertIsNotNone(first_broken(lie, range(10)))


class TestLedger(unittest.TestCase):
    """The judge itself."""

    def setUp(self) -> None:
        self.ledger = Ledger()
        self.ledger.acknowledge(0, 0, [b"1:0", b"1:1"])

    def test_all_is_well(self) -> None:
        self.ledger.check(0, 0, [(0, b"1:0"), (1, b"1:1"), (2, b"1:2"), (3, b"2:0")])

    def test_lost_doubled_changed_or_out_of_order(self) -> None:
        for records in (
            [(0, b"1:0")],
            [],
            [(0, b"1:0"), (1, b"1:1"), (2, b"1:1")],
            [(0, b"1:0"), (1, b"2:0")],
            [(0, b"1:0"), (1, b"1:1"), (3, b"1:2")],
            [(0, b"1:0"), (1, b"1:1"), (2, b"1:3")],
            [(0, b"1:0"), (1, b"1:1"), (2, b"2:1")],
        ):
            with self.subTest(records), self.assertRaises(Broken):
                self.ledger.check(0, 0, records)

    def test_a_start_that_nobody_asked_for(self) -> None:
        with self.assertRaises(Broken):
            self.ledger.check(0, 1, [(1, b"1:1")])
        self.ledger.ask_start(0, 1)
        self.ledger.check(0, 1, [(1, b"1:1")])

    def test_offsets_go_on_only(self) -> None:
        self.ledger.read_offset("g", -1)
        for offset in (4, 5):
            self.ledger.ask_offset("g", offset)
        self.ledger.commit_offset("g", 4)
        self.ledger.read_offset("g", 5)
        for offset in (-1, 4, 6):
            with self.assertRaises(Broken):
                self.ledger.read_offset("g", offset)

    def test_a_producer_id_is_given_once(self) -> None:
        self.ledger.given_producer_id(1)
        with self.assertRaises(Broken):
            self.ledger.given_producer_id(1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_thousands_of_kills() -> None:
    """With other seeds each time; the one that failed is in the message."""
    first = Random().randrange(1 << 32)
    print(f"SEED={first} and the {MANY - 1} behind it")
    for seed in range(first, first + MANY):
        Simulation(seed, KILLS).run()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("lie", [kind for kind in KINDS if kind not in SOON])
def test_every_kind_of_sync_is_needed(lie: str) -> None:
    assert first_broken(lie, range(MOST_SEEDS)) is not None, f"nobody missed the sync of {lie}"


if __name__ == "__main__":
    unittest.main()
