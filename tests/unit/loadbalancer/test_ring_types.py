import unittest

from loadbalancer.ring_types import MAX_WEIGHT, RingMember, RingSpec, checked
from loadbalancer.snapshot import Member


class RingSpecTest(unittest.TestCase):
    def test_labels_name_what_kept_slots_belong_to(self) -> None:
        self.assertEqual(RingSpec("spec", "quadratic").label, "spec/quadratic")
        self.assertEqual(RingSpec("mmh3", "quadratic").label, "mmh3")

    def test_unknown_names_are_refused(self) -> None:
        for names in (("md5",), ("a b:c",), ("module:",), ("spec", "cubic")):
            with self.subTest(names), self.assertRaisesRegex(ValueError, "unknown ring"):
                RingSpec(*names)

    def test_a_module_is_not_imported_yet(self) -> None:
        self.assertEqual(RingSpec("no.such.module:function").hash, "no.such.module:function")


class CheckedTest(unittest.TestCase):
    def test_sorted_by_node_id(self) -> None:
        members = checked([RingMember(9, 1), RingMember(2, 2)])
        self.assertEqual([member.node_id for member in members], [2, 9])

    def test_a_snapshots_member_fits(self) -> None:
        member = Member(4, 2, "S4", "127.0.0.1", 5000, weight=3, slots=(1, 2))
        self.assertEqual(checked([member]), (RingMember(4, 2, 3, (1, 2)),))

    def test_doubles_are_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "node id 7 comes 2 times"):
            checked([RingMember(7, 1), RingMember(7, 2)])
        with self.assertRaisesRegex(ValueError, "index 1 comes 2 times"):
            checked([RingMember(7, 1), RingMember(8, 1)])

    def test_weights_have_limits(self) -> None:
        for weight in (0, -1, MAX_WEIGHT + 1):
            with self.subTest(weight), self.assertRaisesRegex(ValueError, "weight"):
                checked([RingMember(7, 1, weight)])
        self.assertEqual(len(checked([RingMember(7, 1, MAX_WEIGHT)])), 1)
