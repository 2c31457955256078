import json
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from loadbalancer.layout import Layout
from loadbalancer.ring import RingSpec, build_ring
from loadbalancer.snapshot import Member

SPEC = RingSpec("spec")


def member(node_id: int) -> Member:
    return Member(node_id, node_id, f"S{node_id}", "127.0.0.1", 5000)


class LayoutTest(unittest.TestCase):
    def test_the_known_answers(self) -> None:
        settled = Layout(SPEC).settle(map(member, (1, 2, 3)))
        self.assertEqual(settled[0].slots, (26, 29, 34, 41, 50, 61, 74, 89, 106))
        self.assertEqual(settled[2].slots, (35, 38, 42, 49, 58, 69, 82, 97, 114))

    def test_a_hashed_ring_has_no_slots_to_keep(self) -> None:
        layout = Layout(RingSpec())
        self.assertEqual(layout.settle([member(1)])[0].slots, ())
        self.assertEqual(layout.dump(), {"label": "mmh3", "slots": {}})

    def test_slots_of_another_ring_are_worth_nothing(self) -> None:
        layout = Layout(SPEC)
        layout.settle([member(2), member(3)])
        other = Layout(RingSpec("alt"), layout.dump())
        self.assertEqual(other.settle([member(3)]), Layout(RingSpec("alt")).settle([member(3)]))

    @settings(max_examples=30)
    @given(st.lists(st.sets(st.integers(1, 20), max_size=12), min_size=1, max_size=6))
    def test_who_stays_keeps_its_slots_also_over_a_restart(self, layouts: list[set[int]]) -> None:
        layout, before = Layout(SPEC), dict[int, tuple[int, ...]]()
        for node_ids in layouts:
            layout = Layout(SPEC, json.loads(json.dumps(layout.dump())))
            settled = layout.settle(map(member, sorted(node_ids)))
            now = {m.node_id: m.slots for m in settled}
            for node_id in before.keys() & now.keys():
                self.assertEqual(before[node_id], now[node_id])
            self.assertEqual(build_ring(SPEC, settled), layout.ring)
            before = now
