"""Deadlines: never early, at most a slot late, each once."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from server.now import Now
from server.waiting import SLOT_BITS, Deadlines


class Waiter:
    def __init__(self) -> None:
        self.told: list[int] = []

    def expire(self, now: Now) -> None:
        self.told.append(now.steady_ms)


class TestDeadlines(unittest.TestCase):
    @given(st.lists(st.integers(0, 2_000), min_size=1), st.integers(1, 50))
    def test_each_is_told_once_in_time(self, deadlines: list[int], step: int) -> None:
        wheel, waiters = Deadlines(), [Waiter() for _ in deadlines]
        for deadline_ms, waiter in zip(deadlines, waiters, strict=True):
            was = wheel.next_ms()
            is_earlier = wheel.add(deadline_ms, waiter)
            self.assertEqual(is_earlier, was is None or wheel.next_ms() < was)
        for now_ms in range(0, 2_100 + step, step):
            wheel.expire(Now(now_ms, 0))
        for deadline_ms, waiter in zip(deadlines, waiters, strict=True):
            (at,) = waiter.told
            self.assertGreater(at, deadline_ms)
            self.assertLessEqual(at, deadline_ms + (1 << SLOT_BITS) + step)
        self.assertIsNone(wheel.next_ms())


if __name__ == "__main__":
    unittest.main()
