"""The consumer for asyncio: one thread of its own waits in librdkafka, and the loop gets chunks of messages.

confluent-kafka's own `aio.AIOConsumer` (2.16) sends every call through a pool of a hundred threads; a message at a time
that costs more than the message. Here the loop takes from a chunk without a thread, and only an empty one goes there.
A fetch that its caller gave up (a timeout, a cancellation) goes on, and the next call gets what it found: nothing is
lost between the two.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from client.errors import CarouselError, Closed
from client.kafka.consumer import SLICE_S
from client.kafka.reading import Place, Reading, Start, Wanted
from client.serializers import Deserializer, Name
from client.values import Message

T = TypeVar("T")


class AsyncConsumer:
    """Reads topics or single partitions of any Kafka cluster, in order within each partition.

    >>> async def main():
    ...     async with AsyncConsumer(BOOTSTRAP, "numbers", deserializer="json") as consumer:
    ...         async for message in consumer:
    ...             if message.value == 2:
    ...                 return message.offset
    >>> asyncio.run(main())
    1

    Arguments and promises are those of `Consumer`. Connects at the first use (or `async with`), which raises what
    `Consumer(...)` does about topics. For one task at a time; `stop` may be called from any task.
    """

    def __init__(
        self,
        bootstrap: str | Iterable[str],
        topics: Wanted,
        *,
        group: str | None = None,
        start: Start = "earliest",
        deserializer: Name | Deserializer = "bytes",
        patience_s: float = 30.0,
        **overrides: Any,
    ) -> None:
        self._open = partial(Reading, bootstrap, topics, group, start, deserializer, patience_s, overrides)
        self._opening: asyncio.Future[Reading] | None = None
        self._filling: asyncio.Future[bool] | None = None
        self._thread = ThreadPoolExecutor(1, "carousel-async-consumer")
        self._stopped = False
        self._closed = False

    async def poll(self, timeout_s: float = 1.0) -> Message | None:
        """The next message, or None if none came in that time, or the consumer was stopped. Raises as `Consumer.poll`.
        Cancelled, no message is lost: the next call gets it."""
        reading = await self._come_back()
        return reading.take(1)[0] if await self._filled(reading, timeout_s) else None

    async def batch(self, count: int, timeout_s: float = 1.0) -> list[Message]:
        """The next `count` messages, or fewer if no more came in that time, or the next one can't be read. All of them
        count as done at the next call. Cancelled, those that it had gathered come again only after a restart: use
        the timeout instead."""
        reading = await self._come_back()
        found: list[Message] = []
        deadline = time.monotonic() + timeout_s
        while len(found) < count and await self._filled(reading, max(0.0, deadline - time.monotonic())):
            found += reading.take(count - len(found), raising=not found)
            if reading.ready:  # that was all, or the next one can't be read: its error is the next call's
                break
        return found

    async def commit(self) -> None:
        """Commits everything handed out so far, and returns when that is stored. Cancelled, it may be stored."""
        reading = await self._reading()
        await self._in_thread(reading.commit)

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        """The next message of this partition is the one at `offset`."""
        reading = await self._reading()
        await self._in_thread(partial(reading.seek, topic, partition, offset))

    async def assignment(self) -> tuple[Place, ...]:
        """The (topic, number) pairs being read now; a group's are there once it has joined, some polls after start."""
        reading = await self._reading()
        return await self._in_thread(reading.assignment)

    async def ends(self) -> dict[Place, int]:
        """For each partition being read, the offset that its next message will get."""
        reading = await self._reading()
        return await self._in_thread(reading.ends)

    async def caught_up(self) -> bool:
        """Whether everything that was there has been handed out; as `Consumer.caught_up`."""
        reading = await self._reading()
        return bool(await self._in_thread(reading.assignment)) and reading.caught_up

    def stop(self) -> None:
        """Ends the iteration within a moment; from any task of the loop."""
        self._stopped = True

    async def close(self) -> None:
        """Commits what was handed out, leaves the group, ends the connections. A second close does nothing."""
        await self._close(in_peace=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while not self._stopped:
            if (message := await self.poll(SLICE_S)) is not None:
                return message
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        await self._reading()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """After an error the message that was being worked on is not committed: it comes again."""
        await self._close(in_peace=error is None)

    async def _reading(self) -> Reading:
        """The open consumer; the first call opens it. One that failed to open is tried again by the next call."""
        if self._closed:
            raise Closed("the consumer is closed: make a new one")
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self._opening = self._in_thread(self._open)
        return await asyncio.shield(self._opening)

    async def _come_back(self) -> Reading:
        """The caller asks for more: what it had is done."""
        reading = await self._reading()
        reading.settle()
        if reading.due:
            await self._in_thread(reading.store)
        return reading

    async def _filled(self, reading: Reading, timeout_s: float) -> bool:
        """Waits for messages; whether there are some. A fetch under way outlives a wait that ends before it."""
        deadline = time.monotonic() + timeout_s
        while not self._stopped:
            if reading.ready:
                return True
            left = max(0.0, deadline - time.monotonic())
            if self._filling is None:
                self._filling = self._in_thread(partial(reading.fill, min(SLICE_S, left)))
            await asyncio.wait([self._filling], timeout=left + SLICE_S)
            if self._filling.done():
                filling, self._filling = self._filling, None
                if filling.result():
                    return True
            if time.monotonic() >= deadline:
                return False
        return False

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _close(self, in_peace: bool) -> None:
        self._stopped = True
        if self._closed:
            return
        self._closed = True
        try:
            if self._opening is not None:
                with suppress(CarouselError):  # it never opened
                    reading = await self._opening
                    await self._in_thread(partial(reading.close, in_peace))
        finally:
            self._thread.shutdown(wait=False)
