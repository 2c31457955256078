"""Heartbeat, in every version."""

import unittest

from support.group_world import GroupWorld

from server.api import k12_heartbeat as api
from wire.errors import ErrorCode


class HeartbeatTest(unittest.TestCase):
    def test_every_version(self) -> None:
        world = GroupWorld()
        (member_id,) = world.stable("a")
        for version in range(5):
            for generation, code in ((1, 0), (2, ErrorCode.ILLEGAL_GENERATION)):
                values = {"group_id": "g", "generation_id": generation, "member_id": member_id}
                (answer,) = world.wire(api, version, {**values, "group_instance_id": None})
                self.assertEqual(int(answer.error_code), code)
