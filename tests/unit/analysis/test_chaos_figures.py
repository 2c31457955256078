import unittest

from analysis.chaos.asks import Ask
from analysis.chaos.facts import Ending, Harm, Record
from analysis.chaos.figures import climbed, speed, told, told_harm


def answered(due: float, ended: float, slow: bool = False, status: int = 200) -> Record:
    return Record(Ask("a", "GET", 1, slow=slow), due, Ending.WHOLE, ended, status=status)


class SpeedTest(unittest.TestCase):
    def test_latencies_count_from_when_a_request_was_due(self) -> None:
        figures = speed([answered(i / 100, i / 100 + 0.001 * (i + 1)) for i in range(100)], 0.0)
        self.assertAlmostEqual(figures.p50_s, 0.051)
        self.assertAlmostEqual(figures.p99_s, 0.1)
        self.assertAlmostEqual(figures.worst_s, 0.1)

    def test_only_good_answers_that_are_not_slow_on_purpose(self) -> None:
        records = [answered(0, 0.1), answered(0, 5, slow=True), answered(0, 6, status=502)]
        self.assertEqual(speed(records, 0.0).worst_s, 0.1)

    def test_the_longest_gap_while_requests_are_sent(self) -> None:
        records = [answered(10, 10.1), answered(10.2, 12.1), answered(12.2, 12.3), answered(12.5, 60)]
        figures = speed(records, 9.5)
        self.assertAlmostEqual(figures.gap_s, 2.0)
        self.assertAlmostEqual(figures.gap_at_s, 0.6)

    def test_refusals_do_not_end_a_gap(self) -> None:
        figures = speed([answered(0, 0.1), answered(1, 1.1, status=502), answered(3, 3.1)], 0.0)
        self.assertAlmostEqual(figures.gap_s, 2.9)

    def test_nothing(self) -> None:
        self.assertEqual(speed([], 1.0).gap_s, 0.0)


class ToldTest(unittest.TestCase):
    def test_a_request_with_the_harm_of_its_time(self) -> None:
        harms = [Harm("kill", "S1", 20.5, 20.5), Harm("slow", "S2", 3.0, 17.9), Harm("kill", "S3", 22.5, 22.5)]
        self.assertEqual(
            told(answered(20, 21.25, status=502), ["S1"], harms, 10.0),
            "a: GET /bytes/1 of 1, due 10.000, whole 502 at 11.250; acted on by: S1; harm: kill S1 at 10.500",
        )

    def test_harm_that_lasts(self) -> None:
        self.assertEqual(told_harm(Harm("slow", "S2", 13.0, 14.5), 10.0), "slow S2 at 3.000 for 1.500")


class ClimbedTest(unittest.TestCase):
    def test_falls_are_new_beginnings(self) -> None:
        self.assertEqual(climbed([3, 5, 5, 1, 4]), 5)
        self.assertEqual(climbed([]), 0)
