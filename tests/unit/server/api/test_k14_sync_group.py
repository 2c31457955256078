"""SyncGroup, in every version."""

import unittest
from typing import Any

from support.group_world import GroupWorld

from server.api import k14_sync_group as api
from wire.errors import ErrorCode


def request(member_id: str, protocol: str | None, generation: int = 1) -> dict[str, Any]:
    return {
        "group_id": "g",
        "generation_id": generation,
        "member_id": member_id,
        "group_instance_id": None,
        "protocol_type": None if protocol is None else "consumer",
        "protocol_name": protocol,
        "assignments": [{"member_id": member_id, "assignment": b"0"}],
    }


class SyncGroupTest(unittest.TestCase):
    def test_every_version(self) -> None:
        for version in range(6):
            world = GroupWorld()
            member_id = world.join().outcome.member_id
            world.is_durable = False
            answers = world.wire(api, version, request(member_id, "range"))
            self.assertEqual(answers, [])
            world.settle()
            self.assertEqual((int(answers[0].error_code), answers[0].assignment), (0, b"0"))
            self.assertEqual(getattr(answers[0], "protocol_name", "range"), "range")

    def test_the_protocol_must_be_named_and_be_the_groups(self) -> None:
        world = GroupWorld()
        (member_id,) = world.stable("a")
        for protocol in (None, "sticky"):
            (answer,) = world.wire(api, 5, request(member_id, protocol))
            self.assertEqual(int(answer.error_code), ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
