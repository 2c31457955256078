import unittest
from typing import Any

from loadbalancer.cli.ring_view import order_of
from loadbalancer.layout import Layout
from loadbalancer.ring import RingSpec
from loadbalancer.snapshot import Member


def cluster(*node_ids: int) -> dict[str, Any]:
    """What /admin/cluster says of a course ring with these members, after node 1 of four has left."""
    layout = Layout(RingSpec("spec"))
    layout.settle(Member(n, n, f"S{n}", "127.0.0.1", 80) for n in (1, 2, 3))
    layout.settle(Member(n, n, f"S{n}", "127.0.0.1", 80) for n in node_ids)
    return {
        "ring": layout.describe(),
        "replicas": [{"node_id": n, "name": f"S{n}", "state": "healthy"} for n in node_ids],
    }


class RingViewTest(unittest.TestCase):
    def test_the_known_answers(self) -> None:
        answer = order_of(132574, cluster(1, 2, 3))
        self.assertEqual((answer["slot"], answer["slots"], answer["order"][0]["name"]), (81, 512, "S3"))
        self.assertEqual(order_of(982345, cluster(1, 2, 3))["order"][0]["name"], "S1")

    def test_everybody_once(self) -> None:
        order = order_of(5, cluster(2, 3, 4))["order"]
        self.assertEqual(sorted(replica["name"] for replica in order), ["S2", "S3", "S4"])

    def test_an_empty_ring(self) -> None:
        with self.assertRaises(LookupError):
            order_of(5, cluster())
