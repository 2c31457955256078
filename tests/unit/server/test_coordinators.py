"""`server.coordinators`: which partition, and what an unconfirmed leader says (R2)."""

import unittest

from support.group_world import SETTINGS, START, GroupWorld, codes_of

from server.coordinators import Coordinators
from server.group_words import Answer, Appended, Heartbeat
from server.java_hash import partition_of
from wire.errors import ErrorCode

NOT_COORDINATOR = ErrorCode.NOT_COORDINATOR


class PlaceTest(unittest.TestCase):
    def test_each_group_is_kept_where_its_id_hashes_to(self) -> None:
        world = GroupWorld(partitions=5)
        ids = [f"group {at}" for at in range(20)]
        for group_id in ids:
            world.commit(1, group=group_id)
        self.assertEqual(
            {partition: len(log) for partition, log in world.logs.items()},
            {partition: sum(partition_of(group_id, 5) == partition for group_id in ids) for partition in range(5)},
        )
        world.fail_over()
        self.assertTrue(all(world.committed(group_id) for group_id in ids))

    def test_where_nothing_is_led(self) -> None:
        coordinators = Coordinators(SETTINGS, str)
        event = Heartbeat(1, "g", 1, "m")
        self.assertEqual(coordinators.request(event, START), (-1, [Answer(1, NOT_COORDINATOR)]))
        coordinators.partitions = 3
        self.assertEqual(coordinators.request(event, START), (-1, [Answer(1, NOT_COORDINATOR)]))
        self.assertIs(coordinators.find("g"), NOT_COORDINATOR)
        self.assertEqual((coordinators.step(0, Appended(1), START), coordinators.resign(0, START)), ([], []))
        self.assertEqual(coordinators.deadlines(), [])


class ConfirmedTest(unittest.TestCase):
    def test_an_unconfirmed_leader_tells_nothing_that_may_be_outdated(self) -> None:
        world = GroupWorld()
        (member_id,) = world.stable("a")
        world.is_confirmed = False
        refused = [
            world.heartbeat(member_id, 1),
            world.join(),
            world.sync(member_id, 1),
            world.leave((member_id, None)),
            world.commit(1, "stranger", 1),
            world.delete_group(),
            world.delete_offsets(("t", 0), group="none"),
        ]
        self.assertEqual(codes_of(refused), [NOT_COORDINATOR] * 7)
        self.assertIs(world.group(), NOT_COORDINATOR)
        self.assertEqual(list(world.groups.all()), [NOT_COORDINATOR])

    def test_what_is_durable_on_all_in_sync_is_true_whoever_says_so(self) -> None:
        world = GroupWorld()
        world.is_confirmed = False
        self.assertEqual(world.commit(1).code, ErrorCode.NONE)

    def test_a_join_that_waited_for_longer_than_the_leader_was_confirmed(self) -> None:
        world = GroupWorld()
        leader = world.join().outcome.member_id
        waiting = world.join()
        world.is_confirmed = False
        world.leave((leader, None))
        world.advance(60_000)
        self.assertEqual(waiting.code, NOT_COORDINATOR)
