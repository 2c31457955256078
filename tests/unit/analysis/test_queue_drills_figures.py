import unittest

from analysis.queue_drills.facts import Delivered, Lane, LaneId, Read
from analysis.queue_drills.figures import Pause, acks, arrivals, back_after, longest_pause, worst_pause


def lane(*sent_and_told: tuple[float, float]) -> Lane:
    """0.0 for what was not acknowledged."""
    made = Lane()
    for sent, told in sent_and_told:
        number = made.sent(sent)
        if told:
            made.acked(number, number, told)
    return made


class PausesTest(unittest.TestCase):
    def test_the_longest(self) -> None:
        self.assertEqual(longest_pause([3.0, 1.0, 7.0], 0.0, 8.0), Pause(4.0, 3.0))

    def test_the_ends_count(self) -> None:
        self.assertEqual(longest_pause([5.0], 0.0, 6.0), Pause(5.0, 0.0))
        self.assertEqual(longest_pause([1.0, 99.0], 0.0, 6.0), Pause(5.0, 1.0))
        self.assertEqual(longest_pause([], 2.0, 6.0), Pause(4.0, 2.0))

    def test_one_partition_s_pause_is_not_hidden_by_others(self) -> None:
        self.assertEqual(worst_pause({0: [1.0, 2.0, 3.0], 1: [1.0]}, 0.0, 4.0), Pause(3.0, 1.0))

    def test_acks_by_partition(self) -> None:
        lanes = {LaneId(0, 0): lane((1, 2), (3, 0.0)), LaneId(1, 0): lane((1, 1.5)), LaneId(0, 1): lane()}
        self.assertEqual({number: sorted(times) for number, times in acks(lanes).items()}, {0: [1.5, 2.0], 1: []})

    def test_arrivals_by_partition(self) -> None:
        delivered = {1: [Delivered(Read(0, 0, 1, 0), 2, 5.0)]}
        self.assertEqual(arrivals(delivered, 2), {0: [], 1: [5.0]})


class BackTest(unittest.TestCase):
    def test_the_slowest_partition_counts(self) -> None:
        lanes = {LaneId(0, 0): lane((9.9, 10.1), (10.2, 10.3)), LaneId(0, 1): lane((9.9, 10.1), (10.2, 12.0))}
        self.assertEqual(back_after(lanes, [10.0]), [2.0])

    def test_an_ack_under_way_says_nothing(self) -> None:
        self.assertEqual(back_after({LaneId(0, 0): lane((9.0, 10.1), (10.5, 13.0))}, [10.0]), [3.0])

    def test_any_producer_s_ack_will_do(self) -> None:
        lanes = {LaneId(0, 0): lane((10.1, 14.0)), LaneId(1, 0): lane((10.2, 11.0))}
        self.assertEqual(back_after(lanes, [10.0]), [1.0])

    def test_killed_again_before_that(self) -> None:
        lanes = {LaneId(0, 0): lane((10.1, 14.0), (11.5, 14.0))}
        self.assertEqual(back_after(lanes, [10.0, 11.0]), [None, 3.0])

    def test_never_back(self) -> None:
        lanes = {LaneId(0, 0): lane((9.0, 9.5), (10.1, 0.0)), LaneId(0, 1): lane((10.1, 10.2))}
        self.assertEqual(back_after(lanes, [10.0]), [None])

    def test_without_kills(self) -> None:
        self.assertEqual(back_after({LaneId(0, 0): lane((1, 2))}, []), [])
