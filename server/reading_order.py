"""Which message a consumer gets next, and how its cursor moves. Pure.

The problem: answers are lost, and calls come again. Without `ack` a cursor moves with the answer (at most once, as in
the field). With `ack=<offset>` an answer's message is only *given*: the next call's ack moves the cursor behind it, and
any other ack gets it again (at least once).

A consumer of several partitions takes them in turn, and an offset alone doesn't say of which partition it is. Were an
ack that is repeated because its answer was lost taken for the ack of what that answer gave, a message would be lost. So
a message is not given whose offset is that of the last acknowledged one in another partition, as long as there is
another to give (`avoided`); and where there is none, an ack that may mean either gets the message once more.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from wire.http_queue import Cursor, Registration

Place = tuple[int, int]
"""A partition and an offset."""


class Asked(NamedTuple):
    """What an ack makes of a cursor. `again`: give this once more, and nothing else; None: the next one."""

    cursor: Cursor
    again: Place | None


def acknowledged(cursor: Cursor, ack: int) -> Asked:
    given = cursor.given
    if given is None:
        return Asked(cursor, None)
    if given[1] != ack:
        return Asked(cursor, given)
    if _may_be_the_last_one(cursor, given) and not cursor.again:
        return Asked(replace(cursor, again=True), given)
    return Asked(_behind(cursor, given, acked=given), None)


def taken(cursor: Cursor, place: Place, count: int) -> Cursor:
    """The cursor when the message at `place` is answered to a call without ack; the topic has `count` partitions."""
    return replace(_behind(cursor, place, acked=None), turn=(place[0] + 1) % count)


def given(cursor: Cursor, place: Place, count: int) -> Cursor:
    """The same for a call with ack: the message waits for the next one."""
    return replace(cursor, given=place, again=False, turn=(place[0] + 1) % count)


def avoided(cursor: Cursor, place: Place) -> bool:
    """Whether its ack could be taken for the last one's."""
    return cursor.acked is not None and _may_be_the_last_one(cursor, place)


def in_turn(cursor: Cursor, registration: Registration, count: int) -> tuple[int, ...]:
    """The partitions, in the order in which they are asked. `count`: how many the topic has; `registration`: whose."""
    if registration.partition is not None:
        return (registration.partition,)
    first = cursor.turn if cursor.turn < count else 0
    return (*range(first, count), *range(first))


def position(cursor: Cursor, ends: Mapping[int, int], partition: int) -> int:
    """The offset of the next message that is due. `ends`: the registration's; a partition that isn't there is new."""
    return cursor.positions.get(partition, ends.get(partition, 0))


def _may_be_the_last_one(cursor: Cursor, place: Place) -> bool:
    return cursor.acked is not None and cursor.acked[1] == place[1] and cursor.acked[0] != place[0]


def _behind(cursor: Cursor, place: Place, acked: Place | None) -> Cursor:
    partition, offset = place
    positions = {**cursor.positions, partition: offset + 1}
    return replace(cursor, positions=positions, given=None, acked=acked, again=False)
