import unittest

from loadbalancer.backoff import deaths_in_a_row, delay_s


class TestDelay(unittest.TestCase):
    def test_at_once_then_half_a_second_doubling_to_thirty(self) -> None:
        delays = [delay_s(deaths, deaths) for deaths in range(1, 10)]
        self.assertEqual(delays, [0, 0.5, 1, 2, 4, 8, 16, 30, 30])
        self.assertEqual(delay_s(10**9, 10**9), 30)

    def test_one_that_had_served_is_back_within_a_second(self) -> None:
        self.assertEqual([delay_s(deaths, 0) for deaths in (1, 2, 3, 4, 10**9)], [0, 0.5, 1, 1, 1])

    def test_a_start_that_fails_behind_many_of_those_begins_there(self) -> None:
        self.assertEqual([delay_s(20 + failed, failed) for failed in (1, 2, 3)], [2, 4, 8])


class TestCount(unittest.TestCase):
    def test_a_steady_life_wipes_the_slate(self) -> None:
        self.assertEqual(deaths_in_a_row(7, 100.0, 110.0), 1)

    def test_a_short_life_or_none_counts_on(self) -> None:
        self.assertEqual(deaths_in_a_row(7, 100.0, 109.9), 8)
        self.assertEqual(deaths_in_a_row(0, None, 5.0), 1)
