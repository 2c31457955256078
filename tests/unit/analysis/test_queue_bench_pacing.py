"""`analysis.queue_bench.pacing`: bursts that are due on time, and how late they came."""

import unittest
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.queue_bench.pacing import late_s, latency, one_by_one, stamped, ticks, warmed


class TicksTest(unittest.TestCase):
    def test_ten_thousand_a_second(self) -> None:
        found = list(ticks(5_000_000, 25, 10_000))
        self.assertEqual(found, [(5_000_000, 10), (6_000_000, 10), (7_000_000, 5)])

    def test_slower_than_a_burst(self) -> None:
        self.assertEqual(list(ticks(0, 2, 500)), [(1_000_000, 1), (3_000_000, 1)])

    @settings(deadline=None)
    @given(st.integers(0, 3000), st.integers(200, 50_000))
    def test_all_are_sent_in_order_and_none_too_early(self, count: int, rate: int) -> None:
        found = list(ticks(0, count, rate))
        self.assertEqual(sum(many for _, many in found), count)
        self.assertTrue(all(earlier < later for (earlier, _), (later, _) in pairwise(found)))
        sent = 0
        for due_ns, many in found:
            sent += many
            self.assertLessEqual(sent, rate * (due_ns + 1_000_000) / 1e9 + 1e-6)


class StampTest(unittest.TestCase):
    def test_a_message_carries_its_time(self) -> None:
        message = stamped(1_000_000_000, 100)
        self.assertEqual(len(message), 100)
        self.assertEqual(late_s(message, 1_250_000_000), 0.25)

    def test_latency(self) -> None:
        self.assertEqual(latency([0.003, 0.001, 0.002]), {"p50_us": 2000.0, "p99_us": 3000.0})
        self.assertEqual(latency([]), {"p50_us": 0.0, "p99_us": 0.0})
        self.assertEqual(one_by_one([0.25, 0.25]), {"p50_us": 250e3, "p99_us": 250e3, "rate": 4.0})
        self.assertEqual(list(warmed(list(range(20)))), list(range(2, 20)))
