import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.snapshot import NEVER, Epoch, Member, Snapshot

members = st.builds(
    Member, node_id=st.integers(1, 99), index=st.integers(1, 99), name=st.text(max_size=9), host=st.text(max_size=9),
    port=st.integers(0, 65535), weight=st.integers(1, 100), routable=st.booleans(), draining=st.booleans(),
    queue=st.none() | st.tuples(st.text(max_size=9), st.integers(1, 65535)), queue_slot=st.integers(-1, 63),
)  # fmt: skip


class SnapshotTest(unittest.TestCase):
    @given(st.integers(0, 9), st.integers(0, 9), st.lists(members, max_size=4))
    def test_json_round_trip(self, generation: int, version: int, some: list[Member]) -> None:
        snapshot = Snapshot(Epoch(generation, version), tuple(some))
        self.assertEqual(Snapshot.from_json(json.loads(json.dumps(snapshot.to_json()))), snapshot)

    def test_fields_of_a_newer_version_are_skipped(self) -> None:
        data = Snapshot(Epoch(1, 1), (Member(1, 1, "S1", "::1", 80),)).to_json()
        data["members"][0]["rack"] = "r1"
        data["type"] = "snapshot"
        self.assertEqual(Snapshot.from_json(data).members[0].name, "S1")

    def test_a_new_generation_is_newer_than_any_version_of_the_old(self) -> None:
        self.assertLess(Epoch(1, 999), Epoch(2, 1))
        self.assertLess(NEVER, Epoch(1, 0))

    def test_what_is_no_snapshot_is_an_error(self) -> None:
        for data in ({}, {"epoch": [1], "members": []}, {"epoch": [1, 1], "members": [{"name": "S1"}]}):
            with self.subTest(data), self.assertRaises((KeyError, TypeError, ValueError)):
                Snapshot.from_json(data)
