"""The producer for asyncio: sends don't block the loop, and thousands of deliveries wake it once.

The road not taken is confluent-kafka's own `aio.AIOProducer` (2.16): it refuses headers, and holds messages back in a
buffer of its own for up to a second. Here a message goes to librdkafka at once (`produce` only queues it), a thread
serves the deliveries, and wakes the loop once for all that came since it last looked; a future set from another thread,
one wake-up each, would cost more than the message.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import confluent_kafka

from client.client_configs import producer_config
from client.errors import CarouselError, Closed, NotDelivered
from client.kafka.failures import LOGGER, as_ours, of_exception, told_as_ours
from client.kafka.producer import (
    AFTER_ERROR_S,
    AT_ONCE_S,
    POLL_S,
    RAISED_BY_SEND,
    HeadersIn,
    Text,
    full,
    patience_of,
    queued,
    sent_of,
)
from client.serializers import Name, Serializer, encode, serializer_of
from client.values import Sent

TURN: Final = 100
"""Sends between two turns given to the loop: some 0.5 ms. A sender in a tight loop would starve the other tasks."""


class AsyncProducer:
    """Sends messages to any Kafka cluster: acknowledged by all in-sync replicas, in order, once.

    >>> async def main():
    ...     async with AsyncProducer(BOOTSTRAP, serializer="str") as producer:
    ...         futures = [await producer.send("words", word) for word in ("a", "b")]
    ...         return [(await future).offset for future in futures]
    >>> asyncio.run(main())
    [0, 1]

    Arguments and promises are those of `Producer`, but for the linger: none (as aiokafka's), since a task that awaits
    its acknowledgment is the rule here; what is sent while a request is under way still travels together. To be made
    in a coroutine, and used in its loop. Raises ConfigError.
    """

    def __init__(
        self,
        bootstrap: str | Iterable[str],
        *,
        serializer: Name | Serializer = "bytes",
        max_block_s: float = 60.0,
        **overrides: Any,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._serialize = serializer_of(serializer)
        self._max_block_s = max_block_s
        config = producer_config(bootstrap, {"linger_ms": 0} | overrides)
        self._patience_s = patience_of(config)
        with told_as_ours("making a producer"):
            self._raw = confluent_kafka.Producer(config, logger=LOGGER)
        self._arrived: deque[tuple[asyncio.Future[Sent], Any, Any]] = deque()
        self._woken = False
        self._room = asyncio.Event()
        self._sends = 0
        self._closed = threading.Event()
        self._server = threading.Thread(target=self._serve, name="carousel-async-producer", daemon=True)
        self._server.start()

    async def send(
        self,
        topic: str,
        value: Any,
        key: Text | None = None,
        partition: int | None = None,
        headers: HeadersIn | None = None,
        timestamp_ms: int | None = None,
    ) -> asyncio.Future[Sent]:
        """Queues a message; the future has its place in the log once it is acknowledged, or the error. As
        `Producer.send`, and waits without blocking the loop while the queue is full. Cancelled while it waits, nothing
        was queued; a future that is cancelled takes no message back. An error that nobody awaits is logged by asyncio.
        """
        data = None if value is None else encode(self._serialize, value, f"a value for {topic}")
        future: asyncio.Future[Sent] = self._loop.create_future()
        more = queued(partition, headers, timestamp_ms) | {"on_delivery": partial(self._told, future)}
        self._sends += 1
        if self._sends % TURN == 0:
            await asyncio.sleep(0)
        try:
            while not self._produced(topic, data, key, more):
                await self._wait_for_room()
        except RAISED_BY_SEND:
            raise
        except CarouselError as error:
            future.set_exception(error)
        return future

    async def send_and_wait(
        self,
        topic: str,
        value: Any,
        key: Text | None = None,
        partition: int | None = None,
        headers: HeadersIn | None = None,
        timestamp_ms: int | None = None,
    ) -> Sent:
        """Sends a message and waits for its acknowledgment. Cancelled while it waits, the message may be stored."""
        return await (await self.send(topic, value, key, partition, headers, timestamp_ms))

    async def flush(self, timeout_s: float | None = None) -> None:
        """Waits until every message sent so far is acknowledged or has failed; without a timeout at most the time that
        deliveries may take. Raises NotDelivered if messages are still under way then (they stay so). Cancelled, they
        stay under way too."""
        deadline = time.monotonic() + (self._patience_s if timeout_s is None else timeout_s)
        while left := await asyncio.to_thread(self._raw.flush, AT_ONCE_S):
            if time.monotonic() >= deadline:
                raise NotDelivered(
                    f"{left} messages are not acknowledged yet. What to do: flush again, or see whether the servers run"
                )
        self._deliver()

    @property
    def pending(self) -> int:
        """Messages queued or under way."""
        return len(self._raw)

    async def close(self, timeout_s: float | None = None) -> None:
        """Flushes, then ends the producer's thread and connections. Raises what `flush` does, and is closed then all
        the same: what was still under way fails. A second close does nothing."""
        if self._closed.is_set():
            return
        try:
            await self.flush(timeout_s)
        finally:
            self._closed.set()
            await asyncio.to_thread(self._server.join)
            self._deliver()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.close()
            return
        try:
            await self.close(AFTER_ERROR_S)
        except CarouselError as unseen:  # the block's own error is the one to see
            error.add_note(f"and at the producer's end: {unseen}")

    def _produced(self, topic: str, data: bytes | None, key: Text | None, more: dict[str, Any]) -> bool:
        """Whether there was room for it."""
        if self._closed.is_set():
            raise Closed("the producer is closed: make a new one")
        try:
            self._raw.produce(topic, data, key, **more)
        except BufferError:
            return False
        except Exception as error:
            raise of_exception(error, f"sending to {topic}") from error
        return True

    async def _wait_for_room(self) -> None:
        self._room.clear()
        try:
            async with asyncio.timeout(self._max_block_s):
                await self._room.wait()
        except TimeoutError:
            raise full(self._max_block_s) from None

    def _told(self, future: asyncio.Future[Sent], error: Any, message: Any) -> None:
        """librdkafka's word on one message, in the serving thread or in one that flushes."""
        self._arrived.append((future, error, message))
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:  # the loop was closed before the producer: nobody is left to be told
                self._arrived.clear()

    def _deliver(self) -> None:
        """In the loop: sets the futures of all that arrived."""
        self._woken = False  # first: what arrives from here on wakes the loop again
        while self._arrived:
            future, error, message = self._arrived.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(sent_of(message))
            else:
                future.set_exception(as_ours(error, f"sending to {message.topic()}"))
        self._room.set()

    def _serve(self) -> None:
        while not self._closed.is_set():
            self._raw.poll(POLL_S)
        self._raw.purge()
        self._raw.flush(POLL_S)  # the purged ones' futures are told
