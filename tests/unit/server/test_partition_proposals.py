"""R1: who was proposed for the ISR counts until control has said no, or the image says what became of it."""

import unittest
from types import SimpleNamespace
from typing import Any
from unittest import mock

from server.now import Now
from server.partition import NEVER_MS, Partition
from wire.cluster import Partition as State
from wire.errors import ErrorCode

NOW = Now(10_000, 0)
MOVING = State("a" * 32, 0, (1, 2), (1,), last_leader=1, leader=1, leader_epoch=3, partition_epoch=5, adding=(2,))


class ProposalTest(unittest.TestCase):
    """Server 1 leads with ten messages; 2 has nine of them and is proposed, so that the tenth waits for it."""

    def setUp(self) -> None:
        self.log: Any = mock.Mock(log_start=0, end_offset=9, safe_end=9, failure=None, wants_sync=False)
        rules: Any = SimpleNamespace(min_insync_replicas=1)
        self.host = mock.Mock()
        self.partition = Partition(1, "orders", MOVING, rules, self.host)
        self.partition.opened(self.log, NOW)
        self.partition.fetched(2, 7, 9, 9, NOW)
        self.host.propose_isr.assert_called_once_with(self.partition, (1, 2))
        self.log.end_offset = self.log.safe_end = 10
        self.told: list[ErrorCode] = []
        self.partition.wait(9, NEVER_MS, lambda code, _: self.told.append(code))
        self.partition.appended(NOW)
        self.assertEqual((self.partition.high_watermark, self.told), (9, []))

    def answer(self, code: ErrorCode) -> None:
        self.partition.altered(code, (), 6, NOW)

    def test_what_control_knows_better_acknowledges_nothing(self) -> None:
        for code in (
            ErrorCode.NEW_LEADER_ELECTED, ErrorCode.FENCED_LEADER_EPOCH, ErrorCode.INVALID_UPDATE_VERSION,
            ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.NOT_CONTROLLER,
        ):  # fmt: skip
            with self.subTest(code):
                self.answer(code)
                self.assertEqual((self.partition.proposed, self.told), ((1, 2), []))

    def test_the_image_that_names_the_new_leader_refuses_who_waits(self) -> None:
        self.answer(ErrorCode.NEW_LEADER_ELECTED)
        moved = State("a" * 32, 0, (2,), (2,), last_leader=2, leader=2, leader_epoch=4, partition_epoch=6)
        self.partition.apply(moved, NOW)
        self.assertEqual((self.partition.high_watermark, self.told), (9, [ErrorCode.NOT_LEADER_OR_FOLLOWER]))

    def test_a_no_ends_the_proposal(self) -> None:
        for code in (ErrorCode.INELIGIBLE_REPLICA, ErrorCode.INVALID_REQUEST):
            with self.subTest(code):
                self.setUp()
                self.answer(code)
                self.assertEqual((self.partition.proposed, self.told), (None, [ErrorCode.NONE]))

    def test_the_follower_s_next_fetch_acknowledges(self) -> None:
        self.partition.fetched(2, 7, 10, 10, NOW)
        self.assertEqual(self.told, [ErrorCode.NONE])
