"""OffsetFetch, in every version: what is known, what never was (-1, no error), what isn't known yet (an error)."""

import unittest
from typing import Any

from support.group_world import FakeTopics, GroupWorld

from server.api import k09_offset_fetch as api
from wire.errors import ErrorCode

VERSIONS = range(1, 11)


def request(version: int, topics: tuple[str, ...] | None, group: str = "g") -> dict[str, Any]:
    asked = (
        None
        if topics is None
        else [{"name": name, "topic_id": FakeTopics.IDS.get(name), "partition_indexes": [0, 1]} for name in topics]
    )
    one = {"group_id": group, "topics": asked, "member_id": None, "member_epoch": -1}
    return {**one, "groups": [one], "require_stable": True}


def group_of(version: int, answer: Any) -> Any:
    return answer.groups[0] if version >= api.GROUPS_FROM else answer


def offsets(version: int, answer: Any) -> list[tuple[int, int, str | None, int]]:
    return [
        (
            one.committed_offset,
            getattr(one, "committed_leader_epoch", 3) if one.committed_offset >= 0 else -1,
            one.metadata,
            int(one.error_code),
        )
        for topic in group_of(version, answer).topics
        for one in topic.partitions
    ]


class OffsetFetchTest(unittest.TestCase):
    def test_every_version(self) -> None:
        world = GroupWorld()
        world.commit(5, metadata="me", leader_epoch=3)
        for version in VERSIONS:
            (answer,) = world.wire(api, version, request(version, ("t",)))
            self.assertEqual(offsets(version, answer), [(5, 3, "me", 0), (-1, -1, "", 0)])

    def test_a_group_that_never_was_is_no_error(self) -> None:
        for version in VERSIONS:
            (answer,) = GroupWorld().wire(api, version, request(version, ("t",), "never"))
            self.assertEqual(offsets(version, answer), [(-1, -1, "", 0)] * 2)
            self.assertFalse(getattr(group_of(version, answer), "error_code", 0))

    def test_named_twice_it_is_told_once(self) -> None:
        asked = request(8, None)
        (answer,) = GroupWorld().wire(api, 8, asked | {"groups": asked["groups"] * 3})
        self.assertEqual(len(answer.groups), 1)

    def test_all_topics(self) -> None:
        world = GroupWorld()
        world.commit(5, metadata="me", leader_epoch=3)
        world.commit(6, topic="deleted meanwhile", metadata="x", leader_epoch=3)
        for version in VERSIONS[1:]:
            (answer,) = world.wire(api, version, request(version, None))
            expected = [(5, 3, "me", 0), (6, 3, "x", 0)]
            self.assertEqual(offsets(version, answer), expected[: 1 if version == 10 else 2])

    def test_while_loading_nothing_looks_like_minus_one_without_an_error(self) -> None:
        world = GroupWorld()
        world.commit(5)
        world.groups = world.new_groups(1, load=False)
        code = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        for version in VERSIONS:
            (answer,) = world.wire(api, version, request(version, ("t",)))
            if version == 1:
                self.assertEqual(offsets(version, answer), [(-1, -1, "", code)] * 2)
            else:
                self.assertEqual((int(group_of(version, answer).error_code), offsets(version, answer)), (code, []))

    def test_an_id_that_nobody_knows(self) -> None:
        (answer,) = GroupWorld().wire(api, 10, request(10, ("gone",)))
        self.assertEqual(offsets(10, answer), [(-1, -1, "", ErrorCode.UNKNOWN_TOPIC_ID)] * 2)
