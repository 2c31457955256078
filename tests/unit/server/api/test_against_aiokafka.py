"""A second opinion: the requests are another client's bytes, and that client reads the answers."""

import unittest
from io import BytesIO
from typing import Any

from aiokafka.protocol import commit, group
from support.group_world import GroupWorld

from server.api import (
    k08_offset_commit,
    k09_offset_fetch,
    k11_join_group,
    k12_heartbeat,
    k13_leave_group,
    k14_sync_group,
)
from server.api.shape import Later
from wire import messages


def ask(world: GroupWorld, module: Any, request: Any) -> Any:
    version = request.API_VERSION
    decoded = messages.decode(module.KEY, version, request.encode())
    frame = module.handle(world.call(version, print), decoded, world)
    assert frame is not Later.PARKED
    read = BytesIO(bytes(frame[8:]))
    answer = request.RESPONSE_TYPE.decode(read)
    assert not read.read(), "bytes behind the answer"
    return answer


class AiokafkaTest(unittest.TestCase):
    def test_a_life_in_a_group(self) -> None:
        world = GroupWorld()

        def join(member_id: str) -> Any:
            protocols = [("range", b"metadata")]
            return ask(
                world,
                k11_join_group,
                group.JoinGroupRequest_v5("g", 10_000, 60_000, member_id, None, "consumer", protocols),
            )

        told = join("")
        self.assertEqual((told.error_code, told.generation_id), (79, -1))
        joined = join(told.member_id)
        me, generation = joined.member_id, joined.generation_id
        self.assertEqual((joined.error_code, generation, joined.leader_id), (0, 1, me))
        self.assertEqual(joined.members, [(me, None, b"metadata")])
        synced = ask(world, k14_sync_group, group.SyncGroupRequest_v3("g", generation, me, None, [(me, b"all")]))
        self.assertEqual((synced.error_code, synced.member_assignment), (0, b"all"))
        beat = ask(world, k12_heartbeat, group.HeartbeatRequest_v1("g", generation, me))
        self.assertEqual(beat.error_code, 0)
        done = ask(
            world,
            k08_offset_commit,
            commit.OffsetCommitRequest_v3("g", generation, me, -1, [("t", [(0, 42, "metadata")])]),
        )
        self.assertEqual(done.topics, [("t", [(0, 0)])])
        found = ask(world, k09_offset_fetch, commit.OffsetFetchRequest_v3("g", [("t", [0, 1])]))
        self.assertEqual((found.error_code, found.topics), (0, [("t", [(0, 42, "metadata", 0), (1, -1, "", 0)])]))
        left = ask(world, k13_leave_group, group.LeaveGroupRequest_v1("g", me))
        self.assertEqual(left.error_code, 0)
