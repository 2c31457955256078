"""`server.coordinator`: commits, deletions, expiry and loading, as one can read them."""

import unittest
from typing import Final

from support.group_world import SETTINGS, START, GroupWorld, codes_of

from server.coordinator import TOMBSTONES_AT_ONCE, Coordinator
from server.group_words import Commit, GroupState, NewOffset, Tick
from server.offset_records import GroupKey, GroupValue, OffsetKey, OffsetValue, decode_key, encode_key, encode_value
from wire.batches import read_header
from wire.errors import ErrorCode
from wire.primitives import WireError
from wire.records import records_of

NONE: Final = ErrorCode.NONE
DAY: Final = 86_400_000


class CommitTest(unittest.TestCase):
    def test_what_a_member_says_of_itself_is_bounded(self) -> None:
        world = GroupWorld()
        large = world.join(protocols=(("range", b"x" * 600_000), ("sticky", b"x" * 600_000)))
        self.assertEqual(large.outcome.code, ErrorCode.UNKNOWN_SERVER_ERROR)
        self.assertEqual(world.join(protocols=(("range", b"x" * 600_000),)).outcome.code, 0)

    def test_a_simple_consumers_offset_and_all_that_goes_with_it(self) -> None:
        world = GroupWorld()
        self.assertEqual(world.commit(5, metadata="where I am", leader_epoch=3).code, NONE)
        self.assertEqual(world.committed(), OffsetValue(5, 3, "where I am", START.wall_ms))
        self.assertIsNone(world.committed(partition=1))
        self.assertIsNone(world.committed("never was"))

    def test_answered_when_durable_and_not_to_be_read_before(self) -> None:
        world = GroupWorld()
        world.is_durable = False
        committed = world.commit(5)
        self.assertTrue(committed.waits)
        self.assertIsNone(world.committed())
        world.settle()
        self.assertEqual((committed.code, world.committed().offset), (NONE, 5))

    def test_a_log_that_fails(self) -> None:
        world = GroupWorld()
        world.is_durable = False
        commits = [world.commit(at) for at in range(3)]
        for code in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.MESSAGE_TOO_LARGE):
            world.settle(code)
        expected = [
            ErrorCode.NOT_COORDINATOR,
            ErrorCode.COORDINATOR_NOT_AVAILABLE,
            ErrorCode.INVALID_COMMIT_OFFSET_SIZE,
        ]
        self.assertEqual([commit.outcome.codes[0] for commit in commits], expected)
        self.assertIs(world.group(), ErrorCode.GROUP_ID_NOT_FOUND)

    def test_a_log_that_is_late_may_still_hold_it(self) -> None:
        world = GroupWorld()
        world.is_durable = False
        committed = world.commit(5)
        world.advance(SETTINGS.append_timeout_ms)
        self.assertEqual(committed.outcome.codes, (ErrorCode.COORDINATOR_NOT_AVAILABLE,))
        world.settle()
        self.assertEqual(world.committed().offset, 5)

    def test_simple_consumers_only_while_nobody_is_in_the_group(self) -> None:
        world = GroupWorld()
        (member_id,) = world.stable("a")
        refused = [
            world.commit(1),
            world.commit(1, member_id, 2),
            world.commit(1, "stranger", 1),
            world.commit(1, "", 1),
        ]
        unknown = ErrorCode.UNKNOWN_MEMBER_ID
        self.assertEqual(codes_of(refused), [unknown, ErrorCode.ILLEGAL_GENERATION, unknown, unknown])
        self.assertEqual(world.commit(1, member_id, 1).code, NONE)
        world.leave((member_id, None))
        self.assertEqual(world.commit(2).code, NONE)

    def test_of_a_group_that_nobody_knows(self) -> None:
        self.assertEqual(GroupWorld().commit(1, "m", 3).code, ErrorCode.GROUP_ID_NOT_FOUND)

    def test_while_members_commit_before_they_join_again_but_not_between_join_and_sync(self) -> None:
        world = GroupWorld()
        a, b = world.stable("a", "b")
        world.join(a)
        self.assertEqual(world.commit(1, b, 2).code, NONE)
        world.join(b)
        self.assertEqual(world.commit(1, b, 3).code, ErrorCode.REBALANCE_IN_PROGRESS)

    def test_metadata_has_a_limit_and_the_rest_is_committed(self) -> None:
        world = GroupWorld()
        wide = "\N{PILE OF POO}" * 2_048  # 4096 UTF-16 units, which are what Java counts
        offsets = (NewOffset("t", 0, 1, -1, wide + "x"), NewOffset("t", 1, 2, -1, wide))
        done = world.ask(Commit(world.groups.next_ticket(), "g", -1, "", None, offsets))
        self.assertEqual(done.outcome.codes, (ErrorCode.OFFSET_METADATA_TOO_LARGE, NONE))
        self.assertIsNone(world.committed())
        self.assertEqual(world.committed(partition=1).offset, 2)


class DeleteTest(unittest.TestCase):
    def test_a_group_and_all_its_offsets(self) -> None:
        world = GroupWorld()
        world.commit(5)
        self.assertEqual(world.delete_group().code, NONE)
        self.assertIs(world.group(), ErrorCode.GROUP_ID_NOT_FOUND)
        self.assertIsNone(world.committed())
        self.assertEqual(world.delete_group().code, ErrorCode.GROUP_ID_NOT_FOUND)
        world.fail_over()
        self.assertIsNone(world.committed())

    def test_not_while_there_are_members(self) -> None:
        world = GroupWorld()
        world.stable("a")
        self.assertEqual(world.delete_group().code, ErrorCode.NON_EMPTY_GROUP)

    def test_nobody_gets_in_while_the_tombstone_is_on_its_way(self) -> None:
        world = GroupWorld()
        world.commit(5)
        world.is_durable = False
        deleted = world.delete_group()
        meanwhile = [world.join(), world.commit(6)]
        self.assertEqual(codes_of(meanwhile), [ErrorCode.COORDINATOR_NOT_AVAILABLE] * 2)
        world.settle(ErrorCode.NOT_ENOUGH_REPLICAS)
        self.assertEqual(deleted.code, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        self.assertEqual((world.committed().offset, world.join().code), (5, NONE))

    def test_a_commit_that_is_on_its_way_goes_too(self) -> None:
        world = GroupWorld()
        world.is_durable = False
        commit, deleted = world.commit(5), world.delete_group()
        world.settle()
        world.settle()
        self.assertEqual((commit.code, deleted.code), (NONE, NONE))
        world.fail_over()
        self.assertIsNone(world.committed())

    def test_a_large_group_goes_in_several_batches_its_own_tombstone_last(self) -> None:
        world = GroupWorld()
        offsets = tuple([NewOffset("t", at, at, -1, "") for at in range(TOMBSTONES_AT_ONCE + 1)])
        world.ask(Commit(world.groups.next_ticket(), "g", -1, "", None, offsets))
        self.assertEqual(world.delete_group().code, NONE)
        first, last = world.logs[0][1:]
        self.assertEqual((read_header(first).records_count, read_header(last).records_count), (TOMBSTONES_AT_ONCE, 2))
        self.assertEqual([decode_key(r.key or b"") for r in records_of(last)][-1], GroupKey("g"))
        self.assertIs(world.group(), ErrorCode.GROUP_ID_NOT_FOUND)

    def test_what_of_it_could_not_be_deleted_stays_as_a_replay_would_find_it(self) -> None:
        world = GroupWorld()
        offsets = tuple([NewOffset("t", at, at, -1, "") for at in range(TOMBSTONES_AT_ONCE + 1)])
        world.ask(Commit(world.groups.next_ticket(), "g", -1, "", None, offsets))
        world.is_durable = False
        world.delete_group()
        world.settle(ErrorCode.NOT_ENOUGH_REPLICAS)
        world.settle()
        self.assertEqual((world.committed().offset, world.committed(partition=TOMBSTONES_AT_ONCE)), (0, None))
        self.assertIs(world.group().state, GroupState.EMPTY)

    def test_offsets_of_topics_that_nobody_reads(self) -> None:
        world = GroupWorld()
        reads_t = (("range", bytes.fromhex("0000 00000001 0001 74 ffffffff")),)
        member_id = world.join(protocols=reads_t).outcome.member_id
        world.sync(member_id, 1, {})
        world.commit(5, member_id, 1)
        world.commit(6, member_id, 1, topic="u")
        done = world.delete_offsets(("t", 0), ("u", 0), ("u", 3))
        self.assertEqual(done.outcome.codes, (ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, NONE, NONE))
        self.assertEqual((world.committed().offset, world.committed(topic="u")), (5, None))

    def test_offsets_of_no_group_and_of_one_that_is_not_of_consumers(self) -> None:
        world = GroupWorld()
        world.join(protocol_type="connect")
        refused = [world.delete_offsets(("t", 0)), world.delete_offsets(("t", 0), group="none")]
        self.assertEqual(codes_of(refused), [ErrorCode.NON_EMPTY_GROUP, ErrorCode.GROUP_ID_NOT_FOUND])

    def test_offsets_of_a_topic_that_is_gone(self) -> None:
        world = GroupWorld()
        world.commit(5)
        world.commit(6, topic="u")
        world.groups.topic_deleted("t", world.now)
        self.assertEqual((world.committed(), world.committed(topic="u").offset), (None, 6))


class ExpiryTest(unittest.TestCase):
    def test_a_simple_consumers_group_goes_with_its_last_offset(self) -> None:
        world = GroupWorld()
        world.commit(5)
        world.advance(4 * DAY)
        world.commit(6, topic="u")
        world.advance(4 * DAY)
        self.assertEqual((world.committed(), world.committed(topic="u").offset), (None, 6))
        world.advance(4 * DAY)
        self.assertIs(world.group(), ErrorCode.GROUP_ID_NOT_FOUND)
        world.fail_over()
        self.assertIs(world.group(), ErrorCode.GROUP_ID_NOT_FOUND)

    def test_a_groups_age_begins_when_it_is_empty(self) -> None:
        world = GroupWorld()
        member_id = world.join(session_ms=1_800_000).outcome.member_id
        world.sync(member_id, 1, {})
        world.commit(5, member_id, 1)
        for _ in range(8 * 24 * 2):
            world.advance(1_799_999)
            self.assertEqual(world.heartbeat(member_id, 1).code, NONE)
        self.assertEqual(world.committed().offset, 5)
        world.advance(7 * DAY)
        self.assertEqual(world.committed().offset, 5)
        world.advance(DAY)
        self.assertIs(world.group(), ErrorCode.GROUP_ID_NOT_FOUND)

    def test_a_retention_time_of_ones_own(self) -> None:
        world = GroupWorld()
        world.commit(5, retention_ms=1_000)
        world.fail_over()
        self.assertEqual(world.committed().expire_ms, START.wall_ms + 1_000)
        world.advance(SETTINGS.retention_check_ms)
        self.assertIs(world.group(), ErrorCode.GROUP_ID_NOT_FOUND)


class LoadingTest(unittest.TestCase):
    def test_nothing_is_told_before_all_is_known(self) -> None:
        world = GroupWorld()
        world.commit(5)
        world.groups = world.new_groups(1, load=False)
        asked = [world.join(), world.sync("m", 1), world.commit(6), world.leave(("m", None)), world.delete_group()]
        self.assertEqual(set(codes_of(asked)), {ErrorCode.COORDINATOR_LOAD_IN_PROGRESS})
        self.assertIs(world.group(), ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        world.groups.replay(0, world.logs[0])
        self.assertIs(world.group(), ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        world.groups.finish_loading(0, world.now)
        self.assertEqual(world.committed().offset, 5)

    def test_a_heartbeat_meanwhile_is_taken_on_trust(self) -> None:
        world = GroupWorld()
        world.groups = world.new_groups(1, load=False)
        self.assertEqual(world.heartbeat("m", 1).code, NONE)

    def test_records_of_other_kinds_are_passed_over_and_malformed_ones_are_not(self) -> None:
        coordinator = Coordinator(SETTINGS, str, int)
        coordinator.replay([(None, b""), (b"\0\3later", b"whatever"), (b"\0\x10", None)])
        self.assertRaises(WireError, coordinator.replay, [(b"\0\1", b"")])

    def test_a_tombstone_of_a_group_leaves_what_came_behind_it(self) -> None:
        coordinator = Coordinator(SETTINGS, str, int)
        group, offset = encode_key(GroupKey("g")), encode_key(OffsetKey("g", "t", 0))
        value = encode_value(GroupValue("consumer", 3, None, None, 0, ()))
        coordinator.replay([(group, value), (group, None), (offset, encode_value(OffsetValue(1, -1, "", 0)))])
        coordinator.finish_loading(START)
        found = coordinator.group_of("g")
        assert not isinstance(found, ErrorCode)
        self.assertEqual((found.generation, found.protocol_type), (0, None))

    def test_nothing_is_due_before(self) -> None:
        coordinator = Coordinator(SETTINGS, str, int)
        self.assertIsNone(coordinator.deadline_ms)
        self.assertEqual(coordinator.step(Tick(), START), [])
