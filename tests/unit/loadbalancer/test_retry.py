import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.retry import (
    IDEMPOTENT,
    RESERVE,
    RETRIES_PER_S,
    RETRY_SHARE,
    WINDOW_S,
    Phase,
    RetryBudget,
    may_retry,
)

METHODS = st.sampled_from([b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"POST", b"PATCH", b"LOCK"])


class Table(unittest.TestCase):
    @given(METHODS, st.booleans())
    def test_unsent_always_answered_never(self, method: bytes, replayable: bool) -> None:
        self.assertTrue(may_retry(method, Phase.UNSENT, replayable))
        self.assertFalse(may_retry(method, Phase.ANSWERED, replayable))

    @given(METHODS, st.booleans())
    def test_sent_only_if_idempotent_and_at_hand(self, method: bytes, replayable: bool) -> None:
        self.assertEqual(may_retry(method, Phase.SENT, replayable), replayable and method in IDEMPOTENT)

    def test_the_spec_s_methods(self) -> None:
        self.assertEqual(IDEMPOTENT, {b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})


class Budget(unittest.TestCase):
    @given(
        st.lists(st.tuples(st.floats(0, 1.5), st.integers(0, 30), st.integers(0, 60)), max_size=40), st.integers(0, 20)
    )
    def test_law(self, steps: list[tuple[float, int, int]], reserve: int) -> None:
        """Whenever one is granted, those of the window are at most its share, its rate and the reserve."""
        now, budget = 0.0, RetryBudget(0.0, reserve)
        seen: list[tuple[int, int, int]] = []  # second, requests, granted
        for pause, requests, wishes in steps:
            now += pause
            budget.advance(now)
            budget.requests += requests
            granted = sum(budget.spend(now) for _ in range(wishes))
            seen.append((int(now), requests, granted))
            window = [step for step in seen if step[0] >= int(now) - WINDOW_S]
            allowed = reserve + RETRIES_PER_S * WINDOW_S + RETRY_SHARE * sum(step[1] for step in window)
            total = sum(step[2] for step in window)
            if granted:
                self.assertLessEqual(total, allowed + 1e-6)
            if granted < wishes:
                self.assertGreater(total + 1, allowed - 1e-6)

    def test_the_death_of_one_of_three_under_512_connections_is_within_the_reserve(self) -> None:
        budget = RetryBudget(0.0)
        self.assertTrue(all(budget.spend(0.1) for _ in range(512)))
        self.assertGreaterEqual(RESERVE, 512)

    def test_what_is_not_needed_leaves_the_reserve_alone(self) -> None:
        budget = RetryBudget(0.0, reserve=5)
        budget.requests += 100
        granted = [budget.spend(0.1, needed=False) for _ in range(100)]
        self.assertEqual(sum(granted), RETRY_SHARE * 100 + RETRIES_PER_S * WINDOW_S)
        self.assertEqual([budget.spend(0.1) for _ in range(6)], [True] * 5 + [False])

    def test_it_forgets_old_traffic(self) -> None:
        budget = RetryBudget(0.0, reserve=0)
        budget.requests += 10_000
        self.assertGreater(budget.left(), 2000)
        budget.advance(1e6)
        self.assertEqual(budget.left(), RETRIES_PER_S * WINDOW_S)

    def test_a_clock_that_stands_or_goes_back_does_no_harm(self) -> None:
        budget = RetryBudget(100.0, reserve=1)
        budget.advance(50.0)
        self.assertTrue(budget.spend(50.0))
