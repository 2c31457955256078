"""DescribeGroups, in every version."""

import unittest
from typing import Any

from support.group_world import GroupWorld

from server.api import k15_describe_groups as api
from wire.errors import ErrorCode

VERSIONS = range(7)


def describe(world: GroupWorld, version: int, group: str = "g") -> Any:
    (answer,) = world.wire(api, version, {"groups": [group], "include_authorized_operations": True})
    return answer.groups[0]


class DescribeGroupsTest(unittest.TestCase):
    def test_a_stable_group(self) -> None:
        world = GroupWorld()
        (member_id,) = world.stable("a")
        for version in VERSIONS:
            found = describe(world, version)
            said = (found.group_state, found.protocol_type, found.protocol_data, found.members[0].member_id)
            self.assertEqual(said, ("Stable", "consumer", "range", member_id))
            member = found.members[0]
            self.assertEqual((member.member_metadata, member.member_assignment), (b"range metadata", b"a"))
            self.assertEqual((member.client_id, member.client_host), ("c", "/10.0.0.1"))
            self.assertEqual(getattr(found, "authorized_operations", api.GROUP_OPERATIONS), api.GROUP_OPERATIONS)

    def test_what_is_not_settled_is_not_told(self) -> None:
        world = GroupWorld()
        world.join()
        found = describe(world, 5)
        self.assertEqual((found.group_state, found.protocol_data), ("CompletingRebalance", ""))
        self.assertEqual((found.members[0].member_metadata, found.members[0].member_assignment), (b"", b""))

    def test_named_twice_it_is_told_once(self) -> None:
        (answer,) = GroupWorld().wire(api, 5, {"groups": ["g", "h", "g"], "include_authorized_operations": False})
        self.assertEqual([group.group_id for group in answer.groups], ["g", "h"])

    def test_a_group_that_is_not_there(self) -> None:
        for version in VERSIONS:
            found = describe(GroupWorld(), version, "none")
            self.assertEqual(found.group_state, "Dead")
            self.assertEqual(int(found.error_code), ErrorCode.GROUP_ID_NOT_FOUND if version == 6 else 0)

    def test_while_it_can_t_be_told(self) -> None:
        world = GroupWorld()
        world.is_confirmed = False
        for version in VERSIONS:
            self.assertEqual(int(describe(world, version).error_code), ErrorCode.NOT_COORDINATOR)
