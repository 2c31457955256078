"""`analysis.queue_bench.plans`, `.scenarios` and `.asked`: which processes a load takes, and what their words give."""

import unittest
from dataclasses import asdict

from analysis.queue_bench.asked import Ask, Told, ask_from, shares, told_from
from analysis.queue_bench.loads import PRODUCTS
from analysis.queue_bench.plans import Where, asks, combined
from analysis.queue_bench.scenarios import KAFKAS, SCENARIOS, WAITING, Load

KAFKA = Where("kafka", "127.0.0.1:9", "http://127.0.0.1:8")


def load_of(scenario: str, kind: str) -> Load:
    return next(one for one in SCENARIOS[scenario].loads if one.kind == kind)


def asked(scenario: str, kind: str, count: int = 1000, where: Where = KAFKA) -> list[Ask]:
    return asks(SCENARIOS[scenario], load_of(scenario, kind), where, "t", count)


class AsksTest(unittest.TestCase):
    def test_every_load_has_clients(self) -> None:
        for name, scenario in SCENARIOS.items():
            for load in scenario.loads:
                for ask in asked(name, load.kind):
                    self.assertIn(ask.product, PRODUCTS)
                    self.assertEqual((ask.size, ask.partitions, ask.topic), (scenario.size, scenario.partitions, "t"))

    def test_producers_that_wait_share_processes(self) -> None:
        found = asked("100b-12", "waiting", 1001)
        self.assertEqual(sum(ask.clients for ask in found), WAITING)
        self.assertEqual(sum(ask.count for ask in found), 1001)
        self.assertEqual([ask.first for ask in found], [0, 32])

    def test_receivers_come_first(self) -> None:
        self.assertEqual([ask.kind for ask in asked("100b", "end-to-end")], ["receive", "paced"])
        self.assertEqual([ask.kind for ask in asked("crowd", "crowd")], ["crowd-consume", "crowd-produce"])

    def test_tools_and_calls_are_products_of_their_own(self) -> None:
        (tool,) = asked("tools", "tools-consume")
        self.assertEqual((tool.product, tool.kind), ("kafka-tools", "consume"))
        (call,) = asked("http", "http-produce")
        self.assertEqual((call.product, call.kind, call.url), ("http", "produce", "http://127.0.0.1:8"))

    def test_through_json(self) -> None:
        (ask,) = asked("1k-12-synced", "produce")
        self.assertTrue(ask.synced)
        self.assertEqual(ask_from(ask.json()), ask)
        told = Told(1.0, 2.5, 0.5, {"p50_us": 3.0})
        self.assertEqual(asdict(told_from(f"something before\n{told.json()}\n")), asdict(told))


class ScenariosTest(unittest.TestCase):
    def test_the_slow_are_asked_less_but_never_nothing(self) -> None:
        produce = load_of("100b", "produce")
        self.assertEqual(produce.count_for("kafka", 0.1), 100_000)
        self.assertEqual(produce.count_for("rabbitmq", 1.0), 50_000)
        self.assertEqual(produce.count_for("rabbitmq", 0.0001), WAITING)
        self.assertEqual(load_of("100b", "end-to-end").count_for("rabbitmq", 0.5), 50_000)

    def test_kinds_are_told_apart_and_java_speaks_kafka_only(self) -> None:
        for scenario in SCENARIOS.values():
            kinds = [load.kind for load in scenario.loads]
            self.assertEqual(len(set(kinds)), len(kinds))
        self.assertEqual(load_of("tools", "tools-produce").engines, KAFKAS)

    def test_shares(self) -> None:
        self.assertEqual(shares(10, 4), [3, 3, 2, 2])
        self.assertEqual(shares(2, 3), [1, 1, 0])


class CombinedTest(unittest.TestCase):
    def test_from_the_first_beginning_to_the_last_end(self) -> None:
        told = [Told(10.0, 14.0, 1.0, {"p50_us": 4.0}), Told(10.5, 15.0, 2.0, {"p50_us": 6.0})]
        found = combined(load_of("100b-12", "waiting"), 1000, 100, told)
        self.assertEqual(found["rate"], 200)
        self.assertAlmostEqual(found["mb_s"], 0.02)
        self.assertAlmostEqual(found["client_cpu"], 3000)
        self.assertEqual(found["p50_us"], 5.0)

    def test_only_who_measured_latency_speaks_of_it(self) -> None:
        found = combined(load_of("100b", "end-to-end"), 10, 100, [Told(0, 1, 0, {"p99_us": 7.0}), Told(0, 1, 0, {})])
        self.assertEqual((found["p99_us"], found["rate"]), (7.0, 10))

    def test_a_load_s_own_rate_counts(self) -> None:
        found = combined(load_of("tools", "tools-produce"), 10, 100, [Told(0, 5, 0, {"rate": 1e6})])
        self.assertEqual((found["rate"], found["mb_s"]), (1e6, 100.0))

    def test_calls_are_no_megabytes(self) -> None:
        self.assertNotIn("mb_s", combined(load_of("http", "http-produce"), 10, 100, [Told(0, 1, 0, {})]))
