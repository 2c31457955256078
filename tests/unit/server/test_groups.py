"""`server.groups`: answers once, effects in order, none within another; and what is replayed."""

import unittest
from collections.abc import Callable
from typing import Any

from support.group_world import SETTINGS, START, GroupWorld

from server.api.shape import Call, Later
from server.group_words import Commit, DeleteGroup, NewOffset, OffsetsOutcome
from server.groups import Groups
from server.offset_records import OffsetKey, encode_key
from wire.batches import assemble, read_header
from wire.errors import ErrorCode
from wire.primitives import WireError
from wire.records import NewRecord, encode_batch, records_of


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
        """Both commits of one client are durable at once, and each answer brings its next request."""
        log: list[int] = []

        def append(_: int, batch: bytearray, done: Callable[[ErrorCode, Any], None]) -> None:
            log.append(next(records_of(batch)).offset)
            done(ErrorCode.NONE, START)

        groups = Groups(SETTINGS, str, append)
        groups.partitions = 1
        groups.lead(0, START)
        groups.finish_loading(0, START)
        answers: list[Any] = []

        def reply(frame: Any) -> None:
            answers.append(frame)
            if len(answers) < 5:
                call = Call(0, 1, None, "h", "l", START, reply)
                found = groups.ask(call, commit(groups.next_ticket(), len(answers)), frame_of)
                if found is not Later.PARKED:
                    reply(found)

        reply(b"start")
        self.assertEqual(len(answers), 5)

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
