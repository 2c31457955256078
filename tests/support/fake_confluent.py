"""confluent-kafka's classes over one cluster in memory, as far as control uses them; faults are the test's to set.

The real ones are held to the same by tests/conformance/kafka/test_named_partitions.py and the system tests.
"""

from collections import defaultdict
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException


def error(code: int, text: str = "no") -> KafkaException:
    return KafkaException(KafkaError(code, text))


@dataclass
class Message:
    place: tuple[str, int]
    at: int
    k: bytes | None
    v: bytes | None
    fault: Any = None

    def error(self) -> Any:
        return self.fault

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.k

    def value(self) -> bytes | None:
        return self.v


@dataclass
class Memory:
    """`faults`: raised, once each, by whoever creates, asks for the log's end, or writes, in this order. `made_anyway`:
    what fails to be created is created. `leader` None: -1."""

    brokers: tuple[int, ...] = (1, 2)
    topics: dict[str, int] = field(default_factory=dict)
    logs: dict[tuple[str, int], list[Message]] = field(default_factory=lambda: defaultdict(list))
    faults: dict[str, list[BaseException]] = field(default_factory=lambda: defaultdict(list))
    made_anyway: bool = False
    leader: int = 1
    acks: bool = True
    closed: int = 0
    deleted: list[str] = field(default_factory=list)

    def fail(self, where: str) -> None:
        if self.faults[where]:
            raise self.faults[where].pop(0)

    def metadata(self, topic: str | None) -> Any:
        self.fail("metadata")
        names = self.topics if topic is None else {topic: self.topics.get(topic, 0)}
        return SimpleNamespace(
            brokers={node: node for node in self.brokers},
            topics={name: SimpleNamespace(partitions=self.partitions(count)) for name, count in names.items()},
        )

    def partitions(self, count: int) -> dict[int, Any]:
        return {number: SimpleNamespace(leader=self.leader) for number in range(count)}

    def make(self, topic: str, total: int) -> "Future[None]":
        future: Future[None] = Future()
        try:
            self.fail("make")
        except BaseException as fault:
            future.set_exception(fault)
            if not self.made_anyway:
                return future
        else:
            future.set_result(None)
        self.topics[topic] = total
        return future


class Admin:
    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def list_topics(self, topic: str | None = None, timeout: float = 0) -> Any:
        return self.memory.metadata(topic)

    def create_topics(self, wanted: list[Any]) -> dict[str, Any]:
        return {new.topic: self.memory.make(new.topic, 1) for new in wanted}

    def create_partitions(self, wanted: list[Any]) -> dict[str, Any]:
        return {new.topic: self.memory.make(new.topic, new.new_total_count) for new in wanted}

    def delete_topics(self, names: list[str]) -> dict[str, Any]:
        self.memory.deleted += names
        done: Future[None] = Future()
        done.set_result(None)
        return dict.fromkeys(names, done)


class Consumer:
    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.waiting: list[Message] = []

    def list_topics(self, topic: str | None = None, timeout: float = 0) -> Any:
        return self.memory.metadata(topic)

    def get_watermark_offsets(self, place: Any, timeout: float) -> tuple[int, int]:
        self.memory.fail("end")
        log = self.memory.logs[place.topic, place.partition]
        return 0, log[-1].at + 1 if log else 0

    def assign(self, places: list[Any]) -> None:
        (place,) = places
        log = self.memory.logs[place.topic, place.partition]
        self.waiting = [message for message in log if message.at >= place.offset]
        faults = [Message(("", 0), 0, None, None, fault.args[0]) for fault in self.memory.faults.pop("read", [])]
        self.waiting = [*faults, *self.waiting, Message(("", 0), 0, None, None, KafkaError(KafkaError._PARTITION_EOF))]

    def unassign(self) -> None:
        self.waiting = []

    def poll(self, timeout: float) -> Message | None:
        return self.waiting.pop(0) if self.waiting else None

    def consume(self, count: int, timeout: float) -> list[Message]:
        found, self.waiting = self.waiting[:count], self.waiting[count:]
        return found

    def close(self) -> None:
        self.memory.closed += 1


class Producer:
    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.told: list[Any] = []

    def produce(
        self, topic: str, value: bytes | None, key: bytes | None = None, *, partition: int, on_delivery: Any
    ) -> None:
        log = self.memory.logs[topic, partition]
        log.append(Message((topic, partition), log[-1].at + 1 if log else 0, key, value))
        self.told.append(on_delivery)

    def flush(self, timeout: float) -> int:
        try:
            self.memory.fail("write")
            fault = None
        except KafkaException as failed:
            fault = failed.args[0]
        for told in self.told if self.memory.acks else ():
            told(fault, None)
        self.told = []
        return 0
