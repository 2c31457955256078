"""`server.following`: what a follower asks, and what it makes of the answers."""

import unittest
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from server.following import MAX_EPOCH, Act, Following, Told
from tests.support.broker_world import ME, TOPIC_ID, BrokerWorld, batch
from tests.support.log_case import append
from wire import messages
from wire.errors import ErrorCode
from wire.frames import read_head

LEADER = 2


class FollowingTest(unittest.TestCase):
    def setUp(self) -> None:
        self.world = BrokerWorld()
        self.follow(epoch=3)
        self.following = Following(ME)

    def follow(self, epoch: int) -> None:
        state = {"replicas": [LEADER, ME], "isr": [LEADER, ME], "leader": LEADER, "leader_epoch": epoch}
        state["partition_epoch"] = epoch
        if not self.world.broker.image.topics:
            self.world.create(**state)
            self.log = self.world.partition().log
            assert self.log is not None
        else:
            self.world.change(self.world.state(**state))

    def ask(self) -> Any:
        """The next request, read as the leader does."""
        frame = memoryview(self.following.request(1, 9, [self.world.partition()]))[4:]
        head = read_head(frame)
        assert head.at is not None
        return messages.decode(1, head.version, frame, head.at)

    def hear(self, error: int = 0, session: int = 0, top: int = 0, **more: Any) -> Told:
        usual = {"partition_index": 0, "error_code": error, "high_watermark": 0, "log_start_offset": 0}
        told = SimpleNamespace(**{**usual, "records": b"", "diverging_epoch": None, **more})
        topic = SimpleNamespace(topic_id=UUID(TOPIC_ID), partitions=[told])
        return self.following.answered(SimpleNamespace(error_code=top, session_id=session, responses=[topic]))

    def test_it_tells_what_it_has_and_in_which_epoch(self) -> None:
        append(self.log, epoch=2)
        (part,) = self.ask().topics[0].partitions
        found = (part.fetch_offset, part.last_fetched_epoch, part.current_leader_epoch, part.log_start_offset)
        self.assertEqual(found, (1, 2, 3, 0))

    def test_a_session_tells_news_only(self) -> None:
        self.assertEqual(len(self.ask().topics), 1)
        self.hear(session=7)
        again = self.ask()
        self.assertEqual((again.session_id, again.session_epoch, again.topics), (7, 1, ()))
        append(self.log, epoch=3)
        self.assertEqual(len(self.ask().topics), 1)

    def test_a_lost_session_is_begun_anew_without_a_pause(self) -> None:
        self.ask()
        self.hear(session=7)
        self.assertEqual(self.hear(top=ErrorCode.FETCH_SESSION_ID_NOT_FOUND), ([], False, []))
        self.assertEqual((len(self.ask().topics), self.ask().session_id), (1, 0))
        self.assertEqual(self.hear(top=ErrorCode.STALE_BROKER_EPOCH), ([], True, []))

    def test_a_session_s_epochs_begin_again(self) -> None:
        self.ask()
        self.hear(session=7)
        with patch("server.following.MAX_EPOCH", 3):
            found = []
            for _ in range(4):
                found.append(self.ask().session_epoch)
                self.hear(session=7)
        self.assertEqual((found, MAX_EPOCH), ([1, 2, 3, 1], 2**31 - 1))

    def test_records_are_appended(self) -> None:
        self.ask()
        ((step,), is_wrong, _) = self.hear(records=bytes(batch(b"x")), high_watermark=5)
        found = (step.act, step.records, step.high_watermark, is_wrong)
        self.assertEqual(found, (Act.APPEND, bytes(batch(b"x")), 5, False))

    def test_an_answer_to_another_time_changes_nothing(self) -> None:
        wrong = ([], False, [self.world.partition()])
        self.ask()
        append(self.log, epoch=3)
        self.assertEqual(self.hear(records=b"x"), wrong, "the log has moved")
        self.ask()
        self.follow(epoch=4)
        self.assertEqual(self.hear(records=b"x"), wrong, "another leader")
        self.ask()
        self.assertEqual(self.hear(error=ErrorCode.NOT_LEADER_OR_FOLLOWER), wrong)

    def test_histories_that_part_are_cut_where_the_first_of_both_ends(self) -> None:
        for epoch in (1, 1, 2, 2):
            append(self.log, epoch=epoch)
        for epoch, end, cut in ((1, 1, 1), (1, 9, 2), (2, 3, 3), (0, 0, 0)):
            with self.subTest(epoch=epoch, end=end):
                self.ask()
                ((step,), _, _) = self.hear(diverging_epoch=SimpleNamespace(epoch=epoch, end_offset=end))
                self.assertEqual((step.act, step.offset), (Act.CUT, cut))

    def test_a_leader_that_begins_later_than_this_log_ends(self) -> None:
        self.ask()
        ((step,), _, _) = self.hear(error=ErrorCode.OFFSET_OUT_OF_RANGE, log_start_offset=50)
        self.assertEqual((step.act, step.offset), (Act.RESTART, 50))


if __name__ == "__main__":
    unittest.main()
