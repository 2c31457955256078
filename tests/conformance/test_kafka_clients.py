"""Real clients against one broker: confluent-kafka, aiokafka, kafka-python (and kcat, where it is installed)."""

import asyncio
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from server.log_settings import Fsync
from tests.support.kafka_python import kafka
from tests.support.one_broker import running

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
TOPICS = {
    "one": (1, {}),
    "three": (3, {}),
    "small": (1, {"max.message.bytes": "2000"}),
    "compacted": (1, {"cleanup.policy": "compact"}),
    "stamped": (1, {"message.timestamp.type": "LogAppendTime"}),
    "short": (1, {"min.insync.replicas": "2"}),
    **{f"codec-{client}-{codec}": (1, {}) for client in ("c", "a", "k", "cat") for codec in CODECS},
}


class KafkaClientsCase(unittest.TestCase):
    """One broker for all tests of a class; each test has topics of its own."""

    where: str
    fsync = Fsync.ALWAYS

    @classmethod
    def setUpClass(cls) -> None:
        cls.path = Path(tempfile.mkdtemp(dir="/tmp"))
        cls._context = running(cls.path, TOPICS, fsync=cls.fsync)
        cls.where = cls._context.__enter__()

    @classmethod
    def tearDownClass(cls) -> None:
        cls._context.__exit__(None, None, None)
        shutil.rmtree(cls.path)


class TestConfluent(KafkaClientsCase):
    def producer(self, **more: Any) -> Producer:
        settings = {key.replace("_", "."): value for key, value in more.items()}
        return Producer({"bootstrap.servers": self.where, "linger.ms": 2, **settings})

    def consumer(self, group: str = "g", **more: Any) -> Consumer:
        settings = {key.replace("_", "."): value for key, value in more.items()}
        return Consumer(
            {"bootstrap.servers": self.where, "group.id": group, "auto.offset.reset": "earliest", **settings}
        )

    def read(self, consumer: Consumer, count: int, within_s: float = 15.0) -> list[Any]:
        found: list[Any] = []
        end = time.monotonic() + within_s
        while len(found) < count and time.monotonic() < end:
            for message in consumer.consume(count, 0.5):
                self.assertIsNone(message.error())
                found.append(message)
        return found

    def send(self, producer: Producer, topic: str, **what: Any) -> Any:
        told: list[Any] = []
        producer.produce(topic, on_delivery=lambda error, message: told.append((error, message)), **what)
        self.assertEqual(producer.flush(10), 0)
        return told[0]

    def test_each_codec_keys_headers_and_times(self) -> None:
        for codec in CODECS:
            with self.subTest(codec):
                producer = self.producer(compression_codec=codec)
                topic = f"codec-c-{codec}"
                for at in range(100):
                    producer.produce(topic, b"v" * at, b"k%d" % at, headers=[("h", b"%d" % at)], timestamp=1_000 + at)
                self.assertEqual(producer.flush(10), 0)
                consumer = self.consumer()
                consumer.assign([TopicPartition(topic, 0, 0)])
                found = self.read(consumer, 100)
                self.assertEqual([message.offset() for message in found], list(range(100)))
                self.assertEqual([message.timestamp() for message in found], [(1, 1_000 + at) for at in range(100)])
                self.assertEqual(found[7].headers(), [("h", b"7")])
                self.assertEqual((found[7].key(), found[7].value()), (b"k7", b"v" * 7))
                consumer.close()

    def test_acks_and_idempotence(self) -> None:
        for more in ({"acks": 0}, {"acks": 1}, {"acks": -1}, {"enable_idempotence": True}):
            with self.subTest(**more):
                error, _ = self.send(self.producer(**more), "three", value=b"x")
                self.assertIsNone(error)

    def test_offsets_by_time(self) -> None:
        producer = self.producer()
        for at in range(10):
            producer.produce("one", b"x", timestamp=10_000 + 10 * at)
        producer.flush(10)
        consumer = self.consumer()
        self.assertEqual(consumer.get_watermark_offsets(TopicPartition("one", 0)), (0, 10))
        (found,) = consumer.offsets_for_times([TopicPartition("one", 0, 10_035)])
        self.assertEqual(found.offset, 4)
        (found,) = consumer.offsets_for_times([TopicPartition("one", 0, 99_000)])
        self.assertEqual(found.offset, -1)
        consumer.close()

    def test_a_group_commits_and_goes_on(self) -> None:
        producer = self.producer()
        for at in range(100):
            producer.produce("group", b"%d" % at)
        producer.flush(10)
        first = self.consumer("goes-on", enable_auto_commit=False)
        first.subscribe(["group"])
        self.assertEqual(len(self.read(first, 100)), 100)
        first.commit(asynchronous=False)
        first.close()
        producer.produce("group", b"new")
        producer.flush(10)
        second = self.consumer("goes-on")
        second.subscribe(["group"])
        self.assertEqual([message.value() for message in self.read(second, 1)], [b"new"])
        second.close()

    def test_refusals(self) -> None:
        error, _ = self.send(self.producer(), "small", value=b"x" * 3_000)
        self.assertEqual(error.code(), KafkaError.MSG_SIZE_TOO_LARGE)
        error, _ = self.send(self.producer(), "compacted", value=b"no key")
        self.assertEqual(error.code(), KafkaError.INVALID_RECORD)
        error, _ = self.send(self.producer(), "compacted", value=b"v", key=b"k")
        self.assertIsNone(error)
        error, _ = self.send(self.producer(message_timeout_ms=1500), "short", value=b"v")
        self.assertIsNotNone(error)
        error, _ = self.send(self.producer(acks=1), "short", value=b"v")
        self.assertIsNone(error)

    def test_log_append_time(self) -> None:
        before = int(time.time() * 1000)
        error, message = self.send(self.producer(), "stamped", value=b"x", timestamp=1)
        self.assertIsNone(error)
        kind, at = message.timestamp()
        self.assertEqual(kind, 2)
        self.assertGreaterEqual(at, before)


class TestAiokafka(KafkaClientsCase):
    def test_each_codec(self) -> None:
        asyncio.run(asyncio.wait_for(self.each_codec(), 60))

    async def each_codec(self) -> None:
        for codec in CODECS:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.where, compression_type=None if codec == "none" else codec
            )
            await producer.start()
            topic = f"codec-a-{codec}"
            sent = [await producer.send_and_wait(topic, b"v%d" % at, b"k", timestamp_ms=at + 1) for at in range(20)]
            self.assertEqual([one.offset for one in sent], list(range(20)))
            await producer.stop()
            consumer = AIOKafkaConsumer(topic, bootstrap_servers=self.where, auto_offset_reset="earliest")
            await consumer.start()
            found = [await consumer.getone() for _ in range(20)]
            self.assertEqual([one.value for one in found], [b"v%d" % at for at in range(20)])
            self.assertEqual(found[3].timestamp, 4)
            await consumer.stop()

    def test_a_group_and_idempotence(self) -> None:
        asyncio.run(asyncio.wait_for(self.group(), 60))

    async def group(self) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.where, enable_idempotence=True)
        await producer.start()
        await asyncio.gather(*(producer.send_and_wait("three", b"%d" % at) for at in range(200)))
        await producer.stop()
        consumer = AIOKafkaConsumer(
            "three", bootstrap_servers=self.where, group_id="a", auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        found = {(await consumer.getone()).value for _ in range(200)}
        self.assertEqual(len(found), 200)
        await consumer.commit()
        await consumer.stop()


class TestKafkaPython(KafkaClientsCase):
    def test_each_codec(self) -> None:
        for codec in ("none", "gzip"):  # for the others it wants libraries that nobody else here needs
            with self.subTest(codec):
                topic = f"codec-k-{codec}"
                producer = kafka.KafkaProducer(
                    bootstrap_servers=self.where, compression_type=None if codec == "none" else codec
                )
                for at in range(20):
                    producer.send(topic, b"v%d" % at, key=b"k", headers=[("h", b"1")], timestamp_ms=at + 1)
                producer.flush(10)
                producer.close()
                consumer = kafka.KafkaConsumer(bootstrap_servers=self.where, consumer_timeout_ms=5000)
                partition = kafka.TopicPartition(topic, 0)
                consumer.assign([partition])
                consumer.seek_to_beginning(partition)
                found = [next(consumer) for _ in range(20)]
                self.assertEqual([one.value for one in found], [b"v%d" % at for at in range(20)])
                self.assertEqual(consumer.offsets_for_times({partition: 5})[partition].offset, 4)
                consumer.close()


@unittest.skipUnless(shutil.which("kcat"), "kcat isn't installed")
class TestKcat(KafkaClientsCase):
    def kcat(self, *arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(["kcat", "-b", self.where, *arguments], input=given, capture_output=True, timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_each_codec(self) -> None:
        for codec in CODECS:
            with self.subTest(codec):
                topic = f"codec-cat-{codec}"
                self.kcat("-P", "-t", topic, "-z", codec, "-K:", given=b"a:1\nb:2\n")
                self.assertEqual(self.kcat("-C", "-t", topic, "-e", "-q", "-K:", "-o", "beginning"), b"a:1\nb:2\n")


if __name__ == "__main__":
    unittest.main()
