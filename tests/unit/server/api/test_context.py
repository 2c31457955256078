"""`server.api.context`: the fake that tests use is one."""

import unittest

from support.group_world import GroupWorld

from server.api.context import GroupContext


class ContextTest(unittest.TestCase):
    def test_the_world_is_a_context(self) -> None:
        context: GroupContext = GroupWorld()
        self.assertTrue(context.topics.has("t", 0))
