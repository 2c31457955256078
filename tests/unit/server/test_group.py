"""`server.group`: rebalances as one can read them. Each is asked through `server.groups`, as a client's would be."""

import unittest
from typing import Final

from support.group_world import RANGE, SETTINGS, GroupWorld, codes_of

from server.group_words import GroupSettings, GroupState
from wire.errors import ErrorCode

STICKY: Final = (("sticky", b"s"),)
BOTH: Final = (("range", b"r"), ("sticky", b"s"))


class JoinTest(unittest.TestCase):
    def test_the_first_leads_and_assigns_and_each_is_handed_its_own(self) -> None:
        world = GroupWorld()
        first = world.join()
        self.assertEqual((first.code, first.outcome.generation), (ErrorCode.NONE, 1))
        second = world.join()
        self.assertTrue(second.waits)
        again = world.join(first.outcome.member_id)
        leader, follower = again.outcome, second.outcome
        self.assertEqual((leader.generation, follower.generation), (2, 2))
        self.assertEqual(leader.leader, leader.member_id)
        self.assertEqual(follower.leader, leader.member_id)
        self.assertEqual([member.member_id for member in leader.members], [leader.member_id, follower.member_id])
        self.assertEqual(leader.members[0].metadata, b"range metadata")
        self.assertEqual(follower.members, ())
        waiting = world.sync(follower.member_id, 2)
        self.assertTrue(waiting.waits)
        given = world.sync(leader.member_id, 2, {leader.member_id: b"0", follower.member_id: b"1"})
        self.assertEqual((given.outcome.assignment, waiting.outcome.assignment), (b"0", b"1"))
        self.assertIs(world.group().state, GroupState.STABLE)

    def test_newcomers_come_twice(self) -> None:
        world = GroupWorld()
        told = world.join(needs_id=True)
        self.assertEqual(told.code, ErrorCode.MEMBER_ID_REQUIRED)
        self.assertEqual(world.join(told.outcome.member_id, needs_id=True).code, ErrorCode.NONE)

    def test_an_id_that_is_not_used_lapses_and_leaves_no_group(self) -> None:
        world = GroupWorld()
        told = world.join(needs_id=True, session_ms=6_000)
        world.advance(5_999)
        self.assertIs(world.group().state, GroupState.EMPTY)
        world.advance(1)
        self.assertIs(world.group(), ErrorCode.GROUP_ID_NOT_FOUND)
        self.assertEqual(world.join(told.outcome.member_id).code, ErrorCode.UNKNOWN_MEMBER_ID)

    def test_of_members_that_start_together_the_first_waits_for_the_others(self) -> None:
        world = GroupWorld(GroupSettings(initial_rebalance_delay_ms=3_000))
        first = world.join()
        world.advance(2_000)
        second = world.join()  # so there is another delay
        world.advance(2_000)
        self.assertTrue(first.waits)
        world.advance(1_999)
        self.assertTrue(first.waits)
        world.advance(1)
        self.assertEqual([first.outcome.generation, second.outcome.generation], [1, 1])

    def test_that_wait_is_never_longer_than_the_rebalance_time_out(self) -> None:
        world = GroupWorld(GroupSettings(initial_rebalance_delay_ms=3_000))
        joins = [world.join(rebalance_ms=7_000)]
        for _ in range(7):
            world.advance(999)
            joins.append(world.join(rebalance_ms=7_000))
        world.advance(7)
        self.assertEqual({join.outcome.generation for join in joins}, {1})

    def test_bounds_of_the_session(self) -> None:
        world = GroupWorld()
        refused = [world.join(session_ms=5_999), world.join(session_ms=1_800_001)]
        self.assertEqual(codes_of(refused), [ErrorCode.INVALID_SESSION_TIMEOUT] * 2)

    def test_a_group_has_an_id(self) -> None:
        self.assertEqual(GroupWorld().join(group="").code, ErrorCode.INVALID_GROUP_ID)

    def test_no_more_than_the_limit(self) -> None:
        world = GroupWorld(GroupSettings(initial_rebalance_delay_ms=0, max_size=1))
        world.stable("only")
        self.assertEqual(world.join().code, ErrorCode.GROUP_MAX_SIZE_REACHED)

    def test_a_retry_takes_the_place_of_the_join_that_waits(self) -> None:
        world = GroupWorld()
        first = world.join().outcome.member_id
        world.join()
        third = world.join()
        lost = world.join(first)
        self.assertTrue(lost.waits or not third.waits)
        world.fail_over()
        self.assertFalse(any(asked.waits for asked in world.asked))

    def test_a_member_that_missed_its_answer_gets_it_again(self) -> None:
        world = GroupWorld()
        leader, follower = world.stable("a", "b")
        again = world.join(follower)
        self.assertEqual((again.code, again.outcome.generation, again.outcome.leader), (ErrorCode.NONE, 2, leader))
        self.assertIs(world.group().state, GroupState.STABLE)

    def test_a_leader_that_joins_again_has_seen_something_new(self) -> None:
        world = GroupWorld()
        leader, follower = world.stable("a", "b")
        self.assertTrue(world.join(leader).waits)
        self.assertEqual(world.heartbeat(follower, 2).code, ErrorCode.REBALANCE_IN_PROGRESS)
        self.assertEqual(world.join(follower).outcome.generation, 3)

    def test_a_long_client_id_still_makes_an_id_that_fits(self) -> None:
        world = GroupWorld()
        joined = world.join(instance="\N{PILE OF POO}" * 8_191)
        self.assertLess(len(joined.outcome.member_id.encode()), 32_767)
        self.assertEqual(world.sync(joined.outcome.member_id, 1).code, ErrorCode.NONE)


class ProtocolTest(unittest.TestCase):
    def test_one_that_all_share(self) -> None:
        world = GroupWorld()
        first = world.join(protocols=BOTH)
        second = world.join(protocols=STICKY)
        again = world.join(first.outcome.member_id, protocols=BOTH)
        self.assertEqual((again.outcome.protocol, second.outcome.protocol), ("sticky", "sticky"))
        self.assertEqual([member.metadata for member in again.outcome.members], [b"s", b"s"])

    def test_nobody_is_let_in_who_shares_none(self) -> None:
        world = GroupWorld()
        world.stable("a")
        refused = [
            world.join(protocols=STICKY),
            world.join(protocol_type="connect"),
            world.join(protocols=()),
            world.join(group="new", protocol_type=""),
        ]
        self.assertEqual(codes_of(refused), [ErrorCode.INCONSISTENT_GROUP_PROTOCOL] * 4)

    def test_a_cooperative_rebalance_in_two_steps(self) -> None:
        """The broker hands metadata on as it is: what members own is in it, and theirs to give up (KIP-429)."""
        world = GroupWorld()

        def owns(partitions: bytes) -> tuple[tuple[str, bytes], ...]:
            return (("cooperative-sticky", partitions),)

        a = world.join(protocols=owns(b"")).outcome.member_id
        world.sync(a, 1, {a: b"0 1"})
        newcomer = world.join(protocols=owns(b""))
        led = world.join(a, protocols=owns(b"0 1"))
        b = newcomer.outcome.member_id
        self.assertEqual([member.metadata for member in led.outcome.members], [b"0 1", b""])
        waiting = world.sync(b, 2)
        self.assertEqual(world.sync(a, 2, {a: b"0", b: b""}).outcome.assignment, b"0")
        self.assertEqual(waiting.outcome.assignment, b"")
        led = world.join(a, protocols=owns(b"0"))  # 1 is given up, so it joins again
        self.assertEqual(world.heartbeat(b, 2).code, ErrorCode.REBALANCE_IN_PROGRESS)
        world.join(b, protocols=owns(b""))
        self.assertEqual([member.metadata for member in led.outcome.members], [b"0", b""])
        waiting = world.sync(b, 3)
        world.sync(a, 3, {a: b"0", b: b"1"})
        self.assertEqual(waiting.outcome.assignment, b"1")


class SyncTest(unittest.TestCase):
    def test_nothing_is_handed_out_before_it_is_stored(self) -> None:
        world = GroupWorld()
        member_id = world.join().outcome.member_id
        world.is_durable = False
        synced = world.sync(member_id, 1, {member_id: b"0"})
        self.assertTrue(synced.waits)
        world.settle()
        self.assertEqual(synced.outcome.assignment, b"0")

    def test_what_could_not_be_stored_brings_another_rebalance(self) -> None:
        world = GroupWorld()
        member_id = world.join().outcome.member_id
        world.is_durable = False
        synced = world.sync(member_id, 1, {member_id: b"0"})
        world.settle(ErrorCode.NOT_ENOUGH_REPLICAS)
        self.assertEqual(synced.code, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        self.assertEqual(world.heartbeat(member_id, 1).code, ErrorCode.REBALANCE_IN_PROGRESS)

    def test_a_log_that_does_not_answer_is_not_waited_for(self) -> None:
        world = GroupWorld()
        member_id = world.join().outcome.member_id
        world.is_durable = False
        synced = world.sync(member_id, 1, {member_id: b"0"})
        world.advance(SETTINGS.append_timeout_ms)
        self.assertEqual(synced.code, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        world.settle()
        self.assertIsNot(world.group().state, GroupState.STABLE)

    def test_of_another_generation_or_a_stranger(self) -> None:
        world = GroupWorld()
        (member_id,) = world.stable("a")
        refused = [world.sync(member_id, 2), world.sync("stranger", 1), world.sync(member_id, 1, group="none")]
        unknown = ErrorCode.UNKNOWN_MEMBER_ID
        self.assertEqual(codes_of(refused), [ErrorCode.ILLEGAL_GENERATION, unknown, unknown])

    def test_a_rebalance_ends_all_that_wait_for_an_assignment(self) -> None:
        world = GroupWorld()
        a = world.join().outcome.member_id
        b = world.join()
        world.join(a)
        waiting = world.sync(b.outcome.member_id, 2)
        world.join()
        self.assertEqual(waiting.code, ErrorCode.REBALANCE_IN_PROGRESS)

    def test_who_joins_and_never_syncs_is_gone_after_the_rebalance_time_out(self) -> None:
        world = GroupWorld()
        a = world.join(session_ms=1_000_000).outcome.member_id
        b = world.join(session_ms=1_000_000)
        world.join(a, session_ms=1_000_000)
        world.sync(a, 2, {})
        world.advance(60_000)
        self.assertEqual(world.heartbeat(b.outcome.member_id, 2).code, ErrorCode.UNKNOWN_MEMBER_ID)
        self.assertEqual(world.heartbeat(a, 2).code, ErrorCode.REBALANCE_IN_PROGRESS)


class SessionTest(unittest.TestCase):
    def test_a_member_that_is_not_heard_of_is_removed_at_its_time(self) -> None:
        world = GroupWorld()
        a, b = world.stable("a", "b")
        world.advance(9_000)
        self.assertEqual(world.heartbeat(a, 2).code, ErrorCode.NONE)
        world.advance(1_000)
        self.assertEqual(world.heartbeat(b, 2).code, ErrorCode.UNKNOWN_MEMBER_ID)
        self.assertEqual(world.heartbeat(a, 2).code, ErrorCode.REBALANCE_IN_PROGRESS)
        self.assertEqual(world.join(a).outcome.generation, 3)

    def test_a_commit_is_a_sign_of_life(self) -> None:
        world = GroupWorld()
        (member_id,) = world.stable("a")
        world.advance(9_000)
        self.assertEqual(world.commit(5, member_id, 1).code, ErrorCode.NONE)
        world.advance(9_000)
        self.assertEqual(world.heartbeat(member_id, 1).code, ErrorCode.NONE)

    def test_who_waits_in_join_or_sync_does_not_expire(self) -> None:
        world = GroupWorld()
        a = world.join(session_ms=1_000_000).outcome.member_id
        b = world.join(session_ms=6_000)
        world.advance(50_000)
        self.assertTrue(b.waits)
        world.join(a, session_ms=1_000_000)
        waiting = world.sync(b.outcome.member_id, 2)
        world.advance(50_000)
        self.assertTrue(waiting.waits)
        world.sync(a, 2, {})
        self.assertEqual(waiting.code, ErrorCode.NONE)

    def test_a_newcomer_that_never_comes_back_waits_five_minutes_at_most(self) -> None:
        world = GroupWorld()
        a = world.join(session_ms=1_000_000, rebalance_ms=1_000_000).outcome.member_id
        b = world.join(rebalance_ms=1_000_000)
        world.advance(300_000)
        self.assertEqual(b.code, ErrorCode.UNKNOWN_MEMBER_ID)
        self.assertEqual(world.heartbeat(a, 1).code, ErrorCode.REBALANCE_IN_PROGRESS)

    def test_a_member_that_does_not_join_again_in_time_is_left_behind(self) -> None:
        world = GroupWorld()
        a = world.join(session_ms=1_000_000).outcome.member_id
        b = world.join()
        world.advance(60_000)
        self.assertEqual((b.outcome.leader, b.outcome.generation), (b.outcome.member_id, 2))
        self.assertEqual(world.heartbeat(a, 1).code, ErrorCode.UNKNOWN_MEMBER_ID)

    def test_nobody_is_left(self) -> None:
        world = GroupWorld()
        world.stable("a", "b")
        world.advance(80_000)
        self.assertIs(world.group().state, GroupState.EMPTY)


class LeaveTest(unittest.TestCase):
    def test_the_others_rebalance_at_once(self) -> None:
        world = GroupWorld()
        a, b = world.stable("a", "b")
        left = world.leave((b, None))
        self.assertEqual([one.code for one in left.outcome.members], [ErrorCode.NONE])
        self.assertEqual(world.join(a).outcome.generation, 3)

    def test_several_at_once_some_of_them_strangers(self) -> None:
        world = GroupWorld()
        a, b = world.stable("a", "b")
        left = world.leave((a, None), ("stranger", None), (b, None), ("", "no such instance"))
        unknown = ErrorCode.UNKNOWN_MEMBER_ID
        self.assertEqual([one.code for one in left.outcome.members], [ErrorCode.NONE, unknown, ErrorCode.NONE, unknown])
        self.assertIs(world.group().state, GroupState.EMPTY)

    def test_whoever_waits_in_a_join_and_is_removed_is_told(self) -> None:
        world = GroupWorld()
        world.stable("a")
        joining = world.join(instance="i")
        world.leave(("", "i"))
        self.assertEqual(joining.code, ErrorCode.UNKNOWN_MEMBER_ID)

    def test_an_id_that_was_only_given_away(self) -> None:
        world = GroupWorld()
        (a,) = world.stable("a")
        given = world.join(needs_id=True).outcome.member_id
        self.assertEqual(world.leave((given, None)).outcome.members[0].code, ErrorCode.NONE)
        self.assertEqual(world.join(a).outcome.generation, 2)


class StaticMemberTest(unittest.TestCase):
    def setUp(self) -> None:
        self.world = world = GroupWorld()
        self.leader = world.join(instance="i").outcome.member_id
        follower = world.join(instance="j")
        world.join(self.leader, instance="i")
        self.follower = follower.outcome.member_id
        world.sync(self.leader, 2, {self.leader: b"0", self.follower: b"1"}, instance="i")
        world.sync(self.follower, 2, instance="j")

    def test_a_restart_is_no_rebalance(self) -> None:
        back = self.world.join(instance="j")
        self.assertEqual((back.code, back.outcome.generation), (ErrorCode.NONE, 2))
        self.assertNotEqual(back.outcome.member_id, self.follower)
        synced = self.world.sync(back.outcome.member_id, 2, instance="j")
        self.assertEqual(synced.outcome.assignment, b"1")
        self.assertEqual(self.world.heartbeat(self.leader, 2, instance="i").code, ErrorCode.NONE)

    def test_the_one_before_is_fenced(self) -> None:
        self.world.join(instance="j")
        fenced = [
            self.world.heartbeat(self.follower, 2, instance="j"),
            self.world.sync(self.follower, 2, instance="j"),
            self.world.join(self.follower, instance="j"),
            self.world.commit(1, self.follower, 2, instance="j"),
        ]
        self.assertEqual(codes_of(fenced), [ErrorCode.FENCED_INSTANCE_ID] * 4)

    def test_a_leader_that_comes_back_skips_the_assignment(self) -> None:
        back = self.world.join(instance="i")
        self.assertTrue(back.outcome.skip_assignment)
        self.assertEqual(back.outcome.leader, back.outcome.member_id)
        self.assertEqual(len(back.outcome.members), 2)

    def test_one_that_can_t_skip_is_told_its_old_id_as_leader(self) -> None:
        back = self.world.join(instance="i", can_skip=False)
        self.assertFalse(back.outcome.skip_assignment)
        self.assertEqual((back.outcome.leader, back.outcome.members), (self.leader, ()))

    def test_another_protocol_is_a_rebalance(self) -> None:
        self.world.join(self.leader, instance="i", protocols=(("other", b""), *RANGE))
        self.world.join(self.follower, instance="j", protocols=(("other", b""), *RANGE))
        self.assertIsNot(self.world.group().state, GroupState.STABLE)

    def test_its_new_id_holds_once_it_is_stored(self) -> None:
        self.world.is_durable = False
        back = self.world.join(instance="j")
        self.assertTrue(back.waits)
        self.world.settle(ErrorCode.NOT_ENOUGH_REPLICAS)
        self.assertEqual(back.code, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        self.assertEqual(self.world.heartbeat(self.follower, 2, instance="j").code, ErrorCode.NONE)

    def test_it_stays_through_a_rebalance_that_it_misses(self) -> None:
        newcomer = self.world.join()
        self.world.join(self.leader, instance="i")
        self.world.heartbeat(self.follower, 2, instance="j")
        for _ in range(7):
            self.world.advance(9_000)
            self.world.heartbeat(self.follower, 2, instance="j")
        self.assertEqual(newcomer.outcome.generation, 3)
        self.assertEqual(len(self.world.group().roster), 3)

    def test_an_administrator_removes_it_by_its_instance_id(self) -> None:
        left = self.world.leave(("", "j"))
        self.assertEqual([tuple(one) for one in left.outcome.members], [("", "j", ErrorCode.NONE)])
        self.assertEqual(self.world.join(self.leader, instance="i").outcome.generation, 3)


class FailOverTest(unittest.TestCase):
    def test_who_waits_looks_for_the_new_coordinator_and_the_group_goes_on_there(self) -> None:
        world = GroupWorld()
        a, b = world.stable("a", "b")
        waiting = world.join()
        world.fail_over()
        self.assertEqual(waiting.code, ErrorCode.NOT_COORDINATOR)
        self.assertEqual(codes_of([world.heartbeat(a, 2), world.heartbeat(b, 2)]), [ErrorCode.NONE] * 2)
        self.assertEqual(world.sync(b, 2).outcome.assignment, b"b")

    def test_each_has_a_whole_session_to_be_heard(self) -> None:
        world = GroupWorld()
        a, _ = world.stable("a", "b")
        world.fail_over()
        world.advance(9_999)
        self.assertEqual(world.heartbeat(a, 2).code, ErrorCode.NONE)
        world.advance(1)
        self.assertEqual(world.heartbeat(a, 2).code, ErrorCode.REBALANCE_IN_PROGRESS)

    def test_a_group_above_a_limit_that_was_lowered_rebalances(self) -> None:
        world = GroupWorld()
        a, _ = world.stable("a", "b")
        world.settings = GroupSettings(initial_rebalance_delay_ms=0, max_size=1)
        world.fail_over()
        self.assertEqual(world.heartbeat(a, 2).code, ErrorCode.REBALANCE_IN_PROGRESS)
