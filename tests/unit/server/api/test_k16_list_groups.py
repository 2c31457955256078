"""ListGroups, in every version."""

import unittest
from collections.abc import Sequence

from support.group_world import GroupWorld

from server.api import k16_list_groups as api
from wire.errors import ErrorCode


def world_of_two() -> GroupWorld:
    world = GroupWorld(partitions=10)
    world.commit(1, group="simple")
    world.stable("a", group="busy")
    return world


def listed(world: GroupWorld, version: int, states: Sequence[str] = (), types: Sequence[str] = ()) -> list[str]:
    (answer,) = world.wire(api, version, {"states_filter": states, "types_filter": types})
    assert not answer.error_code
    return sorted(group.group_id for group in answer.groups)


class ListGroupsTest(unittest.TestCase):
    def test_every_version(self) -> None:
        world = world_of_two()
        for version in range(6):
            self.assertEqual(listed(world, version), ["busy", "simple"])

    def test_by_state_and_type_whatever_the_case(self) -> None:
        world = world_of_two()
        self.assertEqual(listed(world, 4, ["stable"]), ["busy"])
        self.assertEqual(listed(world, 5, ["Empty", "Dead"], ["Classic"]), ["simple"])
        self.assertEqual(listed(world, 5, [], ["consumer"]), [])

    def test_states_and_types(self) -> None:
        (answer,) = world_of_two().wire(api, 5, {"states_filter": ["Stable"], "types_filter": []})
        group = answer.groups[0]
        self.assertEqual((group.protocol_type, group.group_state, group.group_type), ("consumer", "Stable", "classic"))

    def test_a_part_is_not_told(self) -> None:
        world = world_of_two()
        world.groups.lead(3, world.now)
        (answer,) = world.wire(api, 0, {})
        self.assertEqual((int(answer.error_code), answer.groups), (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ()))
        world.is_confirmed = False
        (answer,) = world.wire(api, 0, {})
        self.assertEqual((int(answer.error_code), answer.groups), (ErrorCode.COORDINATOR_NOT_AVAILABLE, ()))
