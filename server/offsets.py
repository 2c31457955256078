"""The offsets that one group has committed, and which of them have outlived their time.

What holds: only what is durable is here to be read; a commit under way is known by its key alone (`in_flight`), so that
a deletion can cover it: its tombstone comes behind the commit in the log. `apply` is what replay does as well as a
commit that became durable, so memory and log can't differ.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from server.offset_records import NO_TIME, OffsetKey, OffsetValue

TopicPartition = tuple[str, int]


class Expiry(NamedTuple):
    """How a group's offsets age (KIP-211). `since_ms`: when the group became empty, from when all of them age (None:
    each from its commit). `kept_topics`: those that members read, whose offsets don't age; `keeps_all`: none does."""

    keeps_all: bool = False
    since_ms: int | None = None
    kept_topics: frozenset[str] = frozenset()


class GroupOffsets:
    """Committed offsets by topic and partition."""

    __slots__ = ("_by_topic", "_in_flight")

    def __init__(self) -> None:
        self._by_topic: dict[str, dict[int, OffsetValue]] = {}
        self._in_flight: Counter[TopicPartition] = Counter()

    def get(self, topic: str, partition: int) -> OffsetValue | None:
        """What was committed; None is -1 to clients, without an error."""
        partitions = self._by_topic.get(topic)
        return None if partitions is None else partitions.get(partition)

    def all(self) -> Iterator[tuple[str, dict[int, OffsetValue]]]:
        """Everything, by topic."""
        yield from self._by_topic.items()

    def known(self) -> list[TopicPartition]:
        """Every key that has or will have a value in the log."""
        here = [(topic, partition) for topic, partitions in self._by_topic.items() for partition in partitions]
        return [*here, *(key for key in self._in_flight if self.get(*key) is None)]

    def knows(self, topic: str, partition: int) -> bool:
        return (topic, partition) in self._in_flight or self.get(topic, partition) is not None

    @property
    def is_empty(self) -> bool:
        return not self._by_topic and not self._in_flight

    # --- changing

    def begin(self, keys: Iterable[TopicPartition]) -> None:
        """Commits of these are being appended; each ends with `end`."""
        self._in_flight.update(keys)

    def end(self, keys: Iterable[TopicPartition]) -> None:
        for key in keys:
            self._in_flight[key] -= 1
            if not self._in_flight[key]:
                del self._in_flight[key]

    def apply(self, key: OffsetKey, value: OffsetValue | None) -> None:
        """A record of the log; None is a tombstone."""
        if value is not None:
            self._by_topic.setdefault(key.topic, {})[key.partition] = value
            return
        partitions = self._by_topic.get(key.topic)
        if partitions is not None:
            partitions.pop(key.partition, None)
            if not partitions:
                del self._by_topic[key.topic]

    def expired(self, expiry: Expiry, now_ms: int, retention_ms: int) -> list[TopicPartition]:
        """Those whose time is over, none that is being committed again."""
        if expiry.keeps_all:
            return []
        return [
            (topic, partition)
            for topic, partitions in self._by_topic.items()
            if topic not in expiry.kept_topics
            for partition, value in partitions.items()
            if _is_expired(value, expiry, now_ms, retention_ms) and (topic, partition) not in self._in_flight
        ]


def _is_expired(value: OffsetValue, expiry: Expiry, now_ms: int, retention_ms: int) -> bool:
    if value.expire_ms != NO_TIME:
        return now_ms >= value.expire_ms
    since_ms = value.commit_ms if expiry.since_ms is None else expiry.since_ms
    return now_ms - since_ms >= retention_ms
