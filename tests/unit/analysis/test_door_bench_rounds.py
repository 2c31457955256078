import unittest

from support.measured import measured

from analysis.door_bench.accounting import CpuTime
from analysis.door_bench.load import Load
from analysis.door_bench.peers import Front
from analysis.door_bench.rounds import QUIET, Used, measurement, quietest, turned
from analysis.door_bench.scenarios import DEFAULT, SCENARIOS, TWO_WORKERS

GONE = 2**22 + 1  # above the kernel's largest pid


class TurnedTest(unittest.TestCase):
    def test_everybody_begins_once(self) -> None:
        fronts = ["nginx", "haproxy", "carousel"]
        orders = [turned(fronts, by) for by in range(3)]
        self.assertEqual([order[0] for order in orders], fronts)
        self.assertTrue(all(sorted(order) == sorted(fronts) for order in orders))
        self.assertEqual(turned(fronts, 7), orders[1])


class QuietestTest(unittest.TestCase):
    def take(self, *foreign: float) -> tuple[float, int, int]:
        """(foreign, retakes) of the one that counts, and how many were taken."""
        coming = iter([measured(foreign=share) for share in foreign])
        found = quietest(lambda: next(coming), patience=2)
        return found.foreign, found.retakes, len(foreign) - len(list(coming))

    def test_a_quiet_one_is_taken_once(self) -> None:
        self.assertEqual(self.take(QUIET, 0.0), (QUIET, 0, 1))

    def test_again_until_it_is_quiet(self) -> None:
        self.assertEqual(self.take(0.5, 0.01, 0.0), (0.01, 1, 2))

    def test_patience_ends_and_the_quietest_counts(self) -> None:
        self.assertEqual(self.take(0.5, 0.2, 0.9, 0.0), (0.2, 2, 3))


class MeasurementTest(unittest.TestCase):
    def test_times_are_per_request_and_strangers_are_what_is_left(self) -> None:
        load = Load(requests=100_000, failed=0, duration_s=2.0, p50_ms=1, p99_ms=2, cpu_s=0.5)
        used = Used(
            front=CpuTime(1_500_000_000, 25, 75), data=CpuTime(1_400_000_000), backends=CpuTime(600_000_000),
            front_core=0.8, load_core=0.6, window_s=2.0,
        )  # fmt: skip
        found = measurement(SCENARIOS["get-32"], 3, Front("nginx", 80, GONE, GONE), load, used)
        self.assertEqual((found.scenario, found.round, found.front), ("get-32", 3, "nginx"))
        self.assertAlmostEqual(found.rate, 50_000)
        self.assertAlmostEqual(found.cpu_us, 15)
        self.assertAlmostEqual(found.user_us, 3.75)
        self.assertAlmostEqual(found.system_us, 11.25)
        self.assertAlmostEqual(found.data_us, 14)
        self.assertAlmostEqual(found.wrk_us, 5)
        self.assertAlmostEqual(found.backends_us, 6)
        self.assertAlmostEqual(found.front_busy, 0.8)
        self.assertAlmostEqual(found.load_busy, 0.6)
        self.assertAlmostEqual(found.foreign, 0.1)


class ScenariosTest(unittest.TestCase):
    def test_names(self) -> None:
        self.assertEqual({*DEFAULT, *TWO_WORKERS}, set(SCENARIOS))
        self.assertTrue(all(SCENARIOS[name].workers == 1 for name in DEFAULT))
        self.assertTrue(all(SCENARIOS[name].workers == 2 for name in TWO_WORKERS))
