"""LeaveGroup, in every version."""

import unittest
from typing import Any

from support.group_world import GroupWorld

from server.api import k13_leave_group as api
from wire.errors import ErrorCode

UNKNOWN = ErrorCode.UNKNOWN_MEMBER_ID


def leave(world: GroupWorld, version: int, *member_ids: str, group: str = "g") -> tuple[int, list[int]]:
    members = [{"member_id": one, "group_instance_id": None, "reason": None} for one in member_ids]
    answer: Any
    (answer,) = world.wire(api, version, {"group_id": group, "member_id": member_ids[0], "members": members})
    return int(answer.error_code), [int(one.error_code) for one in getattr(answer, "members", ())]


class LeaveGroupTest(unittest.TestCase):
    def test_one(self) -> None:
        for version in range(6):
            world = GroupWorld()
            (member_id,) = world.stable("a")
            self.assertEqual(leave(world, version, member_id), (0, [0] if version >= 3 else []))
            self.assertEqual(leave(world, version, member_id), (0, [UNKNOWN]) if version >= 3 else (UNKNOWN, []))

    def test_several_and_strangers(self) -> None:
        for version in range(3, 6):
            world = GroupWorld()
            a, b = world.stable("a", "b")
            self.assertEqual(leave(world, version, a, "stranger", b), (0, [0, UNKNOWN, 0]))

    def test_a_group_that_is_not_known_knows_none_of_them(self) -> None:
        self.assertEqual(leave(GroupWorld(), 3, "a", "b", group="none"), (0, [UNKNOWN, UNKNOWN]))

    def test_of_another_coordinator(self) -> None:
        world = GroupWorld()
        world.is_confirmed = False
        self.assertEqual(leave(world, 3, "a"), (ErrorCode.NOT_COORDINATOR, []))
