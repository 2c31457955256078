import unittest

from hypothesis import given, settings
from hypothesis import strategies as st
from support.views import KEYS, NODES, RINGS, SUBSETS, WEIGHTS, view_of

from loadbalancer.selection import policy


class RingPolicyTest(unittest.TestCase):
    @given(KEYS, SUBSETS, SUBSETS)
    def test_the_first_clockwise_that_may(self, key: int, eligible: frozenset[int], tried: frozenset[int]) -> None:
        ring = RINGS[0]
        wanted = [n for n in ring.successors(key) if n in eligible and n not in tried]
        chosen = policy("ring").choose(key, view_of(*eligible), tried)
        self.assertEqual(chosen, wanted[0] if wanted else None)


class BoundedPolicyTest(unittest.TestCase):
    def test_an_idle_fleet_is_a_plain_ring(self) -> None:
        for key in range(200):
            self.assertEqual(policy("bounded").choose(key, view_of(*NODES)), RINGS[0].owner(key))

    def test_a_full_owner_overflows_clockwise(self) -> None:
        first, second, *_ = RINGS[0].successors(7)
        self.assertEqual(policy("bounded").choose(7, view_of(*NODES, in_flight={first: 1})), second)

    @given(st.lists(KEYS, max_size=80), WEIGHTS, st.frozensets(st.sampled_from(NODES), min_size=1))
    @settings(deadline=None)
    def test_nobody_gets_beyond_its_bound(
        self, keys: list[int], weights: dict[int, int], eligible: frozenset[int]
    ) -> None:
        """Requests come and none ends; after each, the one that got it is within ceil(1.25 · its part)."""
        in_flight: dict[int, int] = {}
        view = view_of(*eligible, in_flight=in_flight, weights=weights)
        total_weight = sum(weights.get(n, 1) for n in eligible)
        for count, key in enumerate(keys, 1):
            chosen = policy("bounded").choose(key, view)
            assert chosen is not None
            in_flight[chosen] = in_flight.get(chosen, 0) + 1
            bound = -(-5 * count * weights.get(chosen, 1) // (4 * total_weight))
            self.assertLessEqual(in_flight[chosen], bound)

    def test_a_hot_key_spreads_as_far_as_it_must(self) -> None:
        in_flight: dict[int, int] = {}
        view = view_of(*NODES, in_flight=in_flight)
        for _ in range(100):
            chosen = policy("bounded").choose(7, view)
            assert chosen is not None
            in_flight[chosen] = in_flight.get(chosen, 0) + 1
        first_four = list(RINGS[0].successors(7))[:4]
        self.assertEqual(in_flight, dict.fromkeys(first_four, 25))

    def test_those_that_are_not_eligible_do_not_count(self) -> None:
        first, second, *_ = RINGS[0].successors(7)
        view = view_of(first, second, in_flight={first: 2, 99: 1000})
        self.assertEqual(policy("bounded").choose(7, view), second)

    def test_a_retry_takes_whoever_is_left_full_or_not(self) -> None:
        first, second, *_ = RINGS[0].successors(7)
        view = view_of(first, second, in_flight={second: 1000})
        self.assertEqual(policy("bounded").choose(7, view, [first]), second)
