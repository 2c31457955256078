"""confluent-kafka, aiokafka, kafka-python and kcat behind one face, so that a test is a table of clients.

A client that lacks something (kcat can't set timestamps, kafka-python needs packages for most codecs) says so by its
attributes; a test leaves it out there. An error that the broker answered is raised as `Refused` with Kafka's code.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import confluent_kafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AioPartition
from aiokafka.errors import KafkaError as AioError

from support.kafka_python import kafka, kafka_codec

PATIENCE_S: Final = 20.0
CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
APPEND_TIME: Final = 1  # the wire's timestamp type; 0 is the producer's own time

T = TypeVar("T")
Headers = tuple[tuple[str, bytes | None], ...]


class Refused(Exception):
    """The broker's error code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Message:
    value: bytes | None = b""
    key: bytes | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as a consumer sees it. `appended`: the time is the broker's."""

    partition: int
    offset: int
    message: Message
    appended: bool = False


@dataclass(frozen=True, slots=True)
class Sending:
    """How a producer sends. `partition` None: its partitioner chooses, by murmur2 of the key as Java's does."""

    partition: int | None = 0
    acks: int = -1
    codec: str = "none"
    idempotent: bool = False
    max_bytes: int = 4 << 20


PLAIN: Final = Sending()


class Client(Protocol):
    name: str
    bootstrap: str
    codecs: frozenset[str]
    stamps: bool
    """Whether it sets timestamps and headers of each message."""

    def produce(self, topic: str, messages: Sequence[Message], how: Sending = PLAIN) -> list[tuple[int, int]]:
        """(partition, offset) of each message; an offset is -1 where no acknowledgment told it."""
        ...

    def consume(self, topic: str, count: int, partition: int = 0, offset: int = 0) -> list[Stored]:
        """The next `count` messages from `offset` on. Raises TimeoutError if they don't come."""
        ...


class Confluent:
    name = "confluent-kafka"
    codecs = frozenset(CODECS)
    stamps = True

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def produce(self, topic: str, messages: Sequence[Message], how: Sending = PLAIN) -> list[tuple[int, int]]:
        placed: list[Any] = [None] * len(messages)
        producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "acks": how.acks,
                "compression.type": how.codec,
                "enable.idempotence": how.idempotent,
                "message.max.bytes": how.max_bytes,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "message.timeout.ms": int(PATIENCE_S * 1000),
            }
        )
        for index, message in enumerate(messages):
            more: dict[str, Any] = {} if how.partition is None else {"partition": how.partition}
            if message.timestamp_ms is not None:
                more["timestamp"] = message.timestamp_ms
            told = placing(placed, index)
            producer.produce(topic, message.value, message.key, headers=list(message.headers), on_delivery=told, **more)
        assert producer.flush(PATIENCE_S) == 0, "not all were delivered"
        for one in placed:
            if isinstance(one, confluent_kafka.KafkaError):
                raise Refused(one.code())
        return placed

    def consume(self, topic: str, count: int, partition: int = 0, offset: int = 0) -> list[Stored]:
        settings = {"bootstrap.servers": self.bootstrap, "group.id": "unused", "enable.auto.commit": False}
        with closing(confluent_kafka.Consumer(settings)) as consumer:
            consumer.assign([confluent_kafka.TopicPartition(topic, partition, offset)])
            return [_of_confluent(message) for message in consumed(consumer, count)]


def placing(placed: list[Any], index: int) -> Callable[[Any, Any], None]:
    """A delivery callback that notes where the message went, or its error."""

    def told(error: Any, message: Any) -> None:
        placed[index] = error or (message.partition(), -1 if message.offset() is None else message.offset())

    return told


def consumed(consumer: Any, count: int, timeout_s: float = PATIENCE_S) -> list[Any]:
    """The next messages of a confluent-kafka consumer. Raises Refused, or TimeoutError if too few come."""
    found: list[Any] = []
    deadline = time.monotonic() + timeout_s
    while len(found) < count:
        for message in consumer.consume(count - len(found), 0.1):
            if message.error() is not None:
                raise Refused(message.error().code())
            found.append(message)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(found)} of {count} messages within {timeout_s} s")
    return found


def _of_confluent(message: Any) -> Stored:
    kind, stamp = message.timestamp()
    headers = tuple((name, value) for name, value in message.headers() or [])
    seen = Message(message.value(), message.key(), headers, stamp)
    return Stored(message.partition(), message.offset(), seen, kind == confluent_kafka.TIMESTAMP_LOG_APPEND_TIME)


class Aio:
    name = "aiokafka"
    codecs = frozenset(CODECS)
    stamps = True

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def produce(self, topic: str, messages: Sequence[Message], how: Sending = PLAIN) -> list[tuple[int, int]]:
        return run(self._produce(topic, messages, how))

    def consume(self, topic: str, count: int, partition: int = 0, offset: int = 0) -> list[Stored]:
        return run(self._consume(topic, count, AioPartition(topic, partition), offset))

    async def _produce(self, topic: str, messages: Sequence[Message], how: Sending) -> list[tuple[int, int]]:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap,
            acks="all" if how.acks == -1 else how.acks,
            compression_type=None if how.codec == "none" else how.codec,
            enable_idempotence=how.idempotent,
            max_request_size=how.max_bytes,
            linger_ms=5,
        )
        async with producer:
            futures = [
                await producer.send(
                    topic,
                    message.value,
                    message.key,
                    how.partition,
                    message.timestamp_ms,
                    list(message.headers),
                )
                for message in messages
            ]
            try:
                placed = await asyncio.gather(*futures)
            except AioError as error:
                raise Refused(error.errno) from error
        return [(0, -1) if one is None else (one.partition, one.offset) for one in placed]

    async def _consume(self, topic: str, count: int, partition: AioPartition, offset: int) -> list[Stored]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None, max_partition_fetch_bytes=4 << 20)
        async with consumer:
            consumer.assign([partition])
            consumer.seek(partition, offset)
            return [_of_record(await consumer.getone()) for _ in range(count)]


class KafkaPython:
    name = "kafka-python"
    codecs = frozenset(codec for codec in CODECS if codec == "none" or getattr(kafka_codec, f"has_{codec}")())
    stamps = True

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def produce(self, topic: str, messages: Sequence[Message], how: Sending = PLAIN) -> list[tuple[int, int]]:
        producer: Any = kafka.KafkaProducer(
            bootstrap_servers=self.bootstrap,
            acks=how.acks,
            compression_type=None if how.codec == "none" else how.codec,
            enable_idempotence=how.idempotent,
            max_request_size=how.max_bytes,
            linger_ms=5,
        )
        with closing(producer):
            futures = [
                producer.send(
                    topic, message.value, message.key, list(message.headers), how.partition, message.timestamp_ms
                )
                for message in messages
            ]
            try:
                placed = [future.get(PATIENCE_S) for future in futures]
            except kafka.errors.BrokerResponseError as error:
                raise Refused(error.errno) from error
        return [(one.partition, one.offset) for one in placed]

    def consume(self, topic: str, count: int, partition: int = 0, offset: int = 0) -> list[Stored]:
        at = kafka.TopicPartition(topic, partition)
        consumer: Any = kafka.KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None)
        found: list[Stored] = []
        deadline = time.monotonic() + PATIENCE_S
        with closing(consumer):
            consumer.assign([at])
            consumer.seek(at, offset)
            while len(found) < count:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{len(found)} of {count} messages within {PATIENCE_S} s")
                for records in consumer.poll(100, count - len(found)).values():
                    found += [_of_record(record) for record in records]
        return found


def _of_record(record: Any) -> Stored:
    headers = tuple((name, value) for name, value in record.headers)
    message = Message(record.value, record.key, headers, record.timestamp)
    return Stored(record.partition, record.offset, message, record.timestamp_type == APPEND_TIME)


class Kcat:
    """Debian's kcat, with an older librdkafka than confluent-kafka's. Its messages are lines of text."""

    name = "kcat"
    codecs = frozenset(CODECS)
    stamps = False

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def run(self, *arguments: str, told: bytes = b"") -> bytes:
        """What it printed; Refused or AssertionError with its words if it failed."""
        command = ["kcat", "-b", self.bootstrap, *arguments]
        done = subprocess.run(command, input=told, capture_output=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def produce(self, topic: str, messages: Sequence[Message], how: Sending = PLAIN) -> list[tuple[int, int]]:
        """An empty key or value is sent as null (`-Z`)."""
        assert not any(message.headers or message.timestamp_ms for message in messages)
        lines = b"".join(b"%b\t%b\n" % (message.key or b"", message.value or b"") for message in messages)
        options = {
            "acks": str(how.acks),
            "compression.codec": how.codec,
            "enable.idempotence": str(how.idempotent).lower(),
            "message.max.bytes": str(how.max_bytes),
            "partitioner": "murmur2_random",
        }
        chosen = ["-p", "-1" if how.partition is None else str(how.partition)]
        flags = [part for name, value in options.items() for part in ("-X", f"{name}={value}")]
        self.run("-P", "-t", topic, "-K", "\t", "-Z", *chosen, *flags, told=lines)
        return [(-1, -1)] * len(messages)

    def consume(self, topic: str, count: int, partition: int = 0, offset: int = 0) -> list[Stored]:
        at = ["-t", topic, "-p", str(partition), "-o", str(offset), "-c", str(count)]
        return [_of_json(json.loads(line)) for line in self.run("-C", "-J", "-q", *at).splitlines()]


def _of_json(seen: dict[str, Any]) -> Stored:
    flat = [None if part is None else part.encode() for part in seen.get("headers", [])]
    headers = tuple((name.decode(), value) for name, value in zip(flat[::2], flat[1::2], strict=True))
    key, value = (None if seen[name] is None else seen[name].encode() for name in ("key", "payload"))
    message = Message(value, key, headers, seen["ts"])
    return Stored(seen["partition"], seen["offset"], message, seen["tstype"] == "logappend")


def run(work: Any) -> Any:
    """An asynchronous client's work to its end, within PATIENCE_S."""
    return asyncio.run(asyncio.wait_for(work, PATIENCE_S))


def until(seen: Callable[[], T], wanted: Callable[[T], Any], timeout_s: float = PATIENCE_S) -> T:
    """`seen()`, as soon as it is `wanted`; AssertionError with what was seen last."""
    deadline = time.monotonic() + timeout_s
    while not wanted(found := seen()):
        assert time.monotonic() < deadline, f"still {found!r} after {timeout_s} s"
        time.sleep(0.02)
    return found
