import unittest
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from support.views import KEYS, NODES, SUBSETS, WEIGHTS, view_of

from loadbalancer.policy_rendezvous import RendezvousPolicy

MANY = range(20_000)


def choose(key: int, *eligible: int, weights: dict[int, int] | None = None, tried: tuple[int, ...] = ()) -> int | None:
    return RendezvousPolicy().choose(key, view_of(*eligible, weights=weights), tried)


def counts(*eligible: int, weights: dict[int, int] | None = None, keys: range = MANY) -> Counter[int | None]:
    chosen, view = RendezvousPolicy(), view_of(*eligible, weights=weights)
    return Counter(chosen.choose(key, view) for key in keys)


class RendezvousPolicyTest(unittest.TestCase):
    @given(KEYS, SUBSETS, st.sampled_from(NODES), WEIGHTS)
    def test_a_leaver_takes_only_its_own_keys(
        self, key: int, eligible: frozenset[int], leaver: int, weights: dict[int, int]
    ) -> None:
        before = choose(key, *eligible, weights=weights)
        if before != leaver:
            self.assertEqual(choose(key, *(eligible - {leaver}), weights=weights), before)

    @given(KEYS, SUBSETS, WEIGHTS)
    def test_a_retry_is_the_choice_without_those_tried(
        self, key: int, eligible: frozenset[int], weights: dict[int, int]
    ) -> None:
        tried: list[int] = []
        while (chosen := choose(key, *eligible, weights=weights, tried=tuple(tried))) is not None:
            self.assertEqual(chosen, choose(key, *eligible.difference(tried), weights=weights))
            tried.append(chosen)

    @given(KEYS, WEIGHTS, st.sampled_from(NODES))
    def test_more_weight_moves_keys_only_to_its_bearer(self, key: int, weights: dict[int, int], heavier: int) -> None:
        before = choose(key, *NODES, weights=weights)
        after = choose(key, *NODES, weights=weights | {heavier: weights.get(heavier, 1) + 1})
        self.assertIn(after, (before, heavier))

    @given(KEYS, st.integers(2, 9))
    def test_equal_weights_are_no_weights(self, key: int, weight: int) -> None:
        """And the order by logarithms is that by hashes: a far lighter sixth changes nothing between the rest."""
        self.assertEqual(choose(key, *NODES, weights=dict.fromkeys(NODES, weight)), choose(key, *NODES))
        weights = dict.fromkeys(NODES, 100)
        self.assertEqual(choose(key, *NODES, 6, weights=weights, tried=(6,)), choose(key, *NODES))

    def test_shares_are_even(self) -> None:
        for count in counts(*NODES).values():
            self.assertAlmostEqual(count, 4000, delta=4 * 57)  # four standard deviations

    def test_shares_go_by_weight(self) -> None:
        found = counts(1, 2, 3, weights={1: 3})
        self.assertAlmostEqual(found[1], 12_000, delta=4 * 69)
        self.assertAlmostEqual(found[2], 4000, delta=4 * 57)

    def test_a_leavers_keys_go_to_all_the_others(self) -> None:
        chosen, view = RendezvousPolicy(), view_of(*NODES)
        heirs = Counter(chosen.choose(key, view_of(2, 3, 4, 5)) for key in range(4000) if chosen.choose(key, view) == 1)
        self.assertEqual(set(heirs), {2, 3, 4, 5})
        self.assertLess(max(heirs.values()), 1.5 * min(heirs.values()))
