import random
import unittest
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from loadbalancer.ring import Ring, RingMember, RingSpec, build_ring
from loadbalancer.selection import POLICIES, LeastOfTwoPolicy, View, policy

NODES = (1, 2, 3, 4, 5)
MEMBERS = [RingMember(node_id, node_id) for node_id in NODES]
RINGS = (build_ring(RingSpec(), MEMBERS), build_ring(RingSpec("spec"), MEMBERS))
SUBSETS = st.frozensets(st.sampled_from(NODES))
LOADS = st.dictionaries(st.sampled_from(NODES), st.integers(0, 50))
WEIGHTS = st.dictionaries(st.sampled_from(NODES), st.integers(1, 9))
KEYS = st.integers(0, 999_999)


def view_of(
    *eligible: int,
    in_flight: dict[int, int] | None = None,
    weights: dict[int, int] | None = None,
    ring: Ring = RINGS[0],
) -> View:
    return View(ring, frozenset(eligible), in_flight if in_flight is not None else {}, weights or {})


class EveryPolicyTest(unittest.TestCase):
    @given(st.sampled_from(sorted(POLICIES)), st.sampled_from(RINGS), KEYS, SUBSETS, SUBSETS, LOADS, WEIGHTS)
    def test_whoever_is_left_and_nobody_else(
        self,
        name: str,
        ring: Ring,
        key: int,
        eligible: frozenset[int],
        tried: frozenset[int],
        in_flight: dict[int, int],
        weights: dict[int, int],
    ) -> None:
        chosen = policy(name).choose(key, View(ring, eligible, in_flight, weights), tried)
        self.assertIn(chosen, eligible - tried or {None})

    @given(st.sampled_from(sorted(POLICIES)), KEYS, SUBSETS, LOADS)
    def test_asking_again_tries_each_once(
        self, name: str, key: int, eligible: frozenset[int], in_flight: dict[int, int]
    ) -> None:
        view, tried = View(RINGS[0], eligible, in_flight, {}), list[int]()
        while (chosen := policy(name).choose(key, view, tried)) is not None:
            tried.append(chosen)
        self.assertEqual(sorted(tried), sorted(eligible))

    def test_an_empty_ring_has_nobody(self) -> None:
        for name in POLICIES:
            self.assertIsNone(policy(name).choose(1, view_of(ring=build_ring(RingSpec(), []))))

    def test_an_unknown_name(self) -> None:
        with self.assertRaisesRegex(ValueError, "unknown policy 'best': ring, bounded, p2c"):
            policy("best")


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


class LeastOfTwoPolicyTest(unittest.TestCase):
    def choose_often(self, view: View, times: int = 3000, tried: tuple[int, ...] = ()) -> Counter[int | None]:
        chosen_by = LeastOfTwoPolicy(random.Random(5).random)
        return Counter(chosen_by.choose(7, view, tried) for _ in range(times))

    def test_of_two_always_the_less_loaded(self) -> None:
        self.assertEqual(self.choose_often(view_of(1, 2, in_flight={1: 4, 2: 3})), {2: 3000})

    def test_load_is_by_weight(self) -> None:
        view = view_of(1, 2, in_flight={1: 4, 2: 3}, weights={1: 2})
        self.assertEqual(self.choose_often(view), {1: 3000})

    def test_the_most_loaded_of_many_is_never_chosen(self) -> None:
        self.assertNotIn(3, self.choose_often(view_of(*NODES, in_flight={3: 1})))

    def test_an_idle_fleet_is_used_evenly_for_one_key(self) -> None:
        for count in self.choose_often(view_of(*NODES)).values():
            self.assertAlmostEqual(count / 600, 1, delta=0.12)

    def test_an_idle_fleet_is_used_by_weight(self) -> None:
        counts = self.choose_often(view_of(1, 2, 3, weights={1: 2}))
        self.assertAlmostEqual(counts[1] / 1500, 1, delta=0.1)

    def test_what_was_tried_is_not_drawn(self) -> None:
        self.assertEqual(set(self.choose_often(view_of(1, 2, 3, in_flight={3: 9}), tried=(2,))), {1})

    def test_a_long_run_stays_level(self) -> None:
        """5000 requests that never end: the power of two choices keeps the most loaded near the mean."""
        in_flight: dict[int, int] = {}
        view, chosen_by = view_of(*NODES, in_flight=in_flight), LeastOfTwoPolicy(random.Random(5).random)
        for key in range(5000):
            chosen = chosen_by.choose(key, view)
            assert chosen is not None
            in_flight[chosen] = in_flight.get(chosen, 0) + 1
        self.assertLess(max(in_flight.values()) - min(in_flight.values()), 10)
