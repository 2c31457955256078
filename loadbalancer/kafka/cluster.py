"""A Kafka cluster as control uses it: topics, partitions, and the log of their names, by confluent-kafka.

The same code for our own servers and for any other cluster. An object belongs to one thread, and blocks it. Importing
this module loads librdkafka, so it is imported where it is needed, at the first such call.

Metadata is asked by a consumer: a producer's question for a topic that isn't there would make it.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from loadbalancer.partition_adding import Place, Refused, Unavailable
from wire import http_queue

CALL_S: Final = 10.0
"""For one question; most are answered in milliseconds."""
APPEARS_S: Final = 1.0
"""In which every server hears of a partition: they do one after another, within some milliseconds."""
SERVES_S: Final = 5.0
"""From a partition's making until its leader serves: our servers answer only then, others soon after."""
LOOK_S: Final = 0.02
NAMES: Final = (http_queue.NAMES_TOPIC, 0)
COMMON: Final[Mapping[str, Any]] = {
    "client.id": "carousel-control",
    "log_level": 0,
    "socket.connection.setup.timeout.ms": 5000,
    "reconnect.backoff.max.ms": 1000,
}
READING: Final[Mapping[str, Any]] = {
    "group.id": "carousel-control",  # librdkafka wants one; nothing is committed
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "fetch.wait.max.ms": 10,
}
WRITING: Final[Mapping[str, Any]] = {"enable.idempotence": True, "linger.ms": 0, "message.timeout.ms": 10_000}

CALLERS: Final = frozenset({
    KafkaError.INVALID_CONFIG,
    KafkaError.INVALID_REPLICATION_FACTOR,
    KafkaError.INVALID_REQUEST,
    KafkaError.POLICY_VIOLATION,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
})  # fmt: skip
"""Errors that come again however often it is tried."""
THERE: Final = frozenset(
    {KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.INVALID_PARTITIONS, KafkaError.UNKNOWN_TOPIC_OR_PART}
)
"""Another was faster: it made the topic or a partition, or deleted the topic."""
PASSING: Final = frozenset({
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError._UNKNOWN_PARTITION,  # pyright: ignore[reportPrivateUsage] -- so librdkafka calls one without a leader
    KafkaError._DESTROY_BROKER,  # pyright: ignore[reportPrivateUsage] -- and so the end of a server whose address is another's
})  # fmt: skip
"""The leader has moved, or is away; who asks again finds it."""
UNCERTAIN: Final = frozenset({KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT, KafkaError._TRANSPORT})  # pyright: ignore[reportPrivateUsage]
"""It may have been done."""


class KafkaCluster:
    """Implements `partition_adding.Cluster`. Raises its Refused and Unavailable."""

    def __init__(self, bootstrap: str) -> None:
        common = {**COMMON, "bootstrap.servers": bootstrap}
        self.bootstrap = bootstrap
        self._admin: Any = AdminClient(common)
        self._consumer: Any = Consumer({**common, **READING})
        self._producer: Any = None
        self._common = common
        self._names: dict[Place, str] = {}
        self._read_to = 0
        self._had_names = False

    def close(self) -> None:
        """End its threads and connections, those of the clients that nobody refers to any more."""
        self._consumer.close()
        self._admin = self._producer = None

    # --- metadata --------------------------------------------------------------------------------------------

    def partitions(self, topic: str) -> int:
        return len(self._metadata(topic).topics[topic].partitions)

    def all_partitions(self) -> Mapping[str, int]:
        return {name: len(topic.partitions) for name, topic in self._metadata(None).topics.items()}

    def appears(self, place: Place) -> bool:
        return self._appears(place, APPEARS_S)

    def settle(self) -> None:
        time.sleep(APPEARS_S)

    def _appears(self, place: Place, timeout_s: float) -> bool:
        """Whether it has a leader in time."""
        topic, number = place
        end = time.monotonic() + timeout_s
        while True:
            found = self._metadata(topic).topics[topic].partitions.get(number)
            if found is not None and found.leader >= 0:
                return True
            if time.monotonic() > end:
                return False
            time.sleep(LOOK_S)

    def _metadata(self, topic: str | None) -> Any:
        return _tried(lambda: self._consumer.list_topics(topic, timeout=CALL_S))

    # --- making ----------------------------------------------------------------------------------------------

    def make(self, place: Place) -> bool:
        topic, number = place
        if number:
            return self._made(place, self._admin.create_partitions([NewPartitions(topic, number + 1)])[topic])
        return self._create(NewTopic(topic, num_partitions=1, replication_factor=http_queue.TOPIC_REPLICATION))

    def _create(self, wanted: Any) -> bool:
        return self._made((wanted.topic, 0), self._admin.create_topics([wanted])[wanted.topic])

    def _made(self, place: Place, future: Any) -> bool:
        try:
            future.result(CALL_S)
        except (KafkaException, TimeoutError) as error:
            code = _code(error)
            if code in THERE:
                return False
            if code not in UNCERTAIN or not self._appears(place, SERVES_S):
                raise _told(error) from error
        self._appears(place, SERVES_S)
        return True

    # --- names -----------------------------------------------------------------------------------------------

    def names(self) -> Mapping[Place, str]:
        if not self._has_names():
            self._forget()
            return self._names
        _, end = _tried(lambda: self._consumer.get_watermark_offsets(TopicPartition(*NAMES), CALL_S))
        if end < self._read_to:
            self._forget()  # the topic was deleted and made anew
        if end > self._read_to:
            self._read()
        return self._names

    def _has_names(self) -> bool:
        """Whether the topic is there. A server may answer from Metadata that is older than what we know."""
        found = self.partitions(http_queue.NAMES_TOPIC) > 0 or (self._had_names and self.appears(NAMES))
        self._had_names = found
        return found

    def _forget(self) -> None:
        self._names, self._read_to = {}, 0

    def _read(self) -> None:
        """From where we are to the log's end."""
        deadline, fault = time.monotonic() + CALL_S, "the partitions' names can't be read in time"
        _tried(lambda: self._consumer.assign([TopicPartition(*NAMES, self._read_to)]))
        try:
            while time.monotonic() < deadline:
                message = self._consumer.poll(CALL_S)
                if message is None or message.error() is None:
                    self._take(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:  # pyright: ignore[reportPrivateUsage]
                    return
                else:
                    fault = message.error().str()  # librdkafka goes on trying
            raise Unavailable(fault)
        finally:
            self._consumer.unassign()

    def _take(self, message: Any) -> None:
        """A later record of a place stands for it."""
        if message is None:
            return
        self._read_to = message.offset() + 1
        place, name = http_queue.decode_name_key(message.key()), http_queue.decode_name(message.value())
        if place is not None and name is not None:
            self._names[place] = name
        elif place is not None:
            self._names.pop(place, None)

    def write_names(self, changes: Mapping[Place, str | None]) -> None:
        """They are read back with the next `names`."""
        if not self.partitions(http_queue.NAMES_TOPIC):
            self._create(_names_topic())
        self._had_names = True
        if self._producer is None:
            self._producer = Producer({**self._common, **WRITING})
        errors: list[Any] = []

        def told(error: Any, _: Any) -> None:
            errors.append(error)

        for place, name in changes.items():
            value = None if name is None else http_queue.encode_name(name)
            self._producer.produce(
                http_queue.NAMES_TOPIC, value, http_queue.name_key(*place), partition=0,
                on_delivery=told,
            )  # fmt: skip
        self._producer.flush(CALL_S)
        failed = [error for error in errors if error is not None]
        if failed or len(errors) < len(changes):
            self._producer = None  # with what it still holds
            raise Unavailable(failed[0].str() if failed else "the partitions' names can't be written in time")


def _names_topic() -> Any:
    return NewTopic(
        http_queue.NAMES_TOPIC, http_queue.TOPIC_PARTITIONS, http_queue.TOPIC_REPLICATION,
        config=dict(http_queue.TOPIC_CONFIGS),
    )  # fmt: skip


def _tried(question: Callable[[], Any]) -> Any:
    """Its answer, when a partition's leader has moved too."""
    end = time.monotonic() + CALL_S
    while True:
        try:
            return question()
        except KafkaException as error:
            if _code(error) not in PASSING or time.monotonic() > end:
                raise _told(error) from error
        time.sleep(LOOK_S)


def _code(error: BaseException) -> int:
    return error.args[0].code() if isinstance(error, KafkaException) else KafkaError._TIMED_OUT  # pyright: ignore[reportPrivateUsage]


def _told(error: BaseException) -> Refused | Unavailable:
    text = error.args[0].str() if isinstance(error, KafkaException) else "the queue does not answer in time"
    return Refused(text) if _code(error) in CALLERS else Unavailable(text)
