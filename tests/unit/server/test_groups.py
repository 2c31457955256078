"""`server.groups`: answers once, effects in order, none within another; and what is replayed."""

import unittest
from typing import Any

from support.group_world import SETTINGS, START, GroupWorld

from server.api.shape import Later
from server.group_words import Commit, DeleteGroup, NewOffset, OffsetsOutcome
from server.groups import Groups
from server.offset_records import OffsetKey, encode_key
from wire.batches import assemble, read_header
from wire.errors import ErrorCode
from wire.primitives import WireError
from wire.records import NewRecord, encode_batch


def commit(ticket: int, offset: int) -> Commit:
    return Commit(ticket, "g", -1, "", None, (NewOffset("t", 0, offset, -1, ""),))


def frame_of(outcome: OffsetsOutcome) -> bytes:
    return b"code %d" % outcome.code


class AskTest(unittest.TestCase):
    def test_at_once_or_later_and_once(self) -> None:
        world = GroupWorld()
        replies: list[Any] = []
        call = world.call(0, replies.append)
        ask = world.groups.ask
        self.assertEqual(ask(call, commit(world.groups.next_ticket(), 1), frame_of), b"code 0")
        world.is_durable = False
        self.assertIs(ask(call, commit(world.groups.next_ticket(), 2), frame_of), Later.PARKED)
        self.assertEqual(replies, [])
        world.settle()
        self.assertEqual(replies, [b"code 0"])

    def test_several_are_answered_when_all_are(self) -> None:
        world = GroupWorld(partitions=50)
        for group in ("a", "b"):
            world.commit(1, group=group)
        world.is_durable = False
        replies: list[Any] = []
        events = [DeleteGroup(world.groups.next_ticket(), group) for group in ("a", "none", "b")]

        def finish(outcomes: list[Any]) -> bytes:
            return bytes(outcomes)

        self.assertIs(world.groups.ask_all(world.call(0, replies.append), events, finish), Later.PARKED)
        world.settle()
        self.assertEqual(replies, [])
        world.settle()
        self.assertEqual(replies, [bytes((0, ErrorCode.GROUP_ID_NOT_FOUND, 0))])
        self.assertEqual(world.groups.ask_all(world.call(0, replies.append), [], finish), b"")


class OrderTest(unittest.TestCase):
    def test_what_follows_from_a_reply_comes_behind_what_was_decided_before(self) -> None:
        """A reply brings the connection's next request, whose record is durable at once: nothing is done inside."""
        world = GroupWorld()
        world.is_durable = False
        seen: list[Any] = []

        def reply(frame: Any) -> None:
            seen.append(frame)
            if len(seen) == 1:
                world.is_durable = True
                call = world.call(0, seen.append)
                seen.append(world.groups.ask(call, commit(world.groups.next_ticket(), 2), frame_of))

        world.groups.ask(world.call(0, reply), commit(world.groups.next_ticket(), 1), frame_of)
        world.settle()
        self.assertEqual(seen, [b"code 0", Later.PARKED, b"code 0"])
        self.assertEqual(world.committed().offset, 2)

    def test_a_reply_that_raises_blocks_nobody(self) -> None:
        world = GroupWorld()
        world.is_durable = False

        def reply(_: Any) -> None:
            raise ConnectionError

        world.groups.ask(world.call(0, reply), commit(world.groups.next_ticket(), 1), frame_of)
        self.assertRaises(ConnectionError, world.settle)
        world.is_durable = True
        self.assertEqual(world.commit(2).code, ErrorCode.NONE)


class ReplayTest(unittest.TestCase):
    def test_what_is_reported_after_a_new_epoch_is_ignored(self) -> None:
        world = GroupWorld()
        world.is_durable = False
        waiting = world.commit(1)
        world.groups.lead(0, world.now)
        self.assertEqual(waiting.outcome.codes, (ErrorCode.NOT_COORDINATOR,))
        world.settle()
        world.groups.replay(0, world.logs[0])
        world.groups.finish_loading(0, world.now)
        self.assertEqual(world.committed().offset, 1)

    def test_the_markers_of_transactions_are_nobodys(self) -> None:
        world = GroupWorld()
        marker = encode_batch([NewRecord(1, b"\0\0\0\1", b"\0\0\0\0\0\0")], attributes=0x30, producer=(1, 0, -1))
        world.logs[0].append(bytes(marker))
        world.commit(1)
        world.logs[0] = [b"".join(world.logs[0])]
        world.fail_over()
        self.assertEqual(world.committed().offset, 1)

    def test_a_batch_that_compaction_emptied(self) -> None:
        world = GroupWorld()
        world.commit(1)
        header = read_header(world.logs[0][0])
        world.logs[0].append(bytes(assemble(header._replace(records_count=0), b"")))
        world.fail_over()
        self.assertEqual(world.committed().offset, 1)

    def test_a_malformed_log_is_not_served(self) -> None:
        world = GroupWorld()
        world.groups = world.new_groups(1, load=False)
        key = encode_key(OffsetKey("g", "t", 0))
        bad_value = encode_batch([NewRecord(1, key, b"\0\3")])
        self.assertRaises(WireError, world.groups.replay, 0, [bad_value])
        self.assertRaises(WireError, world.groups.replay, 0, [b"\0" * 100])


class DeadlineTest(unittest.TestCase):
    def test_the_next_of_all_partitions(self) -> None:
        world = GroupWorld(partitions=50)
        before = world.groups.next_deadline()
        self.assertEqual(before, START.steady_ms + SETTINGS.retention_check_ms)
        world.join()
        self.assertEqual(world.groups.next_deadline(), START.steady_ms + 10_000)

    def test_nothing_is_led(self) -> None:
        self.assertIsNone(Groups(SETTINGS, str, lambda *_: None).next_deadline())
