"""`server.control_requests`: what is asked of control, as control's own library reads it."""

import unittest
from uuid import UUID

from server.control_requests import (
    ALLOCATE_VERSION,
    ALTER_PARTITION_VERSION,
    Altered,
    Proposal,
    allocate_producer_ids,
    allocated,
    alter_partition,
    altered,
)
from wire import messages
from wire.errors import ErrorCode
from wire.versions import ALLOCATE_PRODUCER_IDS, ALTER_PARTITION

ONE, TWO = UUID(int=1).hex, UUID(int=2).hex


class AlterPartition(unittest.TestCase):
    def test_members_with_their_epochs_by_topic(self) -> None:
        wishes = [
            Proposal(ONE, 0, 3, 4, ((1, 50), (2, 60))), Proposal(TWO, 5, 6, 7, ((1, 50),)),
            Proposal(ONE, 1, 8, 9, ((9, -1),)),
        ]  # fmt: skip
        body = alter_partition(1, {1: 50, 2: 60}, wishes)
        told = messages.decode(ALTER_PARTITION, ALTER_PARTITION_VERSION, body)
        self.assertEqual((told.broker_id, told.broker_epoch), (1, 50))
        first, second = told.topics
        self.assertEqual((first.topic_id.hex, second.topic_id.hex), (ONE, TWO))
        found = [
            [(one.broker_id, one.broker_epoch) for one in partition.new_isr_with_epochs]
            for partition in first.partitions
        ]
        self.assertEqual(found, [[(1, 50), (2, 60)], [(9, -1)]], "of whom nothing is known: -1")
        (one,) = second.partitions
        self.assertEqual((one.partition_index, one.leader_epoch, one.partition_epoch), (5, 6, 7))

    def answer(self, code: int, topics: list[object]) -> memoryview:
        values = {"throttle_time": 0, "error_code": code, "topics": topics}
        return memoryview(messages.answer(1, messages.build(ALTER_PARTITION, ALTER_PARTITION_VERSION, values)))[4:]

    def test_the_answer(self) -> None:
        one = {"partition_index": 3, "error_code": 0, "leader_id": 1, "leader_epoch": 2, "leader_recovery_state": 0}
        refused = one | {"error_code": int(ErrorCode.INVALID_UPDATE_VERSION), "isr": [], "partition_epoch": 0}
        parts = [one | {"isr": [1, 2], "partition_epoch": 8}, refused]
        told = list(altered(self.answer(0, [{"topic_id": UUID(ONE), "partitions": parts}])))
        self.assertEqual(told[0], Altered(ONE, 3, ErrorCode.NONE, (1, 2), 8))
        self.assertEqual(told[1].code, ErrorCode.INVALID_UPDATE_VERSION)
        self.assertEqual(list(altered(self.answer(int(ErrorCode.STALE_BROKER_EPOCH), []))), [])


class ProducerIds(unittest.TestCase):
    def test_asked_and_given(self) -> None:
        asked = messages.decode(ALLOCATE_PRODUCER_IDS, ALLOCATE_VERSION, allocate_producer_ids(3, {3: 70}))
        self.assertEqual((asked.broker_id, asked.broker_epoch), (3, 70))
        for code, found in ((0, range(1000, 2000)), (int(ErrorCode.STALE_BROKER_EPOCH), range(0))):
            values = {"throttle_time": 0, "error_code": code, "producer_id_start": 1000, "producer_id_len": 1000}
            answer = messages.answer(1, messages.build(ALLOCATE_PRODUCER_IDS, ALLOCATE_VERSION, values))
            self.assertEqual(allocated(memoryview(answer)[4:]), found)


if __name__ == "__main__":
    unittest.main()
