"""A broker in memory behind confluent-kafka's names, as far as `client.kafka` uses them: for tests of what the shells
do with deliveries, full queues, errors and positions, without a server and without time.

`FakeCluster.patched()` puts it in confluent-kafka's place. Tests steer it: `full` makes every produce a BufferError,
`hold` keeps deliveries back until `deliver`, `failing` makes them fail by that code, `away` fails every question.
"""

import threading
import unittest.mock
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition


@dataclass
class FakeMessage:
    topic_: str
    partition_: int
    offset_: int | None
    value_: bytes | None
    key_: bytes | None = None
    headers_: list[tuple[str, bytes | None]] | None = None
    time_ms: int = 1
    error_: KafkaError | None = None

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return self.partition_

    def offset(self) -> int | None:
        return self.offset_

    def value(self) -> bytes | None:
        return self.value_

    def key(self) -> bytes | None:
        return self.key_

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return self.headers_

    def timestamp(self) -> tuple[int, int]:
        return 1, self.time_ms

    def error(self) -> KafkaError | None:
        return self.error_


@dataclass
class Metadata:
    topics: dict[str, Any]


@dataclass
class Topic:
    topic: str
    partitions: dict[int, Any]


@dataclass
class FakeCluster:
    """`logs`: the messages of each partition by topic."""

    logs: dict[str, list[list[FakeMessage]]] = field(default_factory=dict)
    full: bool = False
    hold: bool = False
    failing: int = 0
    away: int = 0
    refused: int = 0
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    configs: list[dict[str, Any]] = field(default_factory=list)
    producers: list[Any] = field(default_factory=list)
    consumers: list[Any] = field(default_factory=list)

    @contextmanager
    def patched(self) -> Generator["FakeCluster"]:
        with (
            unittest.mock.patch.object(confluent_kafka, "Producer", lambda *a, **k: FakeProducer(self, *a, **k)),
            unittest.mock.patch.object(confluent_kafka, "Consumer", lambda *a, **k: FakeConsumer(self, *a, **k)),
        ):
            yield self

    def store(self, topic: str, *values: bytes | None, partition: int = 0) -> None:
        logs = self.logs.setdefault(topic, [[]])
        while len(logs) <= partition:
            logs.append([])
        for value in values:
            logs[partition].append(FakeMessage(topic, partition, len(logs[partition]), value))

    def answer(self) -> None:
        """Raises while the cluster is away; `away` counts the questions that still fail."""
        if self.away:
            self.away -= 1
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


class FakeProducer:
    def __init__(self, cluster: FakeCluster, config: dict[str, Any], logger: Any = None) -> None:
        self.cluster = cluster
        self.waiting: list[tuple[FakeMessage, Any]] = []
        self.arrived = threading.Condition()
        self.purged = False
        cluster.configs.append(config)
        cluster.producers.append(self)

    def produce(self, topic: str, value: Any, key: Any, *, on_delivery: Any, **more: Any) -> None:
        if self.cluster.full:
            raise BufferError("Local: Queue full")
        if self.cluster.refused:
            raise KafkaException(KafkaError(self.cluster.refused))
        message = FakeMessage(topic, more.get("partition", 0), None, value, key, more.get("headers"))
        message.time_ms = more.get("timestamp", 1)
        with self.arrived:
            self.waiting.append((message, on_delivery))
            self.arrived.notify_all()

    def poll(self, timeout: float = -1) -> int:
        with self.arrived:
            if not self.waiting or self.cluster.hold:
                self.arrived.wait(timeout)
        return self._serve()

    def flush(self, timeout: float = -1) -> int:
        self.poll(timeout)
        return len(self.waiting)

    def purge(self) -> None:
        self.purged = True

    def __len__(self) -> int:
        return len(self.waiting)

    def wake(self) -> None:
        with self.arrived:
            self.arrived.notify_all()

    def _serve(self) -> int:
        if self.cluster.hold and not self.purged:
            return 0
        failing = KafkaError._PURGE_QUEUE if self.purged else self.cluster.failing
        with self.arrived:
            served, self.waiting = self.waiting, []
        for message, told in served:
            if failing:
                told(KafkaError(failing), message)
                continue
            self.cluster.store(message.topic_, partition=message.partition_)
            log = self.cluster.logs[message.topic_][message.partition_]
            message.offset_ = len(log)
            message.headers_ = _pairs(message.headers_)
            log.append(message)
            told(None, message)
        return len(served)


def _pairs(headers: Any) -> list[tuple[str, bytes | None]]:
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in headers or ()]


class FakeConsumer:
    """Subscribes and assigns; its `trouble` are messages with errors, handed out first."""

    def __init__(self, cluster: FakeCluster, config: dict[str, Any], logger: Any = None) -> None:
        self.cluster = cluster
        self.places: dict[tuple[str, int], int] = {}
        self.told_end: set[tuple[str, int]] = set()
        self.trouble: list[FakeMessage] = []
        self.rebalanced: tuple[Any, Any] = (None, None)
        self.stored: dict[tuple[str, int], int] = {}
        self.closed = False
        cluster.configs.append(config)
        cluster.consumers.append(self)

    def subscribe(self, topics: list[str], on_assign: Any = None, on_revoke: Any = None) -> None:
        """A group of one, at once; `rebalance` is the test's."""
        self.rebalanced = on_assign, on_revoke
        self.rebalance({(topic, at): 0 for topic in topics for at in range(len(self.cluster.logs.get(topic, [])))})

    def rebalance(self, places: dict[tuple[str, int], int] | None) -> None:
        """None: what was assigned is taken away, and the group is not done yet."""
        self.places = places or {}
        on_assign, on_revoke = self.rebalanced
        told = on_assign if places is not None else on_revoke
        if told is not None:
            told(self, [TopicPartition(*place) for place in self.places])

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.places = {(one.topic, one.partition): max(0, one.offset) for one in partitions}
        for place, offset in [((one.topic, one.partition), one.offset) for one in partitions]:
            if offset == confluent_kafka.OFFSET_END:
                self.places[place] = len(self.cluster.logs[place[0]][place[1]])

    def unassign(self) -> None:
        self.places = {}

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(*place) for place in self.places]

    def seek(self, partition: TopicPartition) -> None:
        self.places[partition.topic, partition.partition] = partition.offset

    def poll(self, timeout: float = -1) -> FakeMessage | None:
        if self.trouble:
            return self.trouble.pop(0)
        for (topic, at), offset in self.places.items():
            log = self.cluster.logs[topic][at]
            if offset < len(log):
                self.places[topic, at] += 1
                self.told_end.discard((topic, at))
                return log[offset]
            if (topic, at) not in self.told_end:
                self.told_end.add((topic, at))
                return FakeMessage(topic, at, offset, None, error_=KafkaError(KafkaError._PARTITION_EOF))
        return None

    def consume(self, count: int, timeout: float) -> list[FakeMessage]:
        found: list[FakeMessage] = []
        while len(found) < count and (one := self.poll(timeout)) is not None:
            found.append(one)
        return found

    def store_offsets(self, offsets: list[TopicPartition]) -> None:
        for one in offsets:
            if (one.topic, one.partition) not in self.places:
                raise KafkaException(KafkaError(KafkaError._STATE))
            self.stored[one.topic, one.partition] = one.offset

    def commit(self, asynchronous: bool) -> None:
        self.cluster.answer()
        if not self.stored:
            raise KafkaException(KafkaError(KafkaError._NO_OFFSET))
        self.cluster.committed |= self.stored

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.cluster.answer()
        none = confluent_kafka.OFFSET_INVALID
        return [
            TopicPartition(one.topic, one.partition, self.cluster.committed.get((one.topic, one.partition), none))
            for one in partitions
        ]

    def list_topics(self, timeout: float) -> Metadata:
        self.cluster.answer()
        return Metadata({name: Topic(name, dict(enumerate(logs))) for name, logs in self.cluster.logs.items()})

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.cluster.answer()
        return [
            TopicPartition(one.topic, one.partition, len(self.cluster.logs[one.topic][one.partition]))
            for one in partitions
        ]

    def close(self) -> None:
        self.closed = True
        self.cluster.committed |= self.stored
