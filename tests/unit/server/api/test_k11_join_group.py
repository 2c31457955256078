"""JoinGroup, in every version."""

import unittest
from typing import Any

from support.group_world import GroupWorld

from server.api import k11_join_group as api
from wire.errors import ErrorCode

VERSIONS = range(10)


def request(member_id: str = "", instance_id: str | None = None, session_ms: int = 10_000) -> dict[str, Any]:
    return {
        "group_id": "g",
        "session_timeout": session_ms,
        "rebalance_timeout": 60_000,
        "member_id": member_id,
        "group_instance_id": instance_id,
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b"m"}],
        "reason": None,
    }


class JoinGroupTest(unittest.TestCase):
    def test_every_version(self) -> None:
        for version in VERSIONS:
            world = GroupWorld()
            (answer,) = world.wire(api, version, request())
            if version >= api.MEMBER_ID_FROM:
                self.assertEqual(int(answer.error_code), ErrorCode.MEMBER_ID_REQUIRED)
                self.assertEqual(answer.protocol_name, None if version >= api.NULL_PROTOCOL_FROM else "")
                (answer,) = world.wire(api, version, request(answer.member_id))
            self.assertEqual((int(answer.error_code), answer.generation_id, answer.protocol_name), (0, 1, "range"))
            self.assertEqual(answer.leader, answer.member_id)
            self.assertTrue(answer.member_id.startswith("client-"))
            self.assertEqual([(one.member_id, one.metadata) for one in answer.members], [(answer.member_id, b"m")])

    def test_time_outs_and_who_it_is(self) -> None:
        for version in VERSIONS:
            world = GroupWorld()
            (answer,) = world.wire(api, version, request(instance_id="i"))
            if answer.error_code:
                (answer,) = world.wire(api, version, request(answer.member_id))
            member = world.group().roster.members[answer.member_id]
            self.assertEqual(member.rebalance_timeout_ms, 60_000 if version else 10_000)
            self.assertEqual(member.instance_id, "i" if version >= 5 else None)
            self.assertEqual((member.client_id, member.client_host), ("client", "/10.0.0.1"))

    def test_a_static_leader_that_comes_back(self) -> None:
        for version in (8, 9):
            world = GroupWorld()
            (first,) = world.wire(api, version, request(instance_id="i"))
            world.sync(first.member_id, 1, {first.member_id: b"0"}, instance="i")
            (back,) = world.wire(api, version, request(instance_id="i"))
            self.assertEqual((int(back.error_code), back.generation_id), (0, 1))
            self.assertEqual(getattr(back, "skip_assignment", None), True if version == 9 else None)
            self.assertEqual(back.leader, back.member_id if version == 9 else first.member_id)

    def test_it_waits_for_the_others(self) -> None:
        world = GroupWorld()
        first = world.join().outcome.member_id
        answers = world.wire(api, 3, request())
        self.assertEqual(answers, [])
        world.join(first)
        self.assertEqual((answers[0].generation_id, answers[0].leader, answers[0].members), (2, first, ()))
