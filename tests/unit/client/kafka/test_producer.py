import threading
import unittest
from concurrent.futures import wait
from typing import Any

from confluent_kafka import KafkaError

from client.errors import (
    BadValue,
    Closed,
    ConfigError,
    MessageTooLarge,
    NotDelivered,
    PartitionNotFound,
    QueueFull,
    TopicNotFound,
)
from client.kafka.producer import Producer
from client.values import Sent
from tests.support.fake_librdkafka import FakeCluster

AT = "127.0.0.1:9092"


class ProducerTest(unittest.TestCase):
    def setUp(self) -> None:
        patched = FakeCluster().patched()
        self.cluster = patched.__enter__()
        self.addCleanup(patched.__exit__, None, None, None)

    def producer(self, **options: Any) -> Producer:
        producer = Producer(AT, **options)
        self.addCleanup(producer.close)
        return producer

    def test_a_future_has_the_place_in_the_log(self) -> None:
        with Producer(AT, serializer="json") as producer:
            first = producer.send("T1", {"a": 1})
            second = producer.send("T1", None, key="k", partition=0, headers={"h": "v"}, timestamp_ms=7)
            self.assertEqual(first.result(5), Sent("T1", 0, 0, 1))
            self.assertEqual(second.result(5), Sent("T1", 0, 1, 7))
        self.assertEqual([one.value_ for one in self.cluster.logs["T1"][0]], [b'{"a":1}', None])

    def test_send_and_wait(self) -> None:
        self.assertEqual(self.producer().send_and_wait("T1", b"x").offset, 0)

    def test_what_is_passed_on(self) -> None:
        self.cluster.hold = True
        producer = self.producer()
        producer.send("T1", b"v", b"k", 3, [("a", b"1"), ("a", None)], 9)
        ((message, _),) = self.cluster.producers[0].waiting
        self.assertEqual((message.key_, message.partition_, message.time_ms), (b"k", 3, 9))
        self.assertEqual(message.headers_, [("a", b"1"), ("a", None)])
        self.assertEqual(producer.pending, 1)
        self.cluster.hold = False

    def test_leaving_the_block_waits_for_all(self) -> None:
        self.cluster.hold = True
        done: list[bool] = []
        with Producer(AT) as producer:
            future = producer.send("T1", b"x")
            future.add_done_callback(lambda _: done.append(True))
            threading.Timer(0.05, self._deliver).start()
        self.assertEqual(done, [True])

    def _deliver(self) -> None:
        self.cluster.hold = False
        self.cluster.producers[0].wake()

    def test_a_failure_that_nobody_looked_at_is_raised_by_flush_once(self) -> None:
        self.cluster.failing = KafkaError._MSG_TIMED_OUT
        producer = self.producer()
        futures = [producer.send("T1", b"x") for _ in range(3)]
        with self.assertRaisesRegex(NotDelivered, "^sending to T1: .* What to do: ") as caught:
            producer.flush(5)
        self.assertEqual(caught.exception.__notes__, ["the first of 3 messages that failed"])
        self.assertTrue(all(future.done() for future in futures))
        producer.flush(5)

    def test_a_failure_that_was_looked_at_is_not_raised_again(self) -> None:
        self.cluster.failing = KafkaError.UNKNOWN_TOPIC_OR_PART
        with Producer(AT) as producer:
            self.assertIsInstance(producer.send("T1", b"x").exception(5), TopicNotFound)
            with self.assertRaises(TopicNotFound):
                producer.send_and_wait("T1", b"x")

    def test_the_blocks_own_error_goes_before_a_failure(self) -> None:
        self.cluster.failing = KafkaError._MSG_TIMED_OUT
        with self.assertRaisesRegex(ZeroDivisionError, "mine") as caught, Producer(AT) as producer:
            producer.send("T1", b"x")
            raise ZeroDivisionError("mine")
        self.assertIn("and at the producer's end: sending to T1", caught.exception.__notes__[0])

    def test_a_flush_that_is_too_short(self) -> None:
        self.cluster.hold = True
        producer = self.producer()
        future = producer.send("T1", b"x")
        with self.assertRaisesRegex(NotDelivered, "1 messages are not acknowledged yet"):
            producer.flush(0)
        self.assertFalse(future.done())
        self._deliver()
        self.assertEqual(future.result(5).offset, 0)

    def test_a_full_queue_is_waited_for(self) -> None:
        self.cluster.full = True
        producer = self.producer()
        threading.Timer(0.02, self._make_room).start()
        self.assertEqual(producer.send("T1", b"x").result(5).offset, 0)

    def _make_room(self) -> None:
        self.cluster.full = False

    def test_a_queue_that_stays_full(self) -> None:
        self.cluster.full = True
        with self.assertRaisesRegex(QueueFull, "stayed full for 0.01 s"):
            self.producer(max_block_s=0.01).send("T1", b"x")

    def test_what_never_was_queued_is_raised_at_once(self) -> None:
        producer = self.producer()
        with self.assertRaises(BadValue):
            producer.send("T1", "text")
        self.cluster.refused = KafkaError.MSG_SIZE_TOO_LARGE
        with self.assertRaises(MessageTooLarge):
            producer.send("T1", b"x")
        self.cluster.refused = 0
        producer.flush(5)

    def test_what_librdkafka_knows_already_is_told_like_a_servers_answer(self) -> None:
        self.cluster.refused = KafkaError._UNKNOWN_PARTITION
        producer = self.producer()
        self.assertIsInstance(producer.send("T1", b"x", partition=7).exception(5), PartitionNotFound)
        producer.send("T1", b"x", partition=7)
        with self.assertRaises(PartitionNotFound):
            producer.flush(5)

    def test_a_future_can_not_be_cancelled(self) -> None:
        future = self.producer().send("T1", b"x")
        self.assertFalse(future.cancel())
        wait([future], 5)

    def test_closed(self) -> None:
        producer = self.producer()
        producer.close()
        producer.close()
        with self.assertRaises(Closed):
            producer.send("T1", b"x")

    def test_what_a_close_gives_up_fails(self) -> None:
        self.cluster.hold = True
        producer = self.producer()
        future = producer.send("T1", b"x")
        with self.assertRaises(NotDelivered):
            producer.close(0)
        self.assertEqual(getattr(future.exception(5), "code", ""), "_PURGE_QUEUE")

    def test_wrong_arguments(self) -> None:
        with self.assertRaises(ConfigError):
            Producer("nowhere")
        with self.assertRaises(ConfigError):
            Producer(AT, serializer="yaml")  # type: ignore[arg-type]


class RealLibrdkafkaTest(unittest.TestCase):
    def test_an_unknown_property(self) -> None:
        with self.assertRaisesRegex(ConfigError, 'No such configuration property: "no.such"'):
            Producer(AT, no_such=1)
