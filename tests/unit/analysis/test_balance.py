import unittest
from collections import Counter
from typing import Any

from analysis.balance import OWN, Setup, expected_shares, figure


def cluster_of(*weights: int, ring_hash: str = "mmh3") -> dict[str, Any]:
    """What GET /admin/cluster says of a fleet, as far as it matters; listed out of order on purpose."""
    nodes = [{"node_id": i, "index": i, "weight": weight, "slots": []} for i, weight in enumerate(weights, 1)]
    replicas = [{"name": f"server{node['node_id']}", **node} for node in reversed(nodes)]
    return {"replicas": replicas, "ring": {"hash": ring_hash, "probe": "linear", "members": nodes}}


class ExpectedSharesTest(unittest.TestCase):
    def test_of_the_course_ring(self) -> None:
        self.assertEqual(
            expected_shares("ring", cluster_of(1, 1, 1, ring_hash="spec")), {1: 0.84375, 2: 0.046875, 3: 0.109375}
        )

    def test_of_tables_and_scores(self) -> None:
        self.assertEqual(expected_shares("rendezvous", cluster_of(2, 1, 1)), {1: 0.5, 2: 0.25, 3: 0.25})
        maglev = expected_shares("maglev", cluster_of(1, 1, 2))
        assert maglev is not None
        self.assertAlmostEqual(maglev[3], 0.5, places=3)
        self.assertAlmostEqual(sum(maglev.values()), 1)

    def test_none_for_those_that_look_at_the_load(self) -> None:
        self.assertIsNone(expected_shares("p2c", cluster_of(1, 1)))
        self.assertIsNone(expected_shares("bounded", cluster_of(1, 1)))


class FigureTest(unittest.TestCase):
    def test_counts_and_shares_stand_side_by_side_in_order_of_index(self) -> None:
        counts = Counter({"server3": 109, "server1": 844, "server2": 47})
        found = figure(Setup("spec"), cluster_of(1, 1, 1, ring_hash="spec"), counts, Counter({"status 503": 2}))
        self.assertEqual(list(found["counts"].items()), [("server1", 844), ("server2", 47), ("server3", 109)])
        self.assertEqual(list(found["shares"]), list(found["counts"]))
        self.assertEqual((found["n"], found["requests"], found["failed"]), (3, 1002, {"status 503": 2}))
        self.assertGreater(found["p_value"], 0.9)

    def test_without_shares_there_is_no_test(self) -> None:
        found = figure(Setup(policy="p2c"), cluster_of(1, 1), Counter({"server1": 5, "server2": 5}), Counter())
        self.assertEqual((found["shares"], found["p_value"], found["std"]), (None, None, 0))


class SetupTest(unittest.TestCase):
    def test_flags(self) -> None:
        self.assertEqual(Setup().flags[-1], "header:X-Key")
        self.assertEqual(
            Setup("spec", "maglev", OWN).flags, ("--ring-hash", "spec", "--policy", "maglev", "--route-by", "random")
        )
