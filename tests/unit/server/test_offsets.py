"""`server.offsets`: what is committed, what is on its way, what has outlived its time."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from server.offset_records import OffsetKey, OffsetValue
from server.offsets import Expiry, GroupOffsets

DAY = 86_400_000
CHANGES = st.lists(
    st.tuples(st.sampled_from("tu"), st.integers(0, 2), st.none() | st.integers(0, 9)),
    max_size=20,
)


def offsets_of(**commits: int) -> GroupOffsets:
    offsets = GroupOffsets()
    for topic, commit_ms in commits.items():
        offsets.apply(OffsetKey("g", topic, 0), OffsetValue(1, -1, "", commit_ms))
    return offsets


class ApplyTest(unittest.TestCase):
    @given(CHANGES)
    def test_the_last_of_each_key_holds(self, changes: list[tuple[str, int, int | None]]) -> None:
        offsets, model = GroupOffsets(), dict[tuple[str, int], int]()
        for topic, partition, offset in changes:
            value = None if offset is None else OffsetValue(offset, -1, "", 0)
            offsets.apply(OffsetKey("g", topic, partition), value)
            model.pop((topic, partition), None)
            if offset is not None:
                model[topic, partition] = offset
        found = {(t, p): value.offset for t, partitions in offsets.all() for p, value in partitions.items()}
        self.assertEqual(found, model)
        self.assertEqual(offsets.is_empty, not model)


class InFlightTest(unittest.TestCase):
    def test_a_commit_under_way_is_known_and_not_read(self) -> None:
        offsets = GroupOffsets()
        offsets.begin([("t", 0), ("t", 0)])
        offsets.end([("t", 0)])
        self.assertIsNone(offsets.get("t", 0))
        self.assertTrue(offsets.knows("t", 0))
        self.assertEqual(offsets.known(), [("t", 0)])
        offsets.end([("t", 0)])
        self.assertTrue(offsets.is_empty)


class ExpiryTest(unittest.TestCase):
    def test_each_from_its_commit(self) -> None:
        self.assertEqual(offsets_of(t=0, u=1).expired(Expiry(), DAY, DAY), [("t", 0)])

    def test_all_from_when_the_group_became_empty(self) -> None:
        offsets = offsets_of(t=0, u=5)
        self.assertEqual(offsets.expired(Expiry(since_ms=10), DAY + 9, DAY), [])
        self.assertEqual(offsets.expired(Expiry(since_ms=10), DAY + 10, DAY), [("t", 0), ("u", 0)])

    def test_not_what_members_read(self) -> None:
        offsets = offsets_of(t=0, u=0)
        self.assertEqual(offsets.expired(Expiry(kept_topics=frozenset("t")), DAY, DAY), [("u", 0)])
        self.assertEqual(offsets.expired(Expiry(keeps_all=True), DAY, DAY), [])

    def test_not_what_is_being_committed_again(self) -> None:
        offsets = offsets_of(t=0)
        offsets.begin([("t", 0)])
        self.assertEqual(offsets.expired(Expiry(), DAY, DAY), [])

    def test_at_a_time_of_its_own(self) -> None:
        offsets = GroupOffsets()
        offsets.apply(OffsetKey("g", "t", 0), OffsetValue(1, -1, "", 0, expire_ms=7))
        self.assertEqual(offsets.expired(Expiry(), 6, DAY), [])
        self.assertEqual(offsets.expired(Expiry(), 7, DAY), [("t", 0)])
