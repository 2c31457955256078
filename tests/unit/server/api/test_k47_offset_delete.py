"""OffsetDelete, version 0."""

import unittest
from typing import Any

from support.group_world import GroupWorld

from server.api import k47_offset_delete as api
from wire.errors import ErrorCode

UNKNOWN = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def delete(world: GroupWorld, *topics: tuple[str, tuple[int, ...]], group: str = "g") -> Any:
    asked = [{"name": name, "partitions": [{"partition_index": at} for at in ats]} for name, ats in topics]
    (answer,) = world.wire(api, 0, {"group_id": group, "topics": asked})
    codes = [[(one.partition_index, int(one.error_code)) for one in topic.partitions] for topic in answer.topics]
    return int(answer.error_code), codes


class OffsetDeleteTest(unittest.TestCase):
    def test_what_is_there_and_what_isn_t(self) -> None:
        world = GroupWorld()
        world.commit(1)
        found = delete(world, ("gone", (0,)), ("t", (0, 1, 7)))
        self.assertEqual(found, (0, [[(0, UNKNOWN)], [(0, 0), (1, 0), (7, UNKNOWN)]]))
        self.assertIsNone(world.committed())

    def test_with_an_error_for_the_whole_there_are_no_topics(self) -> None:
        self.assertEqual(delete(GroupWorld(), ("t", (0,)), group="none"), (ErrorCode.GROUP_ID_NOT_FOUND, []))
