"""What both kinds of ring have in common; their own laws are in test_ring_course.py and test_ring_hashed.py."""

import unittest

from loadbalancer.ring import Ring, RingMember, RingSpec, build_ring

SPECS = [RingSpec(), RingSpec("zlib:crc32"), RingSpec("spec"), RingSpec("alt", "quadratic"), RingSpec("linear")]
KEYS = range(100_000, 100_600)


def ring_of(spec: RingSpec, *node_ids: int) -> Ring:
    return build_ring(spec, [RingMember(node_id, node_id) for node_id in node_ids])


class RingTest(unittest.TestCase):
    def test_an_empty_ring(self) -> None:
        for spec in SPECS:
            ring = ring_of(spec)
            with self.subTest(spec.label), self.assertRaisesRegex(LookupError, "empty"):
                ring.owner(1)
            self.assertEqual((list(ring.successors(1)), ring.shares(), ring.members), ([], {}, ()))

    def test_one_member_owns_everything(self) -> None:
        for spec in SPECS:
            ring = ring_of(spec, 7)
            self.assertEqual({ring.owner(key) for key in KEYS}, {7}, spec.label)
            self.assertEqual(ring.shares(), {7: 1})

    def test_successors_are_all_members_once_from_the_owner_on(self) -> None:
        for spec in SPECS:
            ring = ring_of(spec, 3, 1, 7, 12)
            for key in KEYS:
                found = list(ring.successors(key))
                self.assertEqual(found[0], ring.owner(key), spec.label)
                self.assertEqual(sorted(found), [1, 3, 7, 12])

    def test_shares_add_up_to_one(self) -> None:
        for spec in SPECS:
            shares = ring_of(spec, 3, 1, 7).shares()
            self.assertEqual((list(shares), sum(shares.values())), ([1, 3, 7], 1), spec.label)

    def test_a_key_has_a_slot(self) -> None:
        for spec in SPECS:
            ring = ring_of(spec, 1)
            self.assertTrue(all(0 <= ring.slot(key) < ring.slots for key in (0, 1, 10**18 - 1)), spec.label)

    def test_rings_are_values(self) -> None:
        for spec in SPECS:
            ring = ring_of(spec, 1, 2)
            before = [ring.owner(key) for key in KEYS]
            ring.with_member(RingMember(3, 3))
            ring.without(1)
            self.assertEqual([ring.owner(key) for key in KEYS], before, spec.label)
            self.assertEqual((ring, hash(ring)), (ring_of(spec, 2, 1), hash(ring_of(spec, 2, 1))))
            self.assertNotEqual(ring, ring_of(spec, 1, 3))
            self.assertNotEqual(ring, "ring")

    def test_a_member_comes_once_and_goes_once(self) -> None:
        for spec in SPECS:
            ring = ring_of(spec, 1, 2)
            with self.subTest(spec.label), self.assertRaises(ValueError):
                ring.with_member(RingMember(2, 9))
            with self.subTest(spec.label), self.assertRaises(KeyError):
                ring.without(3)

    def test_described_as_the_admin_api_shows_it(self) -> None:
        self.assertEqual(ring_of(SPECS[2]).describe(), {"hash": "spec", "slots": 512, "virtual_nodes": 9})
        self.assertEqual(ring_of(SPECS[0]).describe(), {"hash": "mmh3", "slots": 1 << 18, "virtual_nodes": 8192})
        self.assertIn("spec/linear", repr(ring_of(SPECS[2], 1)))

    def test_a_missing_module_is_told_when_the_ring_is_built(self) -> None:
        with self.assertRaisesRegex(ValueError, "no.such.module"):
            ring_of(RingSpec("no.such.module:function"), 1)
