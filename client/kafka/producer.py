"""A producer that one can't misuse into losing messages.

The problem: librdkafka's producer is fast because `produce` only puts the message into a queue; the rest (whether it
arrived, a queue that is full, callbacks that someone has to serve, messages still inside when the program ends) is left
to the caller, and each of these is a way to lose messages without a word. Here every send answers with a future, a
thread serves the callbacks, a full queue makes the sender wait, and leaving the block waits for what is under way and
raises the failures that nobody looked at.
"""

import atexit
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import confluent_kafka

from client.client_configs import producer_config
from client.errors import CarouselError, Closed, ConfigError, MessageTooLarge, NotDelivered, QueueFull
from client.kafka.failures import LOGGER, as_ours, of_exception, told_as_ours
from client.serializers import Name, Serializer, encode, serializer_of
from client.values import Sent

POLL_S: Final = 0.1
"""How long the serving thread waits in librdkafka at a time: a delivery ends the wait at once, a close after this."""

ROOM_S: Final = 0.005
"""The longest wait between two looks whether the queue has room again; a delivery ends it sooner."""

AT_ONCE_S: Final = 0.05
"""One turn of flushing while `send_and_wait` waits, which spares it the linger."""

AFTER_ERROR_S: Final = 10.0
"""How long a block that ends by an error waits for what is under way: Ctrl-C must not hang while servers are away."""

KEPT_FAILURES: Final = 1_000
"""Failed deliveries that `flush` remembers; beyond these they are only counted."""

RAISED_BY_SEND: Final = (ConfigError, MessageTooLarge, QueueFull, Closed)
"""What a send raises itself. Any other error is its future's: whether librdkafka refuses a partition at once or after
it asked a server depends on what it has heard of the topic by then, and no caller can know that."""

Text = bytes | str
HeadersIn = Mapping[str, Text | None] | Sequence[tuple[str, Text | None]]


class Delivery(Future[Sent]):
    """The future of one message. It can't be cancelled: what was sent is sent. `looked_at` says whether anyone asked
    for the outcome, so that `flush` raises only failures that would go unseen."""

    looked_at = False

    def result(self, timeout: float | None = None) -> Sent:
        self.looked_at = True
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self.looked_at = True
        return super().exception(timeout)


class Producer:
    """Sends messages to any Kafka cluster: acknowledged by all in-sync replicas, in order, once.

    >>> with Producer(BOOTSTRAP, serializer="json") as producer:
    ...     future = producer.send("orders", {"id": 7}, key="7")
    ...     sent = future.result()
    >>> (sent.topic, sent.offset)
    ('orders', 0)

    Keyed messages go to the partition where Java's clients put them (murmur2), messages without a key to partitions in
    turn. Retries outlast the respawn of a server (120 s, `delivery_timeout_ms`). Keyword arguments in snake_case are
    librdkafka's properties (`compression_type="zstd"`); see `client.client_configs` for what is set and why.
    Threads may share one producer. It opens its connections in the background: a wrong address shows as `NotDelivered`.

    bootstrap: `host:port` of one server or more. serializer: a name (`bytes`, `str`, `json`, `msgpack`) or a function.
    max_block_s: how long a send waits for room in a full queue before it raises QueueFull (Java's max.block.ms).
    Raises ConfigError.
    """

    def __init__(
        self,
        bootstrap: str | Iterable[str],
        *,
        serializer: Name | Serializer = "bytes",
        max_block_s: float = 60.0,
        **overrides: Any,
    ) -> None:
        self._serialize = serializer_of(serializer)
        self._max_block_s = max_block_s
        config = producer_config(bootstrap, overrides)
        self._patience_s = patience_of(config)
        with told_as_ours("making a producer"):
            self._raw = confluent_kafka.Producer(config, logger=LOGGER)
        self._failures: list[Delivery] = []
        self._failed = 0
        self._closed = threading.Event()
        self._server = threading.Thread(target=self._serve, name="carousel-producer", daemon=True)
        self._server.start()
        atexit.register(self.close)  # a program that forgets to close loses nothing either

    def send(
        self,
        topic: str,
        value: Any,
        key: Text | None = None,
        partition: int | None = None,
        headers: HeadersIn | None = None,
        timestamp_ms: int | None = None,
    ) -> Future[Sent]:
        """Queues a message; the future has its place in the log once it is acknowledged, or the error.

        A value of None is a tombstone (it deletes its key in a compacted topic). Without `timestamp_ms` the message has
        the time of this call. Waits while the queue is full. The future's errors are `client.errors`: NotDelivered,
        TopicNotFound, PartitionNotFound, NotAllowed …, whether a server or what librdkafka knew of the topic told
        them. Its callbacks run in the producer's thread: keep them short. Raises BadValue, ConfigError,
        MessageTooLarge, QueueFull and Closed itself: then nothing was queued.
        """
        delivery = Delivery()
        delivery.set_running_or_notify_cancel()
        data = None if value is None else encode(self._serialize, value, f"a value for {topic}")
        more = queued(partition, headers, timestamp_ms) | {"on_delivery": partial(self._told, delivery)}
        try:
            self._queue(topic, data, key, more)
        except RAISED_BY_SEND:
            raise
        except CarouselError as error:
            self._fail(delivery, error)
        return delivery

    def send_and_wait(
        self,
        topic: str,
        value: Any,
        key: Text | None = None,
        partition: int | None = None,
        headers: HeadersIn | None = None,
        timestamp_ms: int | None = None,
    ) -> Sent:
        """Sends a message at once (no linger) and waits for its acknowledgment. Raises what `send` and its future do.

        >>> with Producer(BOOTSTRAP, serializer="str") as producer:
        ...     producer.send_and_wait("greetings", "hello").offset
        0
        """
        future = self.send(topic, value, key, partition, headers, timestamp_ms)
        while not future.done():
            self._raw.flush(AT_ONCE_S)
        return future.result()

    def flush(self, timeout_s: float | None = None) -> None:
        """Waits until every message sent so far is acknowledged or has failed; without a timeout at most the time that
        deliveries may take. Raises the first failure since the last flush that nobody has asked a future for, and
        NotDelivered if messages are still under way then (they stay so)."""
        with told_as_ours("flushing"):
            left = self._flushed(self._patience_s if timeout_s is None else timeout_s)
        if left:
            raise NotDelivered(
                f"{left} messages are not acknowledged yet. What to do: flush again, or see whether the servers run"
            )
        self._raise_unseen()

    @property
    def pending(self) -> int:
        """Messages queued or under way."""
        return len(self._raw)

    def close(self, timeout_s: float | None = None) -> None:
        """Flushes, then ends the producer's thread and connections. Raises what `flush` does, and is closed then all
        the same. A second close does nothing."""
        if self._closed.is_set():
            return
        try:
            self.flush(timeout_s)
        finally:
            atexit.unregister(self.close)
            self._closed.set()
            self._server.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close(AFTER_ERROR_S)
        except CarouselError as unseen:  # the block's own error is the one to see
            error.add_note(f"and at the producer's end: {unseen}")

    def _queue(self, topic: str, data: bytes | None, key: Text | None, more: dict[str, Any]) -> None:
        deadline = 0.0
        while not self._closed.is_set():
            try:
                self._raw.produce(topic, data, key, **more)
                return
            except BufferError:
                now = time.monotonic()
                deadline = deadline or now + self._max_block_s
                if now >= deadline:
                    raise full(self._max_block_s) from None
                self._raw.poll(ROOM_S)
            except Exception as error:
                raise of_exception(error, f"sending to {topic}") from error
        raise Closed("the producer is closed: make a new one")

    def _told(self, delivery: Delivery, error: Any, message: Any) -> None:
        """librdkafka's word on one message, in the serving thread or in one that flushes."""
        if error is None:
            delivery.set_result(sent_of(message))
            return
        self._fail(delivery, as_ours(error, f"sending to {message.topic()}"))

    def _fail(self, delivery: Delivery, error: CarouselError) -> None:
        self._failed += 1
        if len(self._failures) < KEPT_FAILURES:
            self._failures.append(delivery)
        delivery.set_exception(error)

    def _serve(self) -> None:
        while not self._closed.is_set():
            self._raw.poll(POLL_S)
        self._raw.purge()
        self._raw.flush(POLL_S)  # the purged ones' futures are told

    def _flushed(self, timeout_s: float) -> int:
        """Flushes in turns short enough for Ctrl-C to be heard; how many messages are left."""
        deadline = time.monotonic() + timeout_s
        while left := self._raw.flush(max(0.0, min(POLL_S, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return left
        return 0

    def _raise_unseen(self) -> None:
        failures, self._failures = self._failures, []
        failed, self._failed = self._failed, 0
        unseen = [failure for failure in failures if not failure.looked_at]
        if unseen:
            first = unseen[0].exception()
            assert first is not None
            if failed > 1:
                first.add_note(f"the first of {failed} messages that failed")
            raise first


def full(waited_s: float) -> QueueFull:
    return QueueFull(
        f"the queue of messages stayed full for {waited_s:g} s. What to do: see whether the servers run (`carousel "
        "status`), send slower, or raise queue_buffering_max_messages and queue_buffering_max_kbytes",
        "_QUEUE_FULL",
    )


def sent_of(message: Any) -> Sent:
    offset = message.offset()
    return Sent(message.topic(), message.partition(), -1 if offset is None else offset, message.timestamp()[1])


def queued(partition: int | None, headers: HeadersIn | None, timestamp_ms: int | None) -> dict[str, Any]:
    """confluent-kafka's arguments for what a message brings beside topic, value and key."""
    more: dict[str, Any] = {}
    if partition is not None:
        more["partition"] = partition
    if headers is not None:
        more["headers"] = list(headers.items() if isinstance(headers, Mapping) else headers)
    if timestamp_ms is not None:
        more["timestamp"] = timestamp_ms
    return more


def patience_of(config: Mapping[str, Any]) -> float:
    """How long a delivery may take, in seconds."""
    return float(config.get("delivery.timeout.ms") or config["message.timeout.ms"]) / 1000
