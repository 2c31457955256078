"""`analysis.queue_bench.measures`: ratios within a round, and the goals."""

import unittest

from analysis.queue_bench.measures import (
    AIMS,
    METRICS,
    PEERS,
    RATIOS,
    START,
    Ratio,
    all_ratios,
    loads_of,
    median,
    outcomes,
)
from analysis.queue_bench.rounds import Measurement
from analysis.queue_bench.scenarios import SCENARIOS

USUAL = {"rate": 1000.0, "server_cpu": 0.4, "system_cpu": 0.5, "client_cpu": 1.5, "pss_bytes": 25e6}


def measured(
    engine: str = "carousel", number: int = 0, scenario: str = "100b", load: str = "produce", **values: float
) -> Measurement:
    return Measurement(scenario, load, number, engine, {**USUAL, **values})


MADE = [
    measured(rate=90.0),
    measured("kafka", rate=100.0),
    measured("kafka", 1, rate=40.0),  # a slow round: for both
    measured(number=1, rate=50.0),
    measured(number=2, rate=100.0),
    measured("kafka", 2, rate=100.0),
]


class RatiosTest(unittest.TestCase):
    def test_a_ratio_is_taken_within_a_round(self) -> None:
        (rate,) = [ratio for ratio in all_ratios(MADE) if ratio.metric == "rate"]
        self.assertEqual((rate.scenario, rate.load, rate.peer, rate.median), ("100b", "produce", "kafka", 1.0))
        self.assertAlmostEqual(rate.low, 0.95)
        self.assertAlmostEqual(rate.high, 1.125)

    def test_what_the_peer_has_not_has_none(self) -> None:
        self.assertNotIn("p50_us", [ratio.metric for ratio in all_ratios(MADE)])
        self.assertEqual(all_ratios([measured(number=0), measured("kafka", 1)]), [])
        self.assertEqual(all_ratios([measured()]), [])
        zero = [measured(p50_us=3.0), measured("kafka", p50_us=0.0)]
        self.assertNotIn("p50_us", [ratio.metric for ratio in all_ratios(zero)])

    def test_loads_and_peers_are_apart(self) -> None:
        made = [
            *MADE, measured(load="sync", p50_us=10.0), measured("kafka", load="sync", p50_us=40.0),
            measured("redis", rate=45.0),
        ]  # fmt: skip
        found = {(ratio.load, ratio.peer, ratio.metric): ratio.median for ratio in all_ratios(made)}
        self.assertEqual(found["sync", "kafka", "p50_us"], 0.25)
        self.assertEqual((found["produce", "kafka", "rate"], found["produce", "redis", "rate"]), (1.0, 2.0))
        self.assertEqual(loads_of(made), [("100b", "produce"), ("100b", "sync")])

    def test_medians_are_each_engine_s_own(self) -> None:
        self.assertEqual(median(MADE, "100b", "produce", "carousel", "rate"), 90)
        self.assertEqual(median(MADE, "100b", "produce", "kafka", "rate"), 100)
        self.assertIsNone(median(MADE, "100b", "produce", "kafka", "p50_us"))


class AimsTest(unittest.TestCase):
    def test_they_are_of_what_is_measured(self) -> None:
        for aim in AIMS:
            with self.subTest(aim):
                self.assertIn(aim.metric, RATIOS if aim.peer else METRICS)
                self.assertIn(aim.peer, (*PEERS, ""))
                if aim.scenario != START:
                    (load,) = [one for one in SCENARIOS[aim.scenario].loads if one.kind == aim.load]
                    self.assertIn(aim.peer or "carousel", load.engines)
        self.assertEqual(len(set(AIMS)), len(AIMS))

    def test_more_is_asked_of_rates_and_less_of_the_rest(self) -> None:
        for aim in AIMS:
            self.assertEqual((aim.goal.met(0.0), aim.goal.met(1e9)), (aim.metric != "rate", aim.metric == "rate"))

    def test_outcomes(self) -> None:
        made = [measured(), measured("kafka", server_cpu=0.8), measured("redis", rate=250.0)]
        found = {(one.aim.metric, one.aim.peer): one for one in outcomes(made, all_ratios(made))}
        self.assertEqual(
            set(found), {("rate", "kafka"), ("server_cpu", "kafka"), ("pss_bytes", "kafka"), ("rate", "redis")}
        )
        self.assertTrue(found["rate", "kafka"].met and found["server_cpu", "kafka"].met)
        self.assertFalse(found["pss_bytes", "kafka"].met or found["rate", "redis"].met)
        self.assertEqual(found["rate", "redis"].median, 4.0)

    def test_an_outcome_without_a_peer_is_of_our_own_values(self) -> None:
        made = [
            measured(number=n, scenario="http", load="http-produce", lag_ms=lag) for n, lag in enumerate((5, 80, 300))
        ]
        (found,) = outcomes(made, [])
        self.assertEqual((found.median, found.met), (80, True))
        self.assertEqual(outcomes(MADE, [Ratio("none", "produce", "rate", "kafka", 1, 1, 1)]), [])
