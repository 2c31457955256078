"""`analysis.queue_bench.measures`: ratios within a round."""

import unittest
from typing import Any

from analysis.queue_bench.measures import GOALS, METRICS, all_ratios, median
from analysis.queue_bench.rounds import Measurement
from analysis.queue_bench.scenarios import SCENARIOS


def measured(**changes: Any) -> Measurement:
    values: dict[str, Any] = {
        "scenario": "100b", "load": "produce", "round": 0, "engine": "carousel", "rate": 1000.0, "p50_us": 0.0,
        "p99_us": 0.0, "server_cpu": 0.4, "system_cpu": 0.5, "client_cpu": 1.5, "pss_bytes": 25_000_000,
    }  # fmt: skip
    return Measurement(**(values | changes))


MADE = [
    measured(round=0, rate=90.0),
    measured(round=0, engine="kafka", rate=100.0),
    measured(round=1, engine="kafka", rate=40.0),  # a slow round: for both
    measured(round=1, rate=50.0),
    measured(round=2, rate=100.0),
    measured(round=2, engine="kafka", rate=100.0),
]


class RatiosTest(unittest.TestCase):
    def test_a_ratio_is_taken_within_a_round(self) -> None:
        (rate,) = [ratio for ratio in all_ratios(MADE) if ratio.metric == "rate"]
        self.assertEqual((rate.scenario, rate.load, rate.median), ("100b", "produce", 1.0))
        self.assertAlmostEqual(rate.low, 0.95)
        self.assertAlmostEqual(rate.high, 1.125)

    def test_what_the_peer_has_not_has_none(self) -> None:
        self.assertNotIn("p50_us", [ratio.metric for ratio in all_ratios(MADE)])
        self.assertEqual(all_ratios([measured(), measured(round=1, engine="kafka")]), [])
        self.assertEqual(all_ratios([measured()]), [])

    def test_loads_are_apart(self) -> None:
        made = [*MADE, measured(load="sync", p50_us=10.0), measured(load="sync", p50_us=40.0, engine="kafka")]
        found = {(ratio.load, ratio.metric): ratio.median for ratio in all_ratios(made)}
        self.assertEqual((found["sync", "p50_us"], found["produce", "rate"]), (0.25, 1.0))

    def test_medians_are_each_engine_s_own(self) -> None:
        self.assertEqual(median(MADE, "100b", "produce", "carousel", "rate"), 90)
        self.assertEqual(median(MADE, "100b", "produce", "kafka", "rate"), 100)

    def test_goals_are_of_what_is_measured(self) -> None:
        for (scenario, load, metric), goal in GOALS.items():
            self.assertIn(scenario, SCENARIOS)
            self.assertIn(load, ("produce", "consume", "sync"))
            self.assertIn(metric, METRICS)
            self.assertEqual((goal.met(0.0), goal.met(9.0)), (metric != "rate", metric == "rate"))
