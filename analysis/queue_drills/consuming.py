"""Consumers that write down what they get: one that reads everything at the end, and members of a group meanwhile."""

import threading
import time
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from analysis.queue_drills.facts import Delivered, Read
from analysis.queue_drills.marks import mark_of

PATIENCE_S: Final = 60.0
"""Without any message, while some must be there."""
BATCH: Final = 5000
COMMIT_S: Final = 0.5
SETTINGS: Final[dict[str, str | int | bool]] = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "log_level": 1,  # that servers are away is what is done here, and no news
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 500,
    "topic.metadata.refresh.interval.ms": 1000,
}


def read_all(bootstrap: str, topic: str, partitions: int) -> dict[int, list[Read]]:
    """Everything that the partitions hold, from offset 0 to the end that they had at the beginning.

    Raises TimeoutError if it does not come, KafkaException if it can't be asked for.
    """
    consumer = Consumer({**SETTINGS, "bootstrap.servers": bootstrap, "group.id": "judge"})
    try:
        ends = {number: _end(consumer, topic, number) for number in range(partitions)}
        logs: dict[int, list[Read]] = {number: [] for number in range(partitions)}
        consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        unread = {number for number, end in ends.items() if end > 0}
        since = time.monotonic()
        while unread:
            for message in consumer.consume(BATCH, 1.0):
                partition, read = read_of(message)
                logs[partition].append(read)
                since = time.monotonic()
                if read.offset >= ends[partition] - 1:
                    unread.discard(partition)
            if time.monotonic() - since > PATIENCE_S:
                raise TimeoutError(f"partitions {sorted(unread)} were not read to their ends {ends}")
        return logs
    finally:
        consumer.close()


def _end(consumer: Consumer, topic: str, partition: int) -> int:
    """Asked again while the partition has no leader that may say so: one that has just taken over waits (R2)."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE_S)[1]
        except KafkaException:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def read_of(message: Message) -> tuple[int, Read]:
    """Its partition, and what it says. Raises KafkaException for what is an error."""
    if (error := message.error()) is not None:
        raise KafkaException(error)
    value, partition, offset = message.value(), message.partition(), message.offset()
    assert partition is not None and offset is not None
    mark = mark_of(value) if isinstance(value, bytes) else None
    if mark is None:
        return partition, Read(offset, -1, -1, -1, intact=False)
    return partition, Read(offset, *mark)


class Member(threading.Thread):
    """One of a group. It commits every COMMIT_S, and what it has when partitions are taken from it. If it broke,
    `error` says how.

    Its session is librdkafka's default of 45 s: a new coordinator answers no Heartbeat for 2 s (R2), and under changes
    without a pause sessions of 10 s, whose heartbeats come every 3 s, have been seen to end.
    """

    def __init__(self, bootstrap: str, topic: str, group: str, number: int) -> None:
        super().__init__(daemon=True, name=f"member {number}")
        self.delivered: list[tuple[int, Delivered]] = []
        self.rebalances = 0
        self.refused_commits = 0
        self.error = ""
        self._number, self._topic = number, topic
        self._settings = {**SETTINGS, "bootstrap.servers": bootstrap, "group.id": group}
        self._next: dict[int, int] = {}
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        try:
            self._take(Consumer(self._settings))
        except Exception as error:  # for the report: what it got until then counts
            self.error = f"{self.name}: {error!r}"

    def _take(self, consumer: Consumer) -> None:
        consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked)
        committed = time.monotonic()
        while not self._stopping.is_set():
            now = 0.0
            for message in consumer.consume(BATCH, 0.05):
                error = message.error()
                if error is not None and not error.fatal():  # a server is away, a partition has moved: it goes on
                    continue
                partition, read = read_of(message)
                now = now or time.monotonic()
                self.delivered.append((partition, Delivered(read, self._number, now)))
                self._next[partition] = read.offset + 1
            if time.monotonic() - committed > COMMIT_S:
                self._commit(consumer)
                committed = time.monotonic()
        self._commit(consumer)
        consumer.close()

    def _assigned(self, _: Consumer, __: list[TopicPartition]) -> None:
        self.rebalances += 1
        self._next.clear()

    def _revoked(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        self._commit(consumer)
        self._next.clear()

    def _commit(self, consumer: Consumer) -> None:
        """What can't be committed, because the coordinator is away or the group went on, is delivered again."""
        if not self._next:
            return
        places = [TopicPartition(self._topic, partition, offset) for partition, offset in self._next.items()]
        try:
            consumer.commit(offsets=places, asynchronous=False)
        except KafkaException:
            self.refused_commits += 1
