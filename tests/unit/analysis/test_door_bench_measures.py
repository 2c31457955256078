import unittest

from hypothesis import given
from hypothesis import strategies as st
from support.measured import measured

from analysis.door_bench.measures import GOALS, Goal, all_ratios, by_round, median_of, quartiles

ROUNDS = [
    measured(round=0, front="nginx", rate=100.0, cpu_us=10.0),
    measured(round=0, front="carousel", rate=90.0, cpu_us=12.0),
    measured(round=1, front="carousel", rate=50.0, cpu_us=22.0),  # a slow round: for both
    measured(round=1, front="nginx", rate=50.0, cpu_us=20.0),
    measured(round=2, front="nginx", rate=100.0, cpu_us=10.0),
    measured(round=2, front="carousel", rate=120.0, cpu_us=10.0),
]


class RatiosTest(unittest.TestCase):
    def test_a_ratio_is_taken_within_a_round(self) -> None:
        self.assertEqual(by_round(ROUNDS, "get-32", "nginx", "rate"), {0: 0.9, 1: 1.0, 2: 1.2})
        found = {(r.peer, r.metric): r for r in all_ratios(ROUNDS)}
        self.assertEqual(found["nginx", "rate"].median, 1.0)
        self.assertAlmostEqual(found["nginx", "rate"].low, 0.95)
        self.assertAlmostEqual(found["nginx", "rate"].high, 1.1)
        self.assertAlmostEqual(found["nginx", "cpu_us"].median, 1.1)

    def test_a_peer_that_was_not_measured_has_none(self) -> None:
        self.assertEqual({ratio.peer for ratio in all_ratios(ROUNDS)}, {"nginx"})
        self.assertEqual(by_round(ROUNDS, "get-512", "nginx", "rate"), {})
        self.assertEqual(by_round([ROUNDS[0], ROUNDS[2]], "get-32", "nginx", "rate"), {})

    def test_a_peer_that_answered_nothing_has_none(self) -> None:
        made = [measured(front="nginx", rate=0.0), measured(rate=5.0)]
        self.assertEqual(by_round(made, "get-32", "nginx", "rate"), {})

    def test_medians_are_each_front_s_own(self) -> None:
        self.assertEqual(median_of(ROUNDS, "get-32", "nginx", "rate"), 100)
        self.assertEqual(median_of(ROUNDS, "get-32", "carousel", "rate"), 90)


class GoalTest(unittest.TestCase):
    def test_at_least_and_at_most(self) -> None:
        self.assertTrue(Goal(at_least=0.9).met(0.9))
        self.assertFalse(Goal(at_least=0.9).met(0.89))
        self.assertTrue(Goal(at_most=1.0).met(1.0))
        self.assertFalse(Goal(at_most=1.0).met(1.01))

    def test_more_is_better_for_rates_only(self) -> None:
        for (scenario, metric), goal in GOALS.items():
            with self.subTest(scenario=scenario, metric=metric):
                self.assertEqual(goal.met(2.0), metric == "rate")


class QuartilesTest(unittest.TestCase):
    def test_of_five(self) -> None:
        self.assertEqual(quartiles([5, 1, 4, 2, 3]), (2, 3, 4))

    def test_of_one(self) -> None:
        self.assertEqual(quartiles([7]), (7, 7, 7))

    @given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20))
    def test_are_in_order_and_within(self, values: list[float]) -> None:
        low, middle, high = quartiles(values)
        self.assertTrue(min(values) <= low <= middle <= high <= max(values))
