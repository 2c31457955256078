"""What a replica knows of the internal topics of the plain HTTP interface: a view that follows them. Pure.

Each topic is a log of one partition, and every replica applies the same records in the same order; so all views agree
as far as they have come, and `positions` says how far that is. Who must know what another replica has just written
asks the topic for its end and waits until the view is there.

A cursor's record counts only if its sequence number is above the last one's (`wire.http_queue.Cursor`): two replicas
that move one cursor from the same state write the same number, and all views take the first. `won` is how a replica
learns that its own record was the one. The road not taken: a lock, or an owner for each consumer, which somebody would
have to give to others when a server ends.
"""

from collections.abc import Callable, Mapping
from typing import Final

from wire.http_queue import (
    CONSUMERS_TOPIC,
    CURSORS_TOPIC,
    NAMES_TOPIC,
    PRODUCERS_TOPIC,
    TOPICS,
    Cursor,
    Registration,
    decode_cursor,
    decode_name,
    decode_name_key,
    decode_registration,
    decode_turn,
    decode_whose,
)

NO_NAMES: Final[Mapping[int, str]] = {}


class View:
    """`writer`: this replica's name in its cursors' records. `positions`: by topic, the offset of the next record."""

    def __init__(self, writer: str) -> None:
        self.writer = writer
        self.positions: dict[str, int] = dict.fromkeys(TOPICS, 0)
        self.producers: dict[int, Registration] = {}
        self.consumers: dict[int, Registration] = {}
        self.cursors: dict[int, Cursor] = {}
        self.turns: dict[int, int] = {}
        self.names: dict[str, dict[int, str]] = {}
        self._named_at: dict[str, int] = {}
        self._won: dict[int, int] = {}
        self._apply: Final[Mapping[str, Callable[[int, bytes | None, bytes | None], None]]] = {
            PRODUCERS_TOPIC: self._producer,
            CONSUMERS_TOPIC: self._consumer,
            CURSORS_TOPIC: self._progress,
            NAMES_TOPIC: self._name,
        }

    def apply(self, topic: str, offset: int, key: bytes | None, value: bytes | None) -> None:
        """The record at `offset`; one that was applied already is passed over."""
        if offset >= self.positions[topic]:
            self._apply[topic](offset, key, value)
            self.positions[topic] = offset + 1

    def reach(self, topic: str, end: int) -> None:
        """The topic holds nothing more below `end`: what was there is compacted away."""
        self.positions[topic] = max(self.positions[topic], end)

    def won(self, consumer_id: int, offset: int) -> bool:
        """Whether the record of this replica at `offset` counted. Ask when the view is behind that record, and before
        this replica writes another one for the consumer. (Its number would not do: a record that was given up, since
        its acknowledgment was late, may be in the log before the one of the next try, with the same number.)"""
        return self._won.get(consumer_id) == offset

    def given_names(self, topic: str) -> Mapping[int, str]:
        return self.names.get(topic, NO_NAMES)

    def least_partitions(self, topic: str) -> int:
        """How many partitions the topic has at least, by their names; it may have more."""
        return max(self.given_names(topic), default=-1) + 1

    def named_at(self, topic: str) -> int:
        """The offset of the last record about its names; -1: there was none."""
        return self._named_at.get(topic, -1)

    def _producer(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        registration = decode_registration(value)
        if registration is not None:
            self.producers[offset] = registration

    def _consumer(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        registration = decode_registration(value)
        if registration is not None:
            self.consumers[offset] = registration

    def _progress(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        whose = decode_whose(key)
        if whose is None:
            return
        if whose[0] == "producer":
            self._turn(whose[1], decode_turn(value))
        else:
            self._cursor(offset, whose[1], decode_cursor(value))

    def _turn(self, producer_id: int, turn: int | None) -> None:
        if turn is not None and turn > self.turns.get(producer_id, 0):
            self.turns[producer_id] = turn

    def _cursor(self, offset: int, consumer_id: int, cursor: Cursor | None) -> None:
        last = self.cursors.get(consumer_id)
        if cursor is None or (last is not None and cursor.sequence <= last.sequence):
            return
        self.cursors[consumer_id] = cursor
        if cursor.writer == self.writer:
            self._won[consumer_id] = offset

    def _name(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        place = decode_name_key(key)
        if place is None:
            return
        topic, partition = place
        self._named_at[topic] = offset
        name = decode_name(value)
        names = self.names.setdefault(topic, {})
        if name is None:
            names.pop(partition, None)
        else:
            names[partition] = name
        if not names:
            del self.names[topic]
