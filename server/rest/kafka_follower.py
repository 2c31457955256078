"""Follows the internal topics by librdkafka's consumer. A thread polls it; the loop gets what has come in one call."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from server.rest import kafka_settings
from server.rest.cluster import ASK_S, Record
from server.rest.view_follower import PARTITION

POLL_S: Final = 0.5
MAX_BATCH: Final = 1000
"""Records in one call to the loop: some milliseconds of it, while a server reads all of them at its start."""

_log = logging.getLogger("carousel.http-queue")
_END: Final = KafkaError._PARTITION_EOF  # pyright: ignore[reportPrivateUsage] -- librdkafka's own codes are spelt so


class KafkaFollower:
    """Made on the loop's thread; tells at once from the first records on."""

    def __init__(self, bootstrap: str, topics: Iterable[str], told: Callable[[Sequence[Record]], None]) -> None:
        self._consumer = Consumer(kafka_settings.follower(bootstrap))
        self._topics = tuple(topics)
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._is_ending = False
        self._applied = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._poll, name="http-queue-follower", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        with contextlib.suppress(KafkaException):  # not needed: what is new to it, librdkafka asks for once a second
            self._consumer.list_topics(timeout=ASK_S)
        self._consumer.assign([TopicPartition(topic, PARTITION, 0) for topic in self._topics])
        while not self._is_ending:
            try:
                self._hand_over(self._next())
            except KafkaException as error:
                _log.warning("follower", extra={"fields": {"reason": str(error)}})
                time.sleep(POLL_S)
        self._consumer.close()

    def _next(self) -> Sequence[Record]:
        """What has come; after POLL_S, nothing."""
        first = self._consumer.poll(POLL_S)
        if first is None:
            return ()
        records = [_record(message) for message in (first, *self._consumer.consume(MAX_BATCH, 0))]
        return [record for record in records if record is not None]

    def _hand_over(self, records: Sequence[Record]) -> None:
        """The next are polled when these are applied, or all of a long log would wait in the loop."""
        if not records or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._apply, records)
        while not self._applied.acquire(timeout=POLL_S) and not self._is_ending:
            pass

    def _apply(self, records: Sequence[Record]) -> None:
        try:
            self._told(records)
        finally:
            self._applied.release()

    async def close(self) -> None:
        self._is_ending = True
        await asyncio.to_thread(self._thread.join)


def _record(message: Any) -> Record | None:
    """None: an error, which librdkafka gets over."""
    error = message.error()
    if error is None:
        return Record(message.topic(), message.offset(), message.key(), message.value())
    if error.code() == _END:
        return Record(message.topic(), message.offset(), None, None, is_end=True)
    return None
