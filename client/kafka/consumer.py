"""A consumer that is iterated, and whose committed position is what the program has finished with."""

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Self

from client.errors import Closed
from client.kafka.reading import Place, Reading, Start, Wanted
from client.serializers import Deserializer, Name
from client.values import Message

SLICE_S: Final = 0.2
"""One wait in librdkafka, which hears neither Ctrl-C nor `stop` meanwhile."""


class Consumer:
    """Reads topics or single partitions of any Kafka cluster, in order within each partition.

    >>> with Consumer(BOOTSTRAP, "numbers", deserializer="json") as consumer:
    ...     for message in consumer:
    ...         print(message.partition, message.offset, message.value)
    ...         if message.value == 2:
    ...             break
    0 0 1
    0 1 2

    bootstrap: `host:port` of one server or more. topics: `"T1"`, `"T1:P1"` (a partition by name), `"T1:3"` (by number),
    several of these, or (topic, number) pairs.
    group: consumers of one group share the topics' partitions, and each goes on where the group had committed. A
    message counts as done once the next one is asked for, and is committed within seconds, at a rebalance and at the
    end: after a crash some come again, none is left out. Without a group one reads alone, from `start`, and commits
    nothing; partitions that are added later are not read.
    start: where to begin if nothing was committed: `"earliest"`, `"latest"` (what is sent after this call), an offset,
    or offsets by (topic, number).
    deserializer: a name (`bytes`, `str`, `json`, `msgpack`) or a function of bytes.
    patience_s: how long questions to the cluster may take before they raise.
    Keyword arguments in snake_case are librdkafka's properties (`isolation_level="read_committed"`).

    For one thread; only `stop` may be called from anywhere. Raises ConfigError, and without a group, or for partitions,
    TopicNotFound, PartitionNotFound and Unreachable.
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
        self._reading = Reading(bootstrap, topics, group, start, deserializer, patience_s, overrides)
        self._stopped = threading.Event()
        self._closed = False

    def poll(self, timeout_s: float = 1.0) -> Message | None:
        """The next message, or None if none came in that time, or the consumer was stopped. Raises BadValue for a value
        that can't be read (the next call goes on behind it), TopicNotFound, OffsetOutOfRange, NotAllowed. A server that
        is away is waited for."""
        self._come_back()
        return self._reading.take(1)[0] if self._filled(timeout_s) else None

    def batch(self, count: int, timeout_s: float = 1.0) -> list[Message]:
        """The next `count` messages, or fewer if no more came in that time, or the next one can't be read. All of them
        count as done at the next call. Raises as `poll`.

        >>> with Consumer(BOOTSTRAP, "numbers", deserializer="json") as consumer:
        ...     [message.value for message in consumer.batch(2)]
        [1, 2]
        """
        self._come_back()
        found: list[Message] = []
        deadline = time.monotonic() + timeout_s
        while len(found) < count and self._filled(max(0.0, deadline - time.monotonic())):
            found += self._reading.take(count - len(found), raising=not found)
            if self._reading.ready:  # that was all, or the next one can't be read: its error is the next call's
                break
        return found

    def commit(self) -> None:
        """Commits everything handed out so far, and returns when that is stored. Raises ConfigError without a group."""
        self._open().commit()

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """The next message of this partition is the one at `offset`."""
        self._open().seek(topic, partition, offset)

    def assignment(self) -> tuple[Place, ...]:
        """The (topic, number) pairs being read now; a group's are there once it has joined, some polls after start."""
        return self._open().assignment()

    @property
    def idle(self) -> bool:
        """Whether the group's other members read all partitions, so that none is left for this one just now."""
        return self._open().joined and not self.assignment()

    def ends(self) -> dict[Place, int]:
        """For each partition being read, the offset that its next message will get."""
        return self._open().ends()

    def reached(self) -> dict[Place, int]:
        """For each partition that is at its end, the offset at which there is nothing more yet. Between the last
        message and the end may lie what is none (a transaction's marker), so positions alone don't tell."""
        return self._open().reached

    @property
    def caught_up(self) -> bool:
        """Whether everything that was there has been handed out: each partition being read was at its end when it was
        last heard of. For reading up to the end and no further: `while not consumer.caught_up: consumer.batch(…)`."""
        return bool(self._open().assignment()) and self._reading.caught_up

    def stop(self) -> None:
        """Ends the iteration within a moment; from any thread or signal handler."""
        self._stopped.set()

    def close(self) -> None:
        """Commits what was handed out (unless enable_auto_commit is off), leaves the group, ends the connections. A
        second close does nothing."""
        self._close(in_peace=True)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        while not self._stopped.is_set():
            if (message := self.poll(SLICE_S)) is not None:
                return message
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """After an error the message that was being worked on is not committed: it comes again."""
        self._close(in_peace=error is None)

    def _come_back(self) -> None:
        """The caller asks for more: what it had is done."""
        reading = self._open()
        reading.settle()
        if reading.due:
            reading.store()

    def _filled(self, timeout_s: float) -> bool:
        """Waits for messages in slices; whether there are some."""
        reading = self._open()
        deadline = time.monotonic() + timeout_s
        while not self._stopped.is_set():
            left = max(0.0, deadline - time.monotonic())
            if reading.fill(min(SLICE_S, left)):
                return True
            if left <= SLICE_S:
                return False
        return False

    def _open(self) -> Reading:
        if self._closed:
            raise Closed("the consumer is closed: make a new one")
        return self._reading

    def _close(self, in_peace: bool) -> None:
        self._stopped.set()
        if not self._closed:
            self._closed = True
            self._reading.close(in_peace)
