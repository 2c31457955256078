"""Adding named partitions to a cluster that is lost at any moment, and that others use at the same time."""

import unittest
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from support.adding_contract import AddingContract
from support.fake_cluster import FakeCluster

from loadbalancer.partition_adding import TRIES, AlreadyThere, Unavailable, add_partition, sweep_names


class Crash(Exception):
    """Control ends here."""


def crash_at(step: int) -> Callable[[], None]:
    left = [step]

    def happen() -> None:
        left[0] -= 1
        if not left[0]:
            raise Crash

    return happen


class Contract(AddingContract, unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = FakeCluster()


class Adding(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = FakeCluster()

    def test_a_new_topic_has_exactly_this_partition(self) -> None:
        add_partition(self.cluster, "T1", "P1")
        self.assertEqual(self.cluster.shown("T1"), ("P1",))

    def test_more_of_them_in_order(self) -> None:
        for part in ("left", "P1", "P2"):
            add_partition(self.cluster, "T1", part)
        self.assertEqual(self.cluster.shown("T1"), ("left", "P1", "P2"))

    def test_one_that_is_there(self) -> None:
        add_partition(self.cluster, "T1", "P1")
        self.cluster.topics["T2"] = 3
        for topic, part in (("T1", "P1"), ("T2", "P3")):
            with self.assertRaises(AlreadyThere):
                add_partition(self.cluster, topic, part)
        self.assertEqual(self.cluster.topics, {"T1": 1, "T2": 3})

    def test_a_topic_that_was_deleted_leaves_no_names(self) -> None:
        for part in ("a", "b", "c"):
            add_partition(self.cluster, "T1", part)
        del self.cluster.topics["T1"]
        add_partition(self.cluster, "T1", "c")
        self.assertEqual(self.cluster.log, {("T1", 0): "c"})

    def test_names_of_nothing_are_swept_away(self) -> None:
        self.cluster.log = {("T1", 0): "a", ("T1", 1): "b", ("gone", 0): "c"}
        self.cluster.topics["T1"] = 1
        sweep_names(self.cluster)
        self.assertEqual(self.cluster.log, {("T1", 0): "a"})

    def test_a_server_that_has_not_heard_of_a_partition_is_asked_again_before_names_are_swept(self) -> None:
        add_partition(self.cluster, "T1", "a")
        self.cluster.log["gone", 0] = "b"
        self.cluster.late["T1"] = 0
        sweep_names(self.cluster)
        self.assertEqual(self.cluster.log, {("T1", 0): "a"})

    def test_somebody_else_makes_the_partition_in_the_same_moment(self) -> None:
        def intrude() -> None:
            self.cluster.topics["T1"] = 2
            self.cluster.happens = lambda: None

        self.cluster.happens = intrude
        add_partition(self.cluster, "T1", "mine")
        self.assertEqual(self.cluster.shown("T1"), ("P1", "P2", "mine"))

    def test_somebody_else_does_so_all_the_time(self) -> None:
        def intrude() -> None:
            self.cluster.topics["T1"] = self.cluster.topics.get("T1", 0) + 1

        self.cluster.happens = intrude
        with self.assertRaises(Unavailable):
            add_partition(self.cluster, "T1", "mine")
        self.assertNotIn("mine", self.cluster.shown("T1"))
        self.assertGreaterEqual(self.cluster.topics["T1"], TRIES)

    def test_a_server_that_has_not_heard_of_a_partition_takes_no_name_away(self) -> None:
        add_partition(self.cluster, "T1", "a")
        self.cluster.late["T1"] = 0
        add_partition(self.cluster, "T1", "b")
        self.assertEqual(self.cluster.shown("T1"), ("a", "b"))

    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from(("T1", "T2")), st.sampled_from(("P1", "P2", "P3", "q")),
                           st.lists(st.integers(1, 5), max_size=3)), max_size=8)
    )  # fmt: skip
    def test_a_crash_at_any_step_leaves_no_wrong_name_and_no_second_partition(
        self, calls: list[tuple[str, str, list[int]]]
    ) -> None:
        """Each call is tried again until it is through, as its caller does."""
        cluster, wanted = FakeCluster(), dict[str, list[str]]()
        for topic, part, crashes in calls:
            for step in crashes:
                cluster.happens = crash_at(step)
                try:
                    sweep_names(cluster)
                    add_partition(cluster, topic, part)
                except (Crash, AlreadyThere):
                    pass
                for name in {*wanted, topic}:
                    made = cluster.shown(name)
                    self.assertIn(list(made), (wanted.get(name, []), [*wanted.get(name, []), part]))
            cluster.happens = lambda: None
            try:
                add_partition(cluster, topic, part)
            except AlreadyThere:
                self.assertIn(part, cluster.shown(topic))
            parts = wanted.setdefault(topic, [])
            if part not in parts:
                parts.append(part)
        for topic, parts in wanted.items():
            self.assertEqual(cluster.shown(topic), tuple(parts))


if __name__ == "__main__":
    unittest.main()
