"""What a consumer must know before it can read: how many partitions there are, their names, where they end."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import confluent_kafka

from client.assignments import EVERY, Assignment, names_of, resolve
from client.errors import TRANSIENT, CarouselError, TimedOut, TopicNotFound
from client.kafka.failures import told_as_ours
from wire.http_queue import NAMES_TOPIC

T = TypeVar("T")

ASK_S: Final = 2.0
"""One question to the cluster, before it is asked again: a server that went away is passed over by the next one."""

PAUSE_S: Final = 0.1


def patiently(ask: Callable[[float], T], doing: str, timeout_s: float) -> T:
    """`ask(seconds)`'s answer; asked again after errors that pass by themselves, until time is up. Raises the last."""
    deadline = time.monotonic() + timeout_s
    while True:
        left = max(PAUSE_S, deadline - time.monotonic())
        try:
            with told_as_ours(doing):
                return ask(min(ASK_S, left))
        except CarouselError as error:
            if error.code not in TRANSIENT or time.monotonic() + PAUSE_S >= deadline:
                raise
        time.sleep(PAUSE_S)


def counts(raw: Any, topics: Iterable[str], timeout_s: float) -> dict[str, int]:
    """How many partitions each topic has. Raises TopicNotFound, Unreachable. The whole listing is asked for: a question
    for one name would make the topic where servers make topics by themselves."""
    found = patiently(lambda s: raw.list_topics(timeout=s), "looking for topics", timeout_s).topics
    missing = [topic for topic in topics if topic not in found or not found[topic].partitions]
    if missing:
        advice = "What to do: check the name by Admin(...).topics(), or make it by create_topic(name, partitions)"
        raise TopicNotFound(f"{', '.join(missing)}: no such topic. {advice}")
    return {topic: len(found[topic].partitions) for topic in topics}


def places(raw: Any, wanted: Sequence[Assignment], timeout_s: float) -> list[tuple[str, int]]:
    """The (topic, partition) pairs that are meant, in order, without repetitions. Raises TopicNotFound,
    PartitionNotFound, Unreachable."""
    count = counts(raw, [one.topic for one in wanted], timeout_s)
    given = given_names(raw, timeout_s) if any(one.part != EVERY for one in wanted) else {}
    pairs = [(one.topic, index) for one in wanted for index in resolve(one, count[one.topic], given.get(one.topic, {}))]
    return list(dict.fromkeys(pairs))


def given_names(raw: Any, timeout_s: float) -> dict[str, dict[int, str]]:
    """The names that partitions were given through the HTTP interface, by topic and number; none where it was never
    used, as on a Kafka cluster of someone else's. Reads that small topic to its end by `raw`, a consumer with
    enable.partition.eof, which is assigned nothing afterwards. Raises Unreachable, TimedOut."""
    topics = patiently(lambda s: raw.list_topics(timeout=s), "looking for topics", timeout_s).topics
    if NAMES_TOPIC not in topics:
        return {}
    deadline = time.monotonic() + timeout_s
    records: list[tuple[bytes | None, bytes | None]] = []
    with told_as_ours("reading the partitions' names"):
        raw.assign([confluent_kafka.TopicPartition(NAMES_TOPIC, 0, confluent_kafka.OFFSET_BEGINNING)])
        try:
            while not _at_end(record := raw.poll(PAUSE_S)):
                if record is not None and record.error() is None:
                    records.append((record.key(), record.value()))
                elif time.monotonic() > deadline:
                    raise TimedOut(
                        "the partitions' names could not be read in time. What to do: try again, or use numbers"
                    )
        finally:
            raw.unassign()
    return names_of(records)


def _at_end(record: Any) -> bool:
    return record is not None and record.error() is not None and record.error().name() == "_PARTITION_EOF"


def ends(raw: Any, pairs: Iterable[tuple[str, int]], timeout_s: float) -> dict[tuple[str, int], int]:
    """The next offset of each partition, as of now."""
    asked = [confluent_kafka.TopicPartition(topic, index, confluent_kafka.OFFSET_END) for topic, index in pairs]

    def ask(seconds: float) -> list[Any]:
        told = raw.offsets_for_times(asked, timeout=seconds)
        for one in told:
            if one.error is not None:
                raise confluent_kafka.KafkaException(one.error)
        return told

    return {(one.topic, one.partition): one.offset for one in patiently(ask, "looking for the ends", timeout_s)}
