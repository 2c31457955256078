"""FindCoordinator, in every version."""

import unittest
from typing import Any

from support.group_world import GroupWorld

from server.api import k10_find_coordinator as api
from wire.errors import ErrorCode


def find(version: int, key: str, kind: int = 0) -> tuple[int, str, int, int]:
    values = {"key": key, "key_type": kind, "coordinator_keys": [key]}
    (answer,) = GroupWorld().wire(api, version, values)
    found: Any = answer.coordinators[0] if version >= api.KEYS_FROM else answer
    return found.node_id, found.host, found.port, int(found.error_code)


class FindCoordinatorTest(unittest.TestCase):
    def test_every_version_on_the_listener_that_was_asked(self) -> None:
        for version in range(7):
            self.assertEqual(find(version, "g"), (1, "external", 9092, 0))

    def test_none_yet(self) -> None:
        for version in range(7):
            self.assertEqual(find(version, "lost"), (-1, "", -1, ErrorCode.COORDINATOR_NOT_AVAILABLE))

    def test_of_transactions_is_not_served(self) -> None:
        for version in range(1, 7):
            self.assertEqual(find(version, "g", 1), (-1, "", -1, ErrorCode.INVALID_REQUEST))
