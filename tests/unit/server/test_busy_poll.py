import unittest
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from server.busy_poll import ENOUGH, LATE, MOST, BusyPoll

MOST_S = 100.0
A, B = object(), object()


class BusyPollTest(unittest.TestCase):
    def setUp(self) -> None:
        self.start(MOST_S)

    def start(self, most_s: float) -> None:
        self.now = 1000.0
        self.soon: list[Callable[[], None]] = []
        self.poll = BusyPoll(most_s, self.soon.append, lambda: self.now)

    def turn(self) -> None:
        """Of the loop."""
        due, self.soon[:] = list(self.soon), []
        for callback in due:
            callback()

    def talk(self, who: object, count: int, after_s: float = 1.0) -> None:
        """Requests, each so long after the answer before, answered at once."""
        for _ in range(count):
            self.now += after_s
            self.poll.asked(who, self.now)
            self.poll.answered()
            self.turn()

    def test_a_conversation_is_waited_for_up_to_the_limit(self) -> None:
        self.talk(A, ENOUGH)
        self.assertFalse(self.poll.is_polling)
        self.talk(A, 1)
        for _ in range(3):
            self.now += MOST_S / 4
            self.turn()
            self.assertEqual((self.poll.is_polling, len(self.soon)), (True, 1))
        self.now += MOST_S
        self.turn()
        self.assertEqual((self.poll.is_polling, self.soon), (False, []))

    def test_whoever_takes_longer_is_not(self) -> None:
        self.talk(A, 100, MOST_S + 1)
        self.assertEqual(self.soon, [])

    def test_two_who_talk_are_none(self) -> None:
        self.talk(A, 10)
        self.talk(B, 1)
        self.assertFalse(self.poll.is_polling)
        for _ in range(20):
            self.talk(A, 1)
            self.talk(B, 1)
        self.assertEqual(self.soon, [])

    def test_late_ones_end_it_and_it_begins_again(self) -> None:
        self.talk(A, 2 * MOST)
        for _ in range((MOST - ENOUGH) // LATE + 1):
            self.assertTrue(self.poll.is_polling)
            self.now += MOST_S + 1
            self.turn()
            self.talk(A, 1, 0)
        self.assertFalse(self.poll.is_polling)
        self.talk(A, ENOUGH)
        self.assertTrue(self.poll.is_polling)

    def test_never(self) -> None:
        self.start(0)
        self.talk(A, 100, 0)
        self.assertEqual(self.soon, [])

    @given(st.lists(st.tuples(st.sampled_from([A, B]), st.floats(0, 3 * MOST_S)), max_size=60))
    def test_it_never_polls_twice_at_once_nor_for_longer_than_allowed(
        self, requests: list[tuple[object, float]]
    ) -> None:
        self.start(MOST_S)
        polled = 0.0
        for who, after_s in requests:
            begun = self.now
            while self.soon and self.now < begun + after_s:
                self.assertEqual(len(self.soon), 1)
                self.now += MOST_S / 10
                polled += MOST_S / 10
                self.turn()
            self.now = max(self.now, begun + after_s)
            self.poll.asked(who, self.now)
            self.poll.answered()
            self.turn()
        self.assertLessEqual(polled, len(requests) * (MOST_S + MOST_S / 5))


if __name__ == "__main__":
    unittest.main()
