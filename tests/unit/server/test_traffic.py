"""`server.traffic`: classes of times, totals that stay."""

import unittest

from server.traffic import BOUNDS_S, Requests, Times, TopicTraffic


class TrafficTest(unittest.TestCase):
    def test_a_time_falls_into_the_class_whose_bound_it_does_not_pass(self) -> None:
        times = Times()
        for seconds in (0.0, BOUNDS_S[0], BOUNDS_S[0] * 1.01, BOUNDS_S[-1], 1e9):
            times.add(seconds)
        self.assertEqual((times.classes[0], times.classes[1], times.classes[-2:]), (2, 1, [1, 1]))
        self.assertEqual((times.count, sum(times.classes)), (5, 5))
        self.assertAlmostEqual(times.sum_s, 1e9 + BOUNDS_S[-1] + BOUNDS_S[0] * 2.01)

    def test_traffic_adds_up(self) -> None:
        one, other = TopicTraffic(), TopicTraffic()
        other.messages_in, other.bytes_in, other.bytes_out = 1, 2, 3
        one.add(other)
        one.add(other)
        self.assertEqual((one.messages_in, one.bytes_in, one.bytes_out), (2, 4, 6))

    def test_clients_and_servers_are_counted_apart(self) -> None:
        requests = Requests()
        self.assertIs(requests.of(1), requests.of(1))
        self.assertIsNot(requests.of(1), requests.of(1, of_servers=True))
        self.assertEqual(requests.all(), [])  # what was never asked has no series
        requests.of(1, of_servers=True).requests += 1
        self.assertEqual([key for key, _ in requests.all()], [(1, True)])
