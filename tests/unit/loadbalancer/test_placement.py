import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from loadbalancer.placement import place

NODES = st.frozensets(st.integers(1, 12), min_size=1, max_size=5)


class TestPlacement(unittest.TestCase):
    def test_known_answers(self) -> None:
        """What was stored on a disk once must not be found elsewhere later."""
        self.assertEqual([place("orders", number, {1, 2, 3}, 1)[0] for number in range(4)], KNOWN)

    @settings(max_examples=20, deadline=None)
    @given(st.text("ab.-", min_size=1, max_size=5), st.integers(0, 99), NODES, st.integers(1, 5))
    def test_distinct_servers_as_many_as_there_are(
        self, topic: str, number: int, nodes: frozenset[int], n: int
    ) -> None:
        found = place(topic, number, nodes, n)
        self.assertEqual(len(found), min(n, len(nodes)))
        self.assertEqual(len(set(found)), len(found))
        self.assertLessEqual(set(found), nodes)

    def test_a_newcomer_only_takes(self) -> None:
        for number in range(200):
            before, after = (place("t", number, nodes, 1) for nodes in ({1, 2, 3}, {1, 2, 3, 4}))
            self.assertIn(after, (before, (4,)))


KNOWN = [2, 1, 3, 3]

if __name__ == "__main__":
    unittest.main()
