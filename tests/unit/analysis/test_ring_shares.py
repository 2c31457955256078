import io
import json
import unittest
from unittest import mock

from rich.console import Console

from analysis import ring_shares
from loadbalancer.ring import RingMember, RingSpec, build_ring


class RingSharesTest(unittest.TestCase):
    def test_spread_of_the_course_example(self) -> None:
        three = ring_shares.course_spread("spec", "linear")[0]
        self.assertEqual((three.members, three.worst), (3, 0.84375 * 3))

    def test_growing_rings_are_those_built_at_once(self) -> None:
        rings = list(ring_shares.growing([5, 2, 9, 4], RingSpec("spec")))
        members = [RingMember(node_id, index) for index, node_id in enumerate([5, 2, 9, 4], 1)]
        self.assertEqual(rings, [build_ring(RingSpec("spec"), members[:count]) for count in (3, 4)])

    def test_figures_are_shown_and_fit_json(self) -> None:
        with mock.patch.multiple(ring_shares, LARGEST_FLEET=3, LOOKUPS=100):
            figures = ring_shares.measure(sets=1, seed=1)
        shown = io.StringIO()
        ring_shares.show(json.loads(json.dumps(figures)), Console(file=shown, width=100))
        self.assertIn("worst max/mean 1.0", shown.getvalue())
        self.assertEqual([row["members"] for row in figures["spread"]["mmh3"]], list(range(3, 17)))
