import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.hedging import FLOOR_S, HALF_LIFE_S, MIN_SAMPLES, HedgeDelay, RecentTimes


class Times(unittest.TestCase):
    def test_nothing_of_a_few(self) -> None:
        times = RecentTimes()
        for _ in range(MIN_SAMPLES - 1):
            times.add(0.01)
        self.assertIsNone(times.quantile(0.5))
        times.add(0.01)
        self.assertIsNotNone(times.quantile(0.5))

    @given(st.lists(st.floats(0, 100), min_size=MIN_SAMPLES, max_size=300), st.sampled_from((0.5, 0.9, 0.95, 0.999)))
    def test_a_quantile_is_known_to_a_sixteenth(self, seconds: list[float], share: float) -> None:
        times = RecentTimes()
        for value in seconds:
            times.add(value)
        ordered = sorted(seconds)
        true = next(x for i, x in enumerate(ordered, 1) if i >= share * len(ordered) - 1e-9)
        found = times.quantile(share)
        assert found is not None
        self.assertGreaterEqual(found, true - 1e-6)
        self.assertLessEqual(found, true * (1 + 1 / 16) + 2e-6)

    def test_hours_are_in_the_last_bucket(self) -> None:
        times = RecentTimes()
        for _ in range(MIN_SAMPLES):
            times.add(1e6)
        found = times.quantile(0.5)
        assert found is not None
        self.assertGreater(found, 100)


class Delay(unittest.TestCase):
    def test_a_fixed_one(self) -> None:
        self.assertEqual(HedgeDelay("0.25", 0).seconds, 0.25)
        self.assertEqual(HedgeDelay("0", 0).seconds, FLOOR_S)
        with self.assertRaises(ValueError):
            HedgeDelay("soon", 0)

    def fed(self, setting: str, *samples: float) -> HedgeDelay:
        delay = HedgeDelay(setting, 0)
        for sample in samples:
            delay.add(sample)
        delay.advance(1)
        return delay

    def test_a_percentile_once_it_is_known(self) -> None:
        self.assertIsNone(self.fed("p95", *[0.01] * 50).seconds)
        samples = [0.01] * 190 + [1.0] * 10
        self.assertAlmostEqual(self.fed("p90", *samples).seconds or 0, 0.01, delta=0.001)
        self.assertAlmostEqual(self.fed("p99.5", *samples).seconds or 0, 1, delta=0.07)
        self.assertEqual(self.fed("p95", *[0.0] * 200).seconds, FLOOR_S)

    def test_what_was_long_ago_is_forgotten(self) -> None:
        delay = self.fed("p95", *[0.5] * 1000)
        for second in range(2, 62):
            for _ in range(20):
                delay.add(0.01)
            delay.advance(second)
        self.assertLess(delay.seconds or 1, 0.55)
        for second in range(62, 62 + 4 * int(HALF_LIFE_S)):
            for _ in range(20):
                delay.add(0.01)
            delay.advance(second)
        self.assertAlmostEqual(delay.seconds or 0, 0.01, delta=0.001)
        delay.advance(10_000)
        self.assertIsNone(delay.seconds)

    def test_hedges_that_win_do_not_pull_it_down(self) -> None:
        """Half of the slow ones are answered by their hedge, soon after the delay: the times told stay beyond it."""
        delay = self.fed("p95", *[0.01] * 950, *[1.0] * 50)
        for second in range(2, 200):
            at = delay.seconds or 0
            for i in range(100):
                slow = i % 20 == 0
                delay.add((at + 0.005 if i % 40 == 0 else 1.0) if slow else 0.01)
            delay.advance(second)
        self.assertGreater(delay.seconds or 0, 0.0099)
