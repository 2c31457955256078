import itertools
import unittest

from hypothesis import given
from hypothesis import strategies as st

from analysis.chaos.plan import AFTER_S, BEFORE_S, KINDS, STRENGTH_S, plan


class PlanTest(unittest.TestCase):
    @given(st.integers(0, 1 << 32), st.floats(10, 120), st.booleans())
    def test_within_the_bounds_of_its_kinds_and_of_the_run(self, seed: int, seconds: float, workers: bool) -> None:
        faults = plan(seed, seconds, workers)
        self.assertEqual(faults, plan(seed, seconds, workers))
        for fault in faults:
            least, most = KINDS[fault.kind].lasts_s if fault.kind in KINDS else (0, 0)
            self.assertTrue(BEFORE_S <= fault.at_s < seconds - AFTER_S)
            self.assertTrue(least <= fault.lasts_s <= most)
            self.assertTrue(0 <= fault.pick < 1)
            self.assertTrue(STRENGTH_S[0] <= fault.strength <= STRENGTH_S[1])
        self.assertTrue(all(one.at_s < next_.at_s for one, next_ in itertools.pairwise(faults)))

    @given(st.integers(0, 1 << 32))
    def test_a_run_of_half_a_minute_misses_no_kind(self, seed: int) -> None:
        self.assertEqual({fault.kind for fault in plan(seed, 32)}, set(KINDS))

    def test_workers_only_if_asked(self) -> None:
        self.assertNotIn("worker", {fault.kind for fault in plan(1, 180)})
        self.assertIn("worker", {fault.kind for fault in plan(1, 180, workers_too=True)})

    def test_a_longer_run_begins_as_a_shorter_one(self) -> None:
        self.assertEqual(plan(3, 60)[: len(plan(3, 20))], plan(3, 20))
