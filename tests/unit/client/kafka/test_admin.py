import unittest
from types import SimpleNamespace as Raw
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from client.errors import Closed, ConfigError, TopicNotFound, Unreachable
from client.kafka.admin import Admin, config_of, entry_of, group_of, lag_of, topic_of, whole_topics
from client.kafka.lookups import patiently
from client.values import ConfigValue, GroupInfo, Lag, Member, PartitionInfo, TopicInfo


class ValuesTest(unittest.TestCase):
    """What confluent-kafka tells, as our values."""

    def test_a_topic(self) -> None:
        one, two = (Raw(id=at, leader=1, replicas=[1, 2], isrs=[1]) for at in (0, 1))
        found = topic_of(Raw(topic="T1", partitions={1: two, 0: one}))
        self.assertEqual(
            found, TopicInfo("T1", (PartitionInfo(0, 1, (1, 2), (1,)), PartitionInfo(1, 1, (1, 2), (1,))), False)
        )
        self.assertTrue(topic_of(Raw(topic="__carousel_names", partitions={})).internal)

    def test_a_group(self) -> None:
        place = Raw(topic="T1", partition=2)
        member = Raw(member_id="m", client_id="c", host="/h", assignment=Raw(topic_partitions=[place]))
        idle = Raw(member_id="a", client_id="c", host="/h", assignment=None)
        state = Raw(name="PREPARING_REBALANCE")
        raw = Raw(group_id="g", state=state, coordinator=Raw(id=3), partition_assignor="range", members=[member, idle])
        self.assertEqual(
            group_of(raw),
            GroupInfo(
                "g",
                "preparing rebalance",
                3,
                "range",
                (Member("a", "c", "/h", ()), Member("m", "c", "/h", (("T1", 2),))),
            ),
        )

    def test_lag(self) -> None:
        for committed, first, lag in ((7, 0, 3), (10, 0, 0), (None, 4, 6), (2, 8, 2), (12, 0, 0)):
            self.assertEqual(lag_of(("T", 0), committed, first, 10), Lag("T", 0, committed, 10, lag))

    def test_partitions_that_were_never_committed_for(self) -> None:
        topics = [
            TopicInfo(name, tuple(PartitionInfo(at, 1, (), ()) for at in range(2)), False) for name in ("T1", "T2")
        ]
        self.assertEqual(whole_topics([("T1", 1), ("gone", 0)], topics), {("T1", 0), ("T1", 1), ("gone", 0)})

    def test_configs(self) -> None:
        self.assertEqual(config_of(Raw(value="1", is_default=0, is_read_only=True)), ConfigValue("1", False, True))
        self.assertEqual(entry_of("a", None).incremental_operation.name, "DELETE")
        self.assertEqual(entry_of("a", "1").incremental_operation.name, "SET")


class PatientlyTest(unittest.TestCase):
    def failing(self, code: int, times: int) -> Any:
        left = [KafkaException(KafkaError(code))] * times

        def ask(_: float) -> str:
            if left:
                raise left.pop()
            return "answer"

        return ask

    def test_errors_that_pass_are_waited_out(self) -> None:
        self.assertEqual(patiently(self.failing(KafkaError._TRANSPORT, 2), "asking", 5), "answer")

    def test_until_the_time_is_up(self) -> None:
        with self.assertRaisesRegex(Unreachable, "^asking: "):
            patiently(self.failing(KafkaError._ALL_BROKERS_DOWN, 1_000), "asking", 0.01)

    def test_others_are_raised_at_once(self) -> None:
        with self.assertRaises(TopicNotFound):
            patiently(self.failing(KafkaError.UNKNOWN_TOPIC_OR_PART, 1), "asking", 5)


class AdminTest(unittest.TestCase):
    def test_closed(self) -> None:
        with Admin("127.0.0.1:1") as admin, self.assertRaisesRegex(ConfigError, "no configs"):
            admin.set_configs("T1", {})
        with self.assertRaises(Closed):
            admin.topics()
        admin.close()
