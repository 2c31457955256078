import unittest

from hypothesis import given
from hypothesis import strategies as st

from analysis.queue_drills.plan import SERVING_S, STARTING_S, changes, kills

SEEDS = st.integers(0, 1 << 32)


class KillsTest(unittest.TestCase):
    def test_the_seed_alone_decides(self) -> None:
        self.assertEqual(kills(7, 50), kills(7, 50))
        self.assertNotEqual(kills(7, 50), kills(8, 50))
        self.assertEqual(kills(7, 50)[:20], kills(7, 20))

    @given(SEEDS)
    def test_each_is_within_its_bounds(self, seed: int) -> None:
        drawn = kills(seed, 30)
        self.assertEqual(len(drawn), 30)
        self.assertFalse(drawn[0].starting)
        for kill in drawn:
            low, high = STARTING_S if kill.starting else SERVING_S
            self.assertTrue(low <= kill.wait_s <= high and 0 <= kill.pick < 1)

    def test_some_hit_the_start(self) -> None:
        self.assertTrue(20 < sum(kill.starting for kill in kills(1, 200)) < 60)


class ChangesTest(unittest.TestCase):
    @given(SEEDS, st.integers(1, 5), st.integers(2, 8))
    def test_there_is_always_a_server_and_never_too_many(self, seed: int, begins_with: int, most: int) -> None:
        have = min(begins_with, most)
        for change in changes(seed, 40, have, most):
            self.assertGreater(change.count, 0)
            have += change.count if change.adds else -change.count
            self.assertTrue(1 <= have <= most)

    def test_the_seed_alone_decides(self) -> None:
        self.assertEqual(changes(7, 20, 3, 6), changes(7, 20, 3, 6))
        self.assertEqual({change.adds for change in changes(7, 20, 3, 6)}, {True, False})
