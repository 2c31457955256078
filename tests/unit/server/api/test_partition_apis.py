"""ListOffsets, DeleteRecords, InitProducerId, OffsetForLeaderEpoch and DescribeLogDirs, in every version, by frames."""

import unittest
from typing import Any

from server.api import k02_list_offsets as k02
from server.api import k21_delete_records as k21
from server.api import k22_init_producer_id as k22
from server.api import k23_offset_for_leader_epoch as k23
from server.api import k35_describe_log_dirs as k35
from server.partition import CONFIRM_MS
from server.storage import StorageError
from tests.support.broker_world import ME, BrokerWorld, batch
from wire import messages
from wire.errors import ErrorCode
from wire.versions import APIS


def versions(key: int) -> range:
    return range(APIS[key].lowest, APIS[key].highest + 1)


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.world = BrokerWorld()
        self.world.create()
        for at in range(3):
            self.world.produce(batch(b"a", b"b", timestamp_ms=1_000 * (at + 1)))

    def ask(self, key: int, version: int, values: dict[str, Any]) -> Any:
        return self.world.told(key, self.world.ask(key, version, values))


class ListOffsets(Case):
    def offset(self, timestamp: int, version: int = 7, number: int = 0, epoch: int = -1) -> tuple[int, int, int]:
        part = {"partition_index": number, "current_leader_epoch": epoch, "timestamp": timestamp}
        values = {"replica_id": -1, "isolation_level": 0, "topics": [{"name": "t", "partitions": [part]}], "timeout": 0}
        (told,) = self.ask(2, version, values).topics[0].partitions
        return int(told.error_code), int(told.timestamp), told.offset

    def test_first_last_and_by_time_in_every_version(self) -> None:
        for version in versions(k02.KEY):
            with self.subTest(version):
                self.assertEqual(self.offset(k02.EARLIEST, version), (0, -1, 0))
                self.assertEqual(self.offset(k02.LATEST, version), (0, -1, 6))
                self.assertEqual(self.offset(1_500, version), (0, 2_000, 2))
                self.assertEqual(self.offset(9_999, version), (0, -1, -1), "nothing is so young")

    def test_the_newest_and_what_lies_in_tiers(self) -> None:
        self.assertEqual(self.offset(k02.NEWEST), (0, 3_000, 4))
        self.assertEqual(self.offset(k02.EARLIEST_LOCAL, 8), (0, -1, 0))
        self.assertEqual(self.offset(k02.NONE_FROM, 9), (0, -1, -1))

    def test_special_times_that_a_version_doesn_t_know(self) -> None:
        for version in versions(k02.KEY):
            for timestamp, since in ((-3, 7), (-4, 8), (-5, 9), (-6, 11), (-7, 99)):
                code = 0 if version >= since else ErrorCode.UNSUPPORTED_VERSION
                self.assertEqual(self.offset(timestamp, version)[0], code, (timestamp, version))

    def test_nothing_above_the_high_watermark(self) -> None:
        self.world.auto_sync = False
        self.world.produce(batch(b"c", timestamp_ms=9_000))
        self.assertEqual(self.offset(k02.LATEST), (0, -1, 6))
        self.assertEqual(self.offset(8_000), (0, -1, -1))

    def test_who_may_not_say(self) -> None:
        self.assertEqual(self.offset(k02.LATEST, number=7)[0], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        self.assertEqual(self.offset(k02.LATEST, epoch=9)[0], ErrorCode.UNKNOWN_LEADER_EPOCH)
        state = {"replicas": [ME, 2], "isr": [ME, 2], "leader_epoch": 1, "partition_epoch": 1}
        self.world.change(self.world.other_broker(2), self.world.state(**state))
        self.assertEqual(self.offset(k02.LATEST)[0], ErrorCode.NOT_LEADER_OR_FOLLOWER, "not confirmed (R2)")
        self.assertEqual(self.offset(k02.EARLIEST)[0], 0)

    def test_a_new_leader_that_has_committed_nothing_yet(self) -> None:
        """KIP-207, with the word of each version."""
        partition = self.world.partition()
        self.world.auto_sync = False
        self.world.produce(batch(b"c"))
        self.world.change(self.world.state(leader_epoch=1, partition_epoch=1))
        self.world.pass_ms(CONFIRM_MS)
        self.assertLess(partition.high_watermark, partition.epoch_start)
        self.assertEqual(self.offset(k02.LATEST, 5)[0], ErrorCode.OFFSET_NOT_AVAILABLE)
        self.assertEqual(self.offset(k02.LATEST, 4)[0], ErrorCode.LEADER_NOT_AVAILABLE)


class DeleteRecords(Case):
    def delete(self, offset: int, version: int = 2, number: int = 0) -> tuple[int, int]:
        parts = [{"partition_index": number, "offset": offset}]
        told = self.ask(21, version, {"topics": [{"name": "t", "partitions": parts}], "timeout": 1_000})
        (one,) = told.topics[0].partitions
        return int(one.error_code), one.low_watermark

    def test_a_later_start_in_every_version(self) -> None:
        for offset, version in enumerate(versions(k21.KEY), 1):
            self.assertEqual(self.delete(offset, version), (0, offset))
        self.assertEqual(self.world.fetched(self.world.fetch(0)).error_code, ErrorCode.OFFSET_OUT_OF_RANGE)

    def test_never_back_and_never_beyond_the_high_watermark(self) -> None:
        self.assertEqual(self.delete(k21.TO_HIGH_WATERMARK), (0, 6))
        self.assertEqual(self.delete(2), (0, 6))
        for offset in (7, -2):
            self.assertEqual(self.delete(offset), (ErrorCode.OFFSET_OUT_OF_RANGE, -1))

    def test_where_it_may_not_be(self) -> None:
        self.assertEqual(self.delete(1, number=9)[0], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        topic_id = self.world.partition().topic_id
        self.world.change({"type": "topic_configs", "id": topic_id, "configs": {"cleanup.policy": "compact"}})
        self.assertEqual(self.delete(1)[0], ErrorCode.POLICY_VIOLATION)


class InitProducerId(Case):
    def number(self, version: int = 5, transactional_id: str | None = None) -> tuple[int, int, int]:
        values = {"transactional_id": transactional_id, "transaction_timeout": 1_000}
        told = self.ask(22, version, {**values, "producer_id": -1, "producer_epoch": -1})
        return int(told.error_code), told.producer_id, told.producer_epoch

    def give(self, start: int, count: int) -> None:
        values = {"throttle_time": 0, "error_code": 0, "producer_id_start": start, "producer_id_len": count}
        answer = messages.answer(0, messages.build(67, 0, values))
        self.world.asked_control[-1][2](memoryview(answer)[4:])

    def test_out_of_blocks_that_control_gives(self) -> None:
        self.assertEqual(self.number(), (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, -1, -1))
        self.give(100, 2)
        self.assertEqual([self.number(version) for version in (0, 1)], [(0, 100, 0), (0, 101, 0)])
        self.assertEqual(len(self.world.asked_control), 2, "the next block is asked for before this one ends")
        self.give(500, 9)
        self.assertEqual([self.number(version)[1] for version in versions(k22.KEY)], list(range(500, 506)))

    def test_control_that_says_nothing_is_asked_again(self) -> None:
        self.number()
        self.world.asked_control[-1][2](ErrorCode.REQUEST_TIMED_OUT)
        self.number()
        self.assertEqual(len(self.world.asked_control), 2)

    def test_no_transactions(self) -> None:
        self.assertEqual(self.number(transactional_id="x")[0], ErrorCode.INVALID_REQUEST)


class OffsetForLeaderEpoch(Case):
    def end(self, epoch: int, version: int = 4, current: int = -1, number: int = 0) -> tuple[int, int, int]:
        part = {"partition": number, "current_leader_epoch": current, "leader_epoch": epoch}
        told = self.ask(23, version, {"replica_id": -1, "topics": [{"topic": "t", "partitions": [part]}]})
        (one,) = told.topics[0].partitions
        return int(one.error_code), one.leader_epoch, one.end_offset

    def test_where_epochs_end(self) -> None:
        self.world.change(self.world.state(leader_epoch=4, partition_epoch=1))
        self.world.produce(batch(b"c"))
        for version in versions(k23.KEY):
            self.assertEqual(self.end(0, version), (0, 0, 6))
            self.assertEqual(self.end(4, version), (0, 4, 7))
            self.assertEqual(self.end(2, version), (0, 0, 6), "the last one before")
            self.assertEqual(self.end(5, version), (0, -1, -1), "not yet")

    def test_whose_epoch_is_old_or_ahead(self) -> None:
        self.world.change(self.world.state(leader_epoch=4, partition_epoch=1))
        self.assertEqual(self.end(0, current=3)[0], ErrorCode.FENCED_LEADER_EPOCH)
        self.assertEqual(self.end(0, current=5)[0], ErrorCode.UNKNOWN_LEADER_EPOCH)
        self.assertEqual(self.end(0, number=3)[0], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


class DescribeLogDirs(Case):
    def test_sizes(self) -> None:
        for version in versions(k35.KEY):
            (told,) = self.ask(35, version, {"topics": None}).results
            (topic,) = told.topics
            (one,) = topic.partitions
            log = self.world.partition().log
            assert log is not None
            self.assertEqual((topic.name, one.partition_size, one.offset_lag), ("t", log.size_bytes, 0))
            if version >= 4:
                self.assertEqual((told.total_bytes, told.usable_bytes), (1_000, 500))

    def test_some_only(self) -> None:
        (told,) = self.ask(35, 4, {"topics": [{"topic": "t", "partitions": [5]}]}).results
        self.assertEqual(told.topics, ())

    def test_one_whose_disk_failed_is_still_told(self) -> None:
        self.world.broker.disk_failed(self.world.partition(), StorageError("gone", final=True), self.world.now)
        self.assertEqual(len(self.ask(35, 4, {"topics": None}).results[0].topics), 1)


if __name__ == "__main__":
    unittest.main()
