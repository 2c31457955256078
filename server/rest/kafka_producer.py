"""librdkafka's idempotent producer for an event loop. One thread polls it; acknowledgments come to the loop in bunches,
one wake-up for all that have come meanwhile."""

import asyncio
import logging
import threading
from collections import deque
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from server.rest import kafka_settings
from server.rest.cluster import ASK_S, Away, NoTopic
from server.rest.kafka_errors import fault

POLL_S: Final = 0.5
FLUSH_S: Final = 5.0
"""How long an end waits for what is under way; who asked for it has been answered or has gone."""

_log = logging.getLogger("carousel.http-queue")

_NOBODY: Final = KafkaError._ALL_BROKERS_DOWN  # pyright: ignore[reportPrivateUsage] -- librdkafka's own codes

Done = tuple["asyncio.Future[int]", Any, Any]
"""Who waits; librdkafka's error; the message."""


class _Handle:
    """One producer with its thread."""

    def __init__(self, bootstrap: str) -> None:
        self.producer = Producer({**kafka_settings.producer(bootstrap), "error_cb": _note})
        self._is_ending = False
        self._thread = threading.Thread(target=self._poll, name="http-queue-producer", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._is_ending:
            self.producer.poll(POLL_S)
        self.producer.flush(FLUSH_S)

    def end(self) -> None:
        """Its thread flushes, and ends by itself."""
        self._is_ending = True

    def join(self) -> None:
        self._thread.join()


class KafkaProducer:
    """Made and called on the loop's thread."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._loop = asyncio.get_running_loop()
        self._handle = _Handle(bootstrap)
        self._done: deque[Done] = deque()
        self._is_told = False

    async def send(self, topic: str, partition: int, value: bytes, key: bytes | None) -> int:
        """The record's offset once it is acknowledged. Raises BadCall."""
        try:
            return await self._send(topic, partition, value, key)
        except NoTopic:  # or one that has just been made: librdkafka looks at a topic's metadata every five minutes
            await self._look_at(topic)
            return await self._send(topic, partition, value, key)

    async def _look_at(self, topic: str) -> None:
        try:
            await asyncio.to_thread(self._handle.producer.list_topics, topic, ASK_S)
        except KafkaException as error:
            raise fault(error, topic) from None

    async def _send(self, topic: str, partition: int, value: bytes, key: bytes | None) -> int:
        waiter: asyncio.Future[int] = self._loop.create_future()
        told = partial(self._delivered, waiter)
        try:
            self._handle.producer.produce(topic, value, key, partition, on_delivery=told)
        except BufferError:
            raise Away("too many messages wait for their acknowledgments") from None
        except KafkaException as error:
            raise fault(error, topic) from None
        return await waiter

    def _delivered(self, waiter: "asyncio.Future[int]", error: Any, message: Any) -> None:
        """On the polling thread."""
        self._done.append((waiter, error, message))
        if not self._is_told:
            self._is_told = True
            self._loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        self._is_told = False  # before the look: what comes behind it makes a call of its own
        is_broken = False
        while self._done:
            waiter, error, message = self._done.popleft()
            is_broken = is_broken or (error is not None and error.fatal())
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(message.offset())
            else:
                waiter.set_exception(fault(error, message.topic()))
        if is_broken:
            self._renew()

    def _renew(self) -> None:
        """A fatal error (a broken sequence) is for good. Who waits hears it; the next ones get another producer."""
        _log.warning("producer", extra={"fields": {"reason": "a fatal error; another one takes over"}})
        self._handle.end()
        self._handle = _Handle(self._bootstrap)

    async def close(self) -> None:
        self._handle.end()
        await asyncio.to_thread(self._handle.join)


def _note(error: Any) -> None:
    """Each failed connection is one; who looks at a log wants to know when there is nobody left."""
    if error.code() == _NOBODY:
        _log.warning("producer", extra={"fields": {"reason": error.str()}})
