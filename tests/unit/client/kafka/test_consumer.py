import threading
import unittest
import unittest.mock
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from client.errors import BadValue, Closed, ConfigError, OffsetOutOfRange, PartitionNotFound, TopicNotFound, Unreachable
from client.kafka import reading
from client.kafka.consumer import Consumer
from tests.support.fake_librdkafka import FakeCluster, FakeMessage
from wire.http_queue import NAMES_TOPIC, encode_name, name_key

AT = "127.0.0.1:9092"
NOT_LONG_S = 0.01


class ConsumerCase(unittest.TestCase):
    def setUp(self) -> None:
        patched = FakeCluster().patched()
        self.cluster = patched.__enter__()
        self.addCleanup(patched.__exit__, None, None, None)
        self.cluster.store("T1", b"a", b"b", b"c")

    def consumer(self, topics: Any = "T1", **options: Any) -> Consumer:
        consumer = Consumer(AT, topics, **options)
        self.addCleanup(consumer.close)
        return consumer

    @property
    def raw(self) -> Any:
        return self.cluster.consumers[-1]

    def values(self, consumer: Consumer, count: int) -> list[Any]:
        return [message.value for message in consumer.batch(count, NOT_LONG_S)]


class ReadingTest(ConsumerCase):
    def test_idle_is_who_was_left_nothing_by_the_group(self) -> None:
        consumer = self.consumer(group="g")
        self.assertFalse(consumer.idle)
        self.raw.rebalance(None)
        self.assertFalse(consumer.idle)
        self.raw.rebalance({})
        self.assertTrue(consumer.idle)
        self.raw.rebalance({("T1", 0): 0})
        self.assertFalse(consumer.idle)
        self.assertFalse(self.consumer().idle)

    def test_iteration_ends_by_stop(self) -> None:
        consumer = self.consumer(deserializer="str")
        seen = []
        for message in consumer:
            seen.append((message.topic, message.partition, message.offset, message.value))
            if message.offset == 2:
                consumer.stop()
        self.assertEqual(seen, [("T1", 0, 0, "a"), ("T1", 0, 1, "b"), ("T1", 0, 2, "c")])
        self.assertIsNone(consumer.poll(5))

    def test_stop_from_another_thread(self) -> None:
        consumer = self.consumer(start="latest")
        threading.Timer(0.02, consumer.stop).start()
        self.assertEqual(list(consumer), [])

    def test_poll_without_a_message(self) -> None:
        self.assertIsNone(self.consumer(start="latest").poll(0))

    def test_batches(self) -> None:
        consumer = self.consumer()
        self.assertEqual(self.values(consumer, 2), [b"a", b"b"])
        self.assertEqual(self.values(consumer, 5), [b"c"])
        self.assertEqual(self.values(consumer, 5), [])

    def test_a_tombstone_a_key_and_headers(self) -> None:
        self.cluster.logs["T2"] = [[FakeMessage("T2", 0, 0, None, b"k", [("h", b"1")], 9)]]
        message = self.consumer("T2", deserializer="json").poll(5)
        assert message is not None
        self.assertEqual(
            (message.key, message.value, message.headers, message.timestamp_ms), (b"k", None, (("h", b"1"),), 9)
        )

    def test_caught_up(self) -> None:
        consumer = self.consumer()
        self.assertFalse(consumer.caught_up)
        self.values(consumer, 2)
        self.assertFalse(consumer.caught_up)
        self.values(consumer, 2)
        self.assertTrue(consumer.caught_up)
        self.cluster.store("T1", b"d")
        self.assertEqual(self.values(consumer, 1), [b"d"])
        self.assertTrue(consumer.caught_up)

    def test_seek_drops_what_was_fetched(self) -> None:
        consumer = self.consumer()
        self.values(consumer, 1)
        consumer.seek("T1", 0, 0)
        self.assertEqual(self.values(consumer, 3), [b"a", b"b", b"c"])

    def test_a_value_that_can_not_be_read_is_raised_in_its_turn_and_passed_over(self) -> None:
        self.cluster.store("T2", b"1", b"{", b"3")
        consumer = self.consumer("T2", deserializer="json")
        self.assertEqual(self.values(consumer, 3), [1])
        with self.assertRaisesRegex(BadValue, "T2, partition 0, offset 1"):
            consumer.batch(3, NOT_LONG_S)
        self.assertEqual(self.values(consumer, 3), [3])

    def test_errors_that_pass_are_not_heard(self) -> None:
        consumer = self.consumer()
        self.raw.trouble.append(FakeMessage("T1", 0, 0, None, error_=KafkaError(KafkaError._TRANSPORT)))
        self.assertEqual(self.values(consumer, 3), [b"a", b"b", b"c"])

    def test_errors_that_stay_are_raised_and_lose_no_message(self) -> None:
        consumer = self.consumer()
        self.raw.trouble.append(FakeMessage("T1", 0, 0, None, error_=KafkaError(KafkaError.OFFSET_OUT_OF_RANGE)))
        with self.assertRaisesRegex(OffsetOutOfRange, "^reading T1: "):
            consumer.poll(5)
        self.assertEqual(self.values(consumer, 3), [b"a", b"b", b"c"])

    def test_closed(self) -> None:
        consumer = self.consumer()
        consumer.close()
        consumer.close()
        self.assertTrue(self.raw.closed)
        with self.assertRaises(Closed):
            consumer.poll(0)


class WhereTest(ConsumerCase):
    def test_starts(self) -> None:
        for start, first in {"earliest": b"a", 1: b"b", "latest": b"d"}.items():
            with self.subTest(start):
                consumer = self.consumer(start=start)
                if start == "latest":
                    self.cluster.store("T1", b"d")
                self.assertEqual(self.values(consumer, 1), [first])

    def test_a_start_for_each_place(self) -> None:
        self.cluster.store("T1", b"x", b"y", partition=1)
        consumer = self.consumer(start={("T1", 1): 1})
        self.assertEqual(sorted(self.values(consumer, 9)), [b"a", b"b", b"c", b"y"])

    def test_single_partitions_by_name_and_number(self) -> None:
        self.cluster.store("T1", b"x", partition=1)
        self.cluster.logs[NAMES_TOPIC] = [[]]
        self.cluster.logs[NAMES_TOPIC][0].append(
            FakeMessage(NAMES_TOPIC, 0, 0, encode_name("north"), name_key("T1", 1))
        )
        for wanted in ("T1:north", "T1:1", [("T1", 1)]):
            with self.subTest(wanted):
                consumer = self.consumer(wanted)
                self.assertEqual(consumer.assignment(), (("T1", 1),))
                self.assertEqual(self.values(consumer, 9), [b"x"])

    def test_what_is_not_there(self) -> None:
        with self.assertRaisesRegex(TopicNotFound, "^T9: no such topic"):
            self.consumer("T9")
        self.assertTrue(self.raw.closed)
        with self.assertRaisesRegex(PartitionNotFound, "T1 has the partitions P1"):
            self.consumer("T1:P9")

    def test_a_cluster_that_is_away_for_a_while(self) -> None:
        self.cluster.away = 2
        self.assertEqual(self.values(self.consumer(), 1), [b"a"])
        self.cluster.away = 10_000
        with self.assertRaisesRegex(Unreachable, "looking for topics"):
            self.consumer(patience_s=0.05)

    def test_starts_that_can_not_be(self) -> None:
        for start, group in (("first", None), (-1, None), (5, "g"), ({("T1", 0): 1}, "g")):
            with self.subTest(start), self.assertRaises(ConfigError):
                self.consumer(start=start, group=group)

    def test_ends(self) -> None:
        self.assertEqual(self.consumer().ends(), {("T1", 0): 3})


class GroupTest(ConsumerCase):
    def test_a_message_counts_once_the_next_is_asked_for(self) -> None:
        consumer = self.consumer(group="g")
        self.values(consumer, 2)
        self.assertEqual(self.raw.stored, {})
        self.values(consumer, 1)
        self.values(consumer, 1)
        self.assertEqual(self.raw.stored, {("T1", 0): 3})

    def test_what_was_in_work_when_the_block_failed_comes_again(self) -> None:
        with self.assertRaises(ZeroDivisionError), Consumer(AT, "T1", group="g") as consumer:
            for message in consumer:
                if message.offset == 1:
                    raise ZeroDivisionError
        self.assertEqual(self.cluster.committed, {("T1", 0): 1})

    def test_a_block_left_in_peace_commits_what_was_handed_out(self) -> None:
        with Consumer(AT, "T1", group="g") as consumer:
            consumer.batch(2, NOT_LONG_S)
        self.assertEqual(self.cluster.committed, {("T1", 0): 2})

    def test_commit(self) -> None:
        consumer = self.consumer(group="g")
        consumer.commit()
        self.values(consumer, 2)
        consumer.commit()
        self.assertEqual(self.cluster.committed, {("T1", 0): 2})
        with self.assertRaisesRegex(ConfigError, "without a group"):
            self.consumer().commit()

    def test_done_positions_are_stored_now_and_then_while_a_chunk_is_worked_on(self) -> None:
        with unittest.mock.patch.object(reading, "STORE_S", 0.0):
            consumer = self.consumer(group="g")
            consumer.poll(5)
            consumer.poll(5)
        self.assertEqual(self.raw.stored, {("T1", 0): 1})

    def test_a_partition_that_was_taken_away_is_not_stored(self) -> None:
        consumer = self.consumer(group="g")
        self.values(consumer, 3)
        self.raw.places = {}
        self.values(consumer, 1)
        self.assertEqual(self.raw.stored, {})

    def test_a_group_on_single_partitions_goes_on_where_it_committed(self) -> None:
        self.cluster.committed = {("T1", 0): 1}
        self.assertEqual(self.values(self.consumer("T1:0", group="g"), 1), [b"b"])
        self.cluster.committed = {}
        self.assertEqual(self.values(self.consumer("T1:0", group="g", start=2), 1), [b"c"])

    def test_a_coordinator_that_says_no(self) -> None:
        consumer = self.consumer(group="g")
        with (
            unittest.mock.patch.object(
                self.raw, "commit", side_effect=KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))
            ),
            self.assertRaisesRegex(Exception, "committing for g"),
        ):
            consumer.commit()
