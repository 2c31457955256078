import unittest

from hypothesis import given
from hypothesis import strategies as st
from support.views import KEYS, LOADS, RINGS, SUBSETS, WEIGHTS, view_of

from loadbalancer.ring import Ring, RingSpec, build_ring
from loadbalancer.selection import POLICIES, View, policy

HELD = {name: policy(name) for name in POLICIES}
"""As a worker holds them: one of each through all views."""


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
        chosen = HELD[name].choose(key, View(ring, eligible, in_flight, weights), tried)
        self.assertIn(chosen, eligible - tried or {None})

    @given(st.sampled_from(sorted(POLICIES)), KEYS, SUBSETS, LOADS)
    def test_asking_again_tries_each_once(
        self, name: str, key: int, eligible: frozenset[int], in_flight: dict[int, int]
    ) -> None:
        view, tried = View(RINGS[0], eligible, in_flight, {}), list[int]()
        while (chosen := HELD[name].choose(key, view, tried)) is not None:
            tried.append(chosen)
        self.assertEqual(sorted(tried), sorted(eligible))

    def test_an_empty_ring_has_nobody(self) -> None:
        for name in POLICIES:
            self.assertIsNone(HELD[name].choose(1, view_of(ring=build_ring(RingSpec(), []))))

    def test_an_unknown_name(self) -> None:
        with self.assertRaisesRegex(
            ValueError, "unknown policy 'best': ring, bounded, p2c, maglev, rendezvous or module"
        ):
            policy("best")
