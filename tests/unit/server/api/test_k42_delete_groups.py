"""DeleteGroups, in every version."""

import unittest

from support.group_world import GroupWorld

from server.api import k42_delete_groups as api
from wire.errors import ErrorCode


class DeleteGroupsTest(unittest.TestCase):
    def test_every_version_waits_for_all(self) -> None:
        for version in range(3):
            world = GroupWorld(partitions=50)
            world.commit(1, group="x")
            world.commit(1, group="y")
            world.stable("a", group="busy")
            world.is_durable = False
            answers = world.wire(api, version, {"groups_names": ["x", "busy", "none", "y"]})
            world.settle()
            self.assertEqual(answers, [])
            world.settle()
            codes = [(one.group_id, int(one.error_code)) for one in answers[0].results]
            no = [("busy", ErrorCode.NON_EMPTY_GROUP), ("none", ErrorCode.GROUP_ID_NOT_FOUND)]
            self.assertEqual(codes, [("x", 0), *no, ("y", 0)])

    def test_none(self) -> None:
        (answer,) = GroupWorld().wire(api, 2, {"groups_names": []})
        self.assertEqual(answer.results, ())
