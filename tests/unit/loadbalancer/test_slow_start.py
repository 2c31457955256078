import itertools
import unittest
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.views import KEYS, MEMBERS, NODES, RINGS, SUBSETS, view_of

from loadbalancer.policy_view import Policy, View
from loadbalancer.ring import Ring, build_ring
from loadbalancer.selection import POLICIES, policy
from loadbalancer.slow_start import FIRST_SHARE, Newcomer, Newcomers, place_of, with_slow_start
from loadbalancer.snapshot import Member

DURATION_S = 10.0
BY_KEY = ("ring", "maglev", "rendezvous")
ALL = frozenset(NODES)


def member(node: int, name: str = "", routable: bool = True, draining: bool = False) -> Member:
    return Member(node, node, name or f"S{node}", "127.0.0.1", 1000 + node, routable=routable, draining=draining)


class Places(unittest.TestCase):
    def test_they_are_even_and_have_nothing_to_do_with_the_ring(self) -> None:
        keys = range(100_000)
        self.assertAlmostEqual(sum(map(place_of, keys)) / len(keys), 0.5, delta=0.01)
        owned = [key for key in keys if RINGS[0].owner(key) == 1]
        self.assertAlmostEqual(sum(place_of(key) < 0.1 for key in owned) / len(owned), 0.1, delta=0.01)

    def test_known_answers(self) -> None:
        """Workers of different versions share a newcomer's keys, so places never change."""
        self.assertEqual([round(place_of(key), 6) for key in (0, 1, 132574)], KNOWN)


class WhoIsNew(unittest.TestCase):
    def setUp(self) -> None:
        self.newcomers = Newcomers(DURATION_S)
        self.now = 100.0

    def see(self, *members: Member) -> None:
        self.newcomers.apply(members, RINGS[0], self.now)

    def shares(self, *eligible: int) -> dict[int, float]:
        return {each.node_id: each.share for each in self.newcomers.warming(eligible or NODES, self.now)}

    def test_nobody_at_the_worker_s_start(self) -> None:
        self.see(member(1), member(2, routable=False))
        self.assertEqual(self.shares(), {})
        self.see(member(1), member(2))  # it was being started, with the others
        self.assertEqual(self.shares(), {})

    def test_a_new_node(self) -> None:
        self.see(member(1))
        self.see(member(1), member(2))
        self.assertEqual(self.shares(), {2: FIRST_SHARE})
        self.now += 5
        self.assertAlmostEqual(self.shares()[2], 0.55)
        self.now += 5
        self.assertEqual(self.shares(), {})

    def test_a_replacement_from_when_it_serves(self) -> None:
        self.see(member(1), member(2))
        self.see(member(1), member(2, routable=False))
        self.see(member(1), member(2, "new", routable=False))
        self.now += 60
        self.see(member(1), member(2, "new"))
        self.assertEqual(self.shares(), {2: FIRST_SHARE})

    def test_a_replacement_in_one_snapshot(self) -> None:
        self.see(member(1), member(2))
        self.see(member(1), member(2, "new"))
        self.assertEqual(self.shares(), {2: FIRST_SHARE})

    def test_a_static_backend_that_was_dead(self) -> None:
        self.see(member(1), member(2))
        self.see(member(1), member(2, routable=False))
        self.see(member(1), member(2))
        self.assertEqual(self.shares(), {2: FIRST_SHARE})

    def test_not_one_that_was_drained(self) -> None:
        self.see(member(1), member(2))
        self.see(member(1), member(2, routable=False, draining=True))
        self.see(member(1), member(2))
        self.assertEqual(self.shares(), {})

    def test_not_in_a_snapshot_that_changes_something_else(self) -> None:
        self.see(member(1), member(2))
        self.see(member(1), replace(member(2), weight=3))
        self.assertEqual(self.shares(), {})

    def test_one_that_left_and_comes_back_under_its_id(self) -> None:
        self.see(member(1), member(2))
        self.see(member(1))
        self.see(member(1), member(2))
        self.assertEqual(self.shares(), {2: FIRST_SHARE})

    def test_who_dies_while_it_warms_up_begins_again(self) -> None:
        self.see(member(1))
        self.see(member(1), member(2))
        self.now += 9
        self.see(member(1), member(2, routable=False))
        self.assertEqual(self.shares(1), {})
        self.see(member(1), member(2, "again"))
        self.assertEqual(self.shares(), {2: FIRST_SHARE})

    def test_shares_do_not_shrink_with_a_clock_that_goes_back(self) -> None:
        self.see(member(1))
        self.see(member(1), member(2))
        self.now += 5
        before = self.shares()
        self.now -= 3
        self.assertEqual(self.shares(), before)

    def test_a_fleet_of_newcomers_takes_all_and_keeps_it(self) -> None:
        self.see()
        self.see(member(1), member(2))
        self.assertEqual(self.shares(1, 2), {})
        self.now += 5
        self.see(member(1), member(2), member(3))
        self.assertEqual(self.shares(1, 2, 3), {})
        self.now += 6
        self.assertEqual(self.shares(1, 2, 3), {})  # the third has what it had, though the others are warm now
        self.see(member(1), member(2), member(3), member(4))
        self.assertEqual(self.shares(1, 2, 3, 4), {4: FIRST_SHARE})

    def test_a_newcomer_left_alone_keeps_what_it_took(self) -> None:
        self.see(member(1))
        self.see(member(1), member(2))
        self.assertEqual(self.shares(2), {})
        self.assertEqual(self.shares(1, 2), {})

    def test_off(self) -> None:
        newcomers = Newcomers(0)
        newcomers.apply([member(1)], RINGS[0], 0)
        newcomers.apply([member(1), member(2)], RINGS[0], 0)
        self.assertEqual(newcomers.warming(ALL, 0), [])

    def test_smallest_share_first(self) -> None:
        self.see(member(1))
        self.see(member(1), member(2))
        self.now += 1
        self.see(member(1), member(2), member(3))
        found = self.newcomers.warming(ALL, self.now)
        self.assertEqual([each.node_id for each in found], [3, 2])


class Choosing(unittest.TestCase):
    def test_the_policy_itself_while_nobody_is_new(self) -> None:
        own = policy("ring")
        self.assertIs(with_slow_start(own, view_of(1, 2), ()), own)

    @given(st.sampled_from(sorted(POLICIES)), KEYS, SUBSETS, SUBSETS, SUBSETS, st.floats(0, 1))
    def test_only_who_may_and_never_nobody(
        self,
        name: str,
        key: int,
        eligible: frozenset[int],
        new: frozenset[int],
        tried: frozenset[int],
        share: float,
    ) -> None:
        view = view_of(*eligible)
        newcomers = [Newcomer(share, node, RINGS[0]) for node in sorted(new & eligible)]
        chosen = with_slow_start(policy(name), view, newcomers).choose(key, view, tuple(tried))
        left = eligible - tried
        self.assertEqual(chosen is None, not left)
        if chosen is not None:
            self.assertIn(chosen, left)
            if chosen in new and left - new:
                self.assertLess(place_of(key), share)

    def test_a_newcomer_s_part_of_its_keys(self) -> None:
        view, own = view_of(*NODES), policy("ring")
        for share in (0.1, 0.5, 0.9):
            slow = slowly(own, view, {3: share})
            keys = [key for key in range(20_000) if own.choose(key, view) == 3]
            taken = sum(slow.choose(key, view) == 3 for key in keys)
            self.assertAlmostEqual(taken / len(keys), share, delta=0.02)

    def test_each_key_moves_once_from_who_had_it(self) -> None:
        """By every policy that goes by the key: first it is where it was before, then where it belongs."""
        for name in BY_KEY:
            with self.subTest(name):
                before, after = View(build(1, 2, 4, 5), ALL - {3}, {}, {}), View(build(*NODES), ALL, {}, {})
                own = policy(name)
                for key in range(1000):
                    seen = [own.choose(key, before)]
                    for percent in range(10, 101, 9):
                        slow = slowly(own, after, {3: percent / 100}, before.ring)
                        seen.append(slow.choose(key, after))
                    seen.append(own.choose(key, after))
                    moves = [b for a, b in itertools.pairwise(seen) if a != b]
                    self.assertLessEqual(len(moves), 1, (key, seen))

    def test_two_newcomers_of_one_moment(self) -> None:
        """A key of one does not pass through the other, which is as cold."""
        view, own = view_of(*NODES), policy("ring")
        for key in range(2000):
            final = own.choose(key, view)
            for percent in (10, 40, 70):
                chosen = slowly(own, view, {2: percent / 100, 3: percent / 100}).choose(key, view)
                self.assertTrue(chosen == final or chosen not in (2, 3), (key, final, chosen))

    def test_two_newcomers_of_different_moments(self) -> None:
        view, own = view_of(*NODES), policy("ring")
        slow = slowly(own, view, {2: 0.2, 3: 0.7})
        counts = Counter(slow.choose(key, view) for key in range(20_000))
        full = Counter(own.choose(key, view) for key in range(20_000))
        self.assertAlmostEqual(counts[2] / full[2], 0.2, delta=0.03)
        self.assertGreater(counts[3] / full[3], 0.7 - 0.03)

    def test_who_left_meanwhile_is_not_chosen_by_the_ring_before(self) -> None:
        before, after = build(1, 2, 4), View(build(1, 3, 4), frozenset((1, 3, 4)), {}, {})
        slow = slowly(policy("ring"), after, {3: 0.1}, before)
        self.assertEqual({slow.choose(key, after) for key in range(2000)}, {1, 3, 4})


def slowly(own: Policy, view: View, shares: dict[int, float], before: Ring = RINGS[0]) -> Policy:
    newcomers = sorted(Newcomer(share, node, before) for node, share in shares.items())
    return with_slow_start(own, view, newcomers)


def build(*nodes: int) -> Ring:
    return build_ring(RINGS[0].spec, [each for each in MEMBERS if each.node_id in nodes])


KNOWN = [0.836495, 0.769688, 0.112879]
