"""OffsetCommit, in every version, byte for byte through the wire."""

import unittest
from typing import Any
from uuid import UUID

from support.group_world import FakeTopics, GroupWorld

from server.api import k08_offset_commit as api
from wire.errors import ErrorCode

VERSIONS = range(2, 11)


def request(*topics: tuple[str, tuple[int, ...]], generation: int = -1, **more: Any) -> dict[str, Any]:
    return {
        "group_id": "g",
        "generation_id_or_member_epoch": generation,
        "member_id": "",
        "group_instance_id": None,
        "retention_time": -1,
        "topics": [
            {
                "name": name,
                "topic_id": FakeTopics.IDS.get(name, UUID(int=9)),
                "partitions": [
                    {
                        "partition_index": at,
                        "committed_offset": at + 10,
                        "committed_leader_epoch": 3,
                        "committed_metadata": None,
                    }
                    for at in partitions
                ],
            }
            for name, partitions in topics
        ],
        **more,
    }


def codes(answer: Any) -> list[list[tuple[int, int]]]:
    return [[(one.partition_index, int(one.error_code)) for one in topic.partitions] for topic in answer.topics]


class OffsetCommitTest(unittest.TestCase):
    def test_every_version(self) -> None:
        for version in VERSIONS:
            world = GroupWorld()
            (answer,) = world.wire(api, version, request(("t", (0, 1)), ("u", (2,))))
            self.assertEqual(codes(answer), [[(0, 0), (1, 0)], [(2, 0)]])
            found = world.committed(topic="u", partition=2)
            self.assertEqual((found.offset, found.leader_epoch, found.metadata), (12, 3 if version >= 6 else -1, ""))

    def test_what_does_not_exist_is_refused_and_the_rest_committed(self) -> None:
        for version in VERSIONS:
            world = GroupWorld()
            (answer,) = world.wire(api, version, request(("gone", (0,)), ("t", (4, 1))))
            unknown = ErrorCode.UNKNOWN_TOPIC_ID if version == 10 else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            self.assertEqual(codes(answer), [[(0, unknown)], [(4, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), (1, 0)]])
            self.assertEqual(world.committed(partition=1).offset, 11)

    def test_a_group_that_nobody_knows_by_the_words_of_the_version(self) -> None:
        for version in VERSIONS:
            (answer,) = GroupWorld().wire(api, version, request(("t", (0,)), generation=5))
            expected = ErrorCode.GROUP_ID_NOT_FOUND if version >= 9 else ErrorCode.ILLEGAL_GENERATION
            self.assertEqual(codes(answer), [[(0, expected)]])

    def test_a_retention_time_that_old_clients_ask_for(self) -> None:
        world = GroupWorld()
        world.wire(api, 4, request(("t", (0,)), retention_time=1_000))
        self.assertEqual(world.committed().expire_ms, world.now.wall_ms + 1_000)

    def test_it_waits_for_the_log(self) -> None:
        world = GroupWorld()
        world.is_durable = False
        answers = world.wire(api, 8, request(("t", (0,))))
        self.assertEqual(answers, [])
        world.settle()
        self.assertEqual(codes(answers[0]), [[(0, 0)]])
