import random
import unittest
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.hashes import PRESETS, PROBES
from loadbalancer.ring_course import MAX_MEMBERS, SLOTS, VIRTUAL_NODES, CourseRing, free_slot
from loadbalancer.ring_types import RingFull, RingMember, RingSpec

SPECS = st.builds(RingSpec, st.sampled_from(sorted(PRESETS)), st.sampled_from(sorted(PROBES)))
CHANGES = st.lists(st.integers(1, 30), max_size=60)
"""Each number: the member of that index joins, or leaves if it is there."""


def ring_of(spec: RingSpec, count: int) -> CourseRing:
    return CourseRing(spec, [RingMember(100 + index, index) for index in range(1, count + 1)])


def slots_of(ring: CourseRing) -> dict[int, tuple[int, ...]]:
    return {member.index: member.slots for member in ring.members}


def changed(spec: RingSpec, changes: list[int]) -> CourseRing:
    ring = CourseRing(spec)
    for index in changes:
        here = any(member.index == index for member in ring.members)
        ring = ring.updated(
            [member for member in ring.members if member.index != index]
            if here
            else [*ring.members, RingMember(100 + index, index)]
        )
    return ring


class KnownAnswersTest(unittest.TestCase):
    """The course's own example, indexes 1 to 3."""

    def setUp(self) -> None:
        self.ring = ring_of(RingSpec("spec"), 3)

    def test_slots(self) -> None:
        slots = slots_of(self.ring)
        self.assertEqual(slots[1], (26, 29, 34, 41, 50, 61, 74, 89, 106))
        self.assertEqual(slots[2], (30, 32, 37, 44, 53, 64, 77, 92, 109))
        self.assertEqual(slots[3], (35, 38, 42, 49, 58, 69, 82, 97, 114))

    def test_requests(self) -> None:
        self.assertEqual((self.ring.slot(132574), self.ring.owner(132574)), (81, 103))
        self.assertEqual((self.ring.slot(982345), self.ring.owner(982345)), (372, 101))

    def test_the_three_meet_alike_with_both_probes(self) -> None:
        self.assertEqual(slots_of(ring_of(RingSpec("spec", "quadratic"), 3)), slots_of(self.ring))

    def test_shares_of_all_six_digit_ids(self) -> None:
        """Counted by slot of the id, each of 900 000 of them."""
        per_residue = Counter(key % SLOTS for key in range(100_000, 1_000_000))
        owned = Counter[int]()
        for residue, count in per_residue.items():
            owned[self.ring.owner(residue)] += count
        percent = [round(owned[node_id] / 9000, 2) for node_id in (101, 102, 103)]
        self.assertEqual(percent, [84.37, 4.69, 10.94])
        self.assertEqual([float(share) for share in self.ring.shares().values()], [0.84375, 0.046875, 0.109375])


class PlacesTest(unittest.TestCase):
    @given(SPECS, CHANGES)
    def test_nothing_else_moves_place(self, spec: RingSpec, changes: list[int]) -> None:
        for count in range(len(changes)):
            before, after = (slots_of(changed(spec, changes[:n])) for n in (count, count + 1))
            stayed = before.keys() & after.keys()
            self.assertEqual([before[index] for index in stayed], [after[index] for index in stayed])

    @given(SPECS, CHANGES)
    def test_every_member_has_nine_slots_of_its_own(self, spec: RingSpec, changes: list[int]) -> None:
        slots = slots_of(changed(spec, changes))
        taken = [slot for own in slots.values() for slot in own]
        self.assertEqual({len(own) for own in slots.values()} - {VIRTUAL_NODES}, set())
        self.assertEqual((len(set(taken)), set(taken) <= set(range(SLOTS))), (len(taken), True))

    @given(SPECS, CHANGES, st.randoms(use_true_random=False))
    def test_members_alone_rebuild_the_ring(self, spec: RingSpec, changes: list[int], chance: random.Random) -> None:
        ring = changed(spec, changes)
        shuffled = chance.sample(ring.members, len(ring.members))
        again = CourseRing(spec, shuffled)
        self.assertEqual(again, ring)
        self.assertEqual([again.owner(key) for key in range(SLOTS)] if shuffled else [], owners(ring))

    @given(SPECS, CHANGES, st.integers(0, 10**18))
    def test_the_owner_is_the_first_clockwise(self, spec: RingSpec, changes: list[int], key: int) -> None:
        """A slow twin: walk from the key's slot till somebody sits there."""
        ring = changed(spec, [*changes, 31])
        own = {slot: member.node_id for member in ring.members for slot in member.slots}
        start = PRESETS[spec.hash].request(key) % SLOTS
        walk = [own[slot % SLOTS] for slot in range(start, start + SLOTS) if slot % SLOTS in own]
        self.assertEqual(ring.owner(key), walk[0])
        self.assertEqual(list(ring.successors(key)), list(dict.fromkeys(walk)))

    def test_places_depend_on_who_was_there(self) -> None:
        """Why slots are state: without them, a rebuild would move the one who stayed."""
        spec = RingSpec("spec")
        stayed = ring_of(spec, 2).without(101)
        fresh = CourseRing(spec, [RingMember(102, 2)])
        self.assertNotEqual(slots_of(stayed), slots_of(fresh))

    def test_newcomers_are_placed_in_order_of_index(self) -> None:
        members = [RingMember(101, 3), RingMember(102, 2), RingMember(103, 1)]
        by_index = {member.index: member.slots for member in CourseRing(RingSpec("spec"), members).members}
        self.assertEqual(by_index, slots_of(ring_of(RingSpec("spec"), 3)))

    def test_weight_gives_no_more_slots(self) -> None:
        ring = CourseRing(RingSpec("spec"), [RingMember(1, 1, weight=5)])
        self.assertEqual(len(ring.members[0].slots), VIRTUAL_NODES)

    def test_a_new_weight_moves_nothing(self) -> None:
        ring = ring_of(RingSpec("spec"), 3).without(101)
        heavier = ring.updated([RingMember(102, 2, weight=9), RingMember(103, 3)])
        self.assertEqual(slots_of(heavier), slots_of(ring))


def owners(ring: CourseRing) -> list[int]:
    return [ring.owner(key) for key in range(SLOTS)] if ring.members else []


class FullTest(unittest.TestCase):
    def test_56_replicas_fit_whatever_the_preset(self) -> None:
        for preset in PRESETS:
            for probe in PROBES:
                self.assertEqual(len(ring_of(RingSpec(preset, probe), MAX_MEMBERS).members), 56)

    def test_one_more_is_an_error(self) -> None:
        ring = ring_of(RingSpec("spec"), MAX_MEMBERS)
        with self.assertRaisesRegex(RingFull, "holds 56 replicas"):
            ring.with_member(RingMember(200, 200))
        self.assertEqual(len(ring.without(101).with_member(RingMember(200, 200)).members), 56)

    def test_a_full_table_ends_the_search(self) -> None:
        for probe in PROBES.values():
            with self.assertRaisesRegex(RingFull, "all 512 slots"):
                free_slot(1000, probe, set(range(SLOTS)))
            self.assertEqual(free_slot(1000, probe, set(range(SLOTS)) - {3}), 3)


class DamagedSlotsTest(unittest.TestCase):
    def test_slots_that_no_ring_gave(self) -> None:
        member = ring_of(RingSpec("spec"), 1).members[0]
        good = member.slots
        for slots in (good[:8], (*good, 400), (*good[:8], 512), (*good[:8], -1), (*good[:8], good[0])):
            with self.subTest(slots), self.assertRaises(ValueError):
                CourseRing(RingSpec("spec"), [replace(member, slots=slots)])

    def test_slots_held_by_two(self) -> None:
        member = ring_of(RingSpec("spec"), 1).members[0]
        with self.assertRaisesRegex(ValueError, "taken twice"):
            CourseRing(RingSpec("spec"), [member, replace(member, node_id=7, index=7)])
