import random
import unittest
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from unittest import mock

import mmh3
from hypothesis import given, settings
from hypothesis import strategies as st
from uhashring import HashRing

from loadbalancer import ring_hashed
from loadbalancer.hashes import byte_hash
from loadbalancer.ring_hashed import MAX_MEMBERS, SLOT_BITS, SLOTS, VIRTUAL_NODES, HashedRing
from loadbalancer.ring_types import RingFull, RingMember, RingSpec

MMH3 = RingSpec()
FEW = 12
KEYS = range(100_000, 100_400)
NODE_IDS = st.sets(st.integers(0, 60), min_size=1, max_size=8)
WEIGHTS = st.dictionaries(st.integers(0, 60), st.integers(1, 3), min_size=1, max_size=8)
HASHES = st.sampled_from(["mmh3", "zlib:crc32", "zlib:adler32"])
"""Adler-32 is a poor hash of short texts: most virtual nodes meet others, so shadowing is tried in earnest."""

laws = settings(deadline=None, max_examples=60)


def ring_of(weights: dict[int, int], hash_name: str = "mmh3") -> HashedRing:
    return HashedRing(RingSpec(hash_name), [RingMember(n, n + 1, weight) for n, weight in weights.items()])


def owners(ring: HashedRing) -> dict[int, int]:
    return {key: ring.owner(key) for key in KEYS}


@contextmanager
def few_virtual_nodes() -> Iterator[None]:
    """Twelve for each weight unit: small enough to be checked by hand, and to leave gaps of thousands of slots."""
    ring_hashed.forget_points()
    with mock.patch.object(ring_hashed, "VIRTUAL_NODES", FEW):
        try:
            yield
        finally:
            ring_hashed.forget_points()


class SlowTwin:
    """The rule in its plainest form: all points in order of (hash, node id), one for each slot."""

    def __init__(self, weights: dict[int, int], hash_name: str) -> None:
        self.hash = byte_hash(hash_name)
        points = sorted(
            (self.hash(f"node-{n}#{j}".encode()), n) for n, weight in weights.items() for j in range(weight * FEW)
        )
        shown: dict[int, int] = {}
        for point, node_id in points:
            shown.setdefault(point >> (32 - SLOT_BITS), node_id)
        self.shown = list(shown.items())
        self.nodes = sorted(weights)

    def successors(self, key: int) -> list[int]:
        slot = self.hash(str(key).encode()) >> (32 - SLOT_BITS)
        at = bisect_left(self.shown, (slot, -1))
        turn = [node_id for _, node_id in self.shown[at:] + self.shown[:at]]
        return list(dict.fromkeys(turn + self.nodes))

    def shares(self) -> dict[int, int]:
        counts = dict.fromkeys(self.nodes, 0)
        for (before, _), (slot, node_id) in pairwise([(self.shown[-1][0] - SLOTS, -1), *self.shown]):
            counts[node_id] += slot - before
        return counts


class SecondOpinionTest(unittest.TestCase):
    @given(WEIGHTS, HASHES)
    @laws
    def test_the_slow_twin_agrees(self, weights: dict[int, int], hash_name: str) -> None:
        with few_virtual_nodes():
            ring, twin = ring_of(weights, hash_name), SlowTwin(weights, hash_name)
            for key in KEYS[:40]:
                self.assertEqual(list(ring.successors(key)), twin.successors(key))
                self.assertEqual(ring.owner(key), twin.successors(key)[0])
            self.assertEqual({n: share * SLOTS for n, share in ring.shares().items()}, twin.shares())

    def test_uhashring_agrees(self) -> None:
        """The same points, without slots: its keys are rounded down to the slot's beginning.

        Owners only: further on it stops at points that are shadowed here.
        """

        def place(text: str) -> int:
            if text.startswith("node-"):
                name, _, j = text.rpartition("-")
                return mmh3.hash(f"{name}#{j}", signed=False)
            return (mmh3.hash(text, signed=False) >> (32 - SLOT_BITS) << (32 - SLOT_BITS)) - 1

        weights = {3: 1, 11: 2, 12: 1, 40: 1}
        theirs = HashRing(
            {f"node-{n}": {"weight": weight} for n, weight in weights.items()},
            vnodes=VIRTUAL_NODES,
            hash_fn=place,
        )
        ours = ring_of(weights)
        for key in range(100_000, 103_000):
            self.assertEqual(f"node-{ours.owner(key)}", theirs.get_node(str(key)))


class LawsTest(unittest.TestCase):
    @given(WEIGHTS, st.integers(61, 99), HASHES)
    @laws
    def test_adding_moves_keys_only_to_the_newcomer(self, weights: dict[int, int], new: int, hash_name: str) -> None:
        with few_virtual_nodes():
            ring = ring_of(weights, hash_name)
            before, after = owners(ring), owners(ring.with_member(RingMember(new, new + 1)))
        self.assertLessEqual({after[key] for key in KEYS if after[key] != before[key]}, {new})

    @given(WEIGHTS, HASHES, st.data())
    @laws
    def test_removing_moves_only_the_leavers_keys(
        self, weights: dict[int, int], hash_name: str, data: st.DataObject
    ) -> None:
        weights = weights | {77: 1}
        leaver = data.draw(st.sampled_from(sorted(weights)))
        with few_virtual_nodes():
            ring = ring_of(weights, hash_name)
            before, after = owners(ring), owners(ring.without(leaver)) if len(weights) > 1 else {}
        self.assertLessEqual({before[key] for key in after if after[key] != before[key]}, {leaver})

    @given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), max_size=15), HASHES)
    @laws
    def test_the_way_there_leaves_no_trace(self, changes: list[tuple[int, int]], hash_name: str) -> None:
        """Whatever weights were set, raised, lowered or taken away (0) before: only the members count."""
        weights: dict[int, int] = {}
        with few_virtual_nodes():
            ring = ring_of({}, hash_name)
            for node_id, weight in changes:
                weights = {n: w for n, w in (weights | {node_id: weight}).items() if w}
                ring = ring.updated([RingMember(n, n + 1, w) for n, w in weights.items()])
            fresh = ring_of(weights, hash_name)
            self.assertEqual(ring, fresh)
            self.assertEqual(ring.shares(), fresh.shares())
            self.assertEqual(owners(ring) if weights else {}, owners(fresh) if weights else {})

    @given(NODE_IDS, HASHES)
    @laws
    def test_more_weight_moves_keys_only_to_the_heavier(self, node_ids: set[int], hash_name: str) -> None:
        weights = dict.fromkeys(node_ids, 1)
        heavier = min(node_ids)
        with few_virtual_nodes():
            before = owners(ring_of(weights, hash_name))
            after = owners(ring_of(weights | {heavier: 3}, hash_name))
        self.assertLessEqual({after[key] for key in KEYS if after[key] != before[key]}, {heavier})

    @given(NODE_IDS, st.integers(61, 99))
    @settings(deadline=None, max_examples=10)
    def test_the_laws_hold_for_every_slot_at_full_size(self, node_ids: set[int], new: int) -> None:
        """By shares, which count every slot: a newcomer takes from each and gives to none."""
        ring = ring_of(dict.fromkeys(node_ids, 1))
        grown = ring.with_member(RingMember(new, new + 1))
        shares = grown.shares()
        self.assertTrue(all(shares[n] <= share for n, share in ring.shares().items()))
        self.assertEqual(grown.without(new).shares(), ring.shares())


class SpreadTest(unittest.TestCase):
    def test_shares_are_even(self) -> None:
        """Ten sets here, a hundred in analysis/ring_shares.py."""
        chance = random.Random(3)
        for _ in range(10):
            node_ids = chance.sample(range(1, 100_000), 16)
            for count in (3, 8, 16):
                shares = ring_of(dict.fromkeys(node_ids[:count], 1)).shares().values()
                self.assertLessEqual(float(max(shares) * count), 1.05)

    def test_shares_follow_weights(self) -> None:
        shares = ring_of({1: 1, 2: 2, 3: 7}).shares()
        for node_id, wanted in ((1, 0.1), (2, 0.2), (3, 0.7)):
            self.assertAlmostEqual(float(shares[node_id]) / wanted, 1, delta=0.05)

    def test_sampled_keys_agree_with_the_shares(self) -> None:
        ring = ring_of({1: 1, 2: 1, 3: 1})
        keys = range(100_000, 1_000_000, 45)
        for node_id, share in ring.shares().items():
            found = sum(ring.owner(key) == node_id for key in keys) / len(keys)
            self.assertAlmostEqual(found, float(share), delta=0.015)


class KnownAnswersTest(unittest.TestCase):
    """Frozen: a change of these moves every user's keys, and belongs into the changelog."""

    def test_owners(self) -> None:
        ring = ring_of({1: 1, 2: 1, 3: 1})
        self.assertEqual([ring.owner(key) for key in range(100_000, 100_012)], FROZEN_OWNERS)
        self.assertEqual(ring.slot(132574), mmh3.hash("132574", signed=False) >> 14)


FROZEN_OWNERS = [2, 2, 3, 2, 1, 1, 1, 3, 1, 2, 3, 2]


class EdgeTest(unittest.TestCase):
    def test_the_highest_point_counts(self) -> None:
        """A hash of all ones is also what an empty slot is compared with."""
        with mock.patch.object(ring_hashed, "byte_hash", return_value=lambda _: 0xFFFF_FFFF):
            ring_hashed.forget_points()
            ring = ring_of({5: 1, 2: 1, 9: 1})
            self.assertEqual((ring.owner(1), list(ring.successors(1))), (2, [2, 5, 9]))
            self.assertEqual(ring.shares(), {2: 1, 5: 0, 9: 0})
            self.assertEqual(ring.with_member(RingMember(1, 77)).owner(1), 1)

    def test_slots_of_a_course_ring_are_dropped(self) -> None:
        ring = HashedRing(MMH3, [RingMember(1, 1, slots=(1, 2, 3))])
        self.assertEqual(ring.members, (RingMember(1, 1),))

    def test_nothing_changed_is_the_same_ring(self) -> None:
        ring = ring_of({1: 1, 2: 2})
        self.assertIs(ring.updated(reversed(ring.members)), ring)

    def test_more_members_than_the_table_can_name(self) -> None:
        with few_virtual_nodes():
            ring = ring_of(dict.fromkeys(range(MAX_MEMBERS), 1))
            self.assertEqual(len(list(ring.successors(1))), MAX_MEMBERS)
            with self.assertRaises(RingFull):
                ring.with_member(RingMember(300, 301))
