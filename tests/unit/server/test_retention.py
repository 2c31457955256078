"""`server.retention`: which of the oldest segments may go."""

import unittest

from server.retention import SegmentFacts, kept_from


def facts(*segments: tuple[int, int, int]) -> list[SegmentFacts]:
    return [SegmentFacts(*segment) for segment in segments]


class RetentionTest(unittest.TestCase):
    def setUp(self) -> None:
        self.segments = facts((10, 100, 1000), (20, 100, 3000), (30, 100, 2000), (40, 50, 9000))

    def test_by_time_up_to_the_first_that_is_young(self) -> None:
        gone = [kept_from(self.segments, now, 1000, -1, 40) for now in (2000, 2001, 4000, 4001, 10_001)]
        self.assertEqual(gone, [0, 1, 1, 3, 4])

    def test_by_size_as_long_as_what_is_left_is_enough(self) -> None:
        gone = [kept_from(self.segments, 0, -1, most, 40) for most in (350, 251, 250, 151, 150, 0)]
        self.assertEqual(gone, [0, 0, 1, 1, 2, 4])

    def test_never_at_or_above_the_high_watermark(self) -> None:
        self.assertEqual([kept_from(self.segments, 99_999, 1, 0, high) for high in (9, 10, 25, 40)], [0, 1, 2, 4])

    def test_without_limits_or_times(self) -> None:
        self.assertEqual(kept_from(self.segments, 99_999, -1, -1, 40), 0)
        self.assertEqual(kept_from(facts((10, 100, -1)), 99_999, 1, -1, 40), 0)
