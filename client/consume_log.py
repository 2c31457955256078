"""The file that runconsume writes, and the record beside it from which a run that was killed goes on.

From specs/queue-http-api.md: one line a message: `T1:P1`, five blanks, the message.

Nothing is lost or doubled by kill -9 at any moment, because two things are kept in this order: lines are appended to
the file; then, every moment, a record replaces the old one (atomically) that says *how long the file was* and *up to
which offset each partition is in it*. A restart cuts the file to the length of the record, and reads on from its
offsets: lines behind it come again from the queue. The first record is made before the first message is asked for, so a
run that was killed without one message starts where it first did, too.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from client.assignments import Assignment
from client.errors import ConfigError
from client.values import Offsets
from wire.http_queue import EVERY, topic_and_part

VERSION: Final = 1
BLANKS: Final = " " * 5

Place = tuple[str, int]
NO_POSITIONS: Final[Mapping[Place, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Taken:
    """A consumer of the HTTP interface: its id, and the last answer (its `topic` and offset) that is in the file, which
    the next call acknowledges; None before the first."""

    consumer_id: int
    last: tuple[str, int] | None = None


NO_TAKEN: Final[Mapping[str, Taken]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Record:
    """`size_bytes` of the file hold everything before `positions` (by topic and partition, over the Kafka protocol) and
    up to `taken` (by `T1:P1` of --topics, over HTTP). `wanted`: the --topics that it was kept for."""

    size_bytes: int
    positions: Mapping[Place, int] = field(default_factory=lambda: NO_POSITIONS)
    taken: Mapping[str, Taken] = field(default_factory=lambda: NO_TAKEN)
    wanted: tuple[str, ...] = ()


def ways(kept: Record | None) -> tuple[bool, bool]:
    """Whether the run before went over HTTP, and whether over the Kafka protocol; the next one goes the same way, for
    each knows nothing of where the other was."""
    by_kafka = kept is not None and bool(kept.positions)
    return kept is not None and bool(kept.taken) and not by_kafka, by_kafka


def line_of(place: str, message: str) -> bytes:
    """One line: line breaks inside of the message are written as `\\n` and `\\r`, so that it stays one."""
    plain = message.replace("\r", "\\r").replace("\n", "\\n")
    return f"{place}{BLANKS}{plain}\n".encode(errors="replace")


def text_of(value: bytes | None) -> str:
    """A message's bytes as text: UTF-8, what isn't is replaced; a tombstone is empty."""
    return (value or b"").decode(errors="replace")


def wanted_places(wanted: Iterable[Assignment], names: Mapping[str, Sequence[str]]) -> list[Place]:
    """The (topic, number) pairs to read, of those that are there, in order, without repetitions."""
    found = [
        (one.topic, number)
        for one in wanted
        for number, name in enumerate(names.get(one.topic, ()))
        if one.part in (EVERY, name)
    ]
    return list(dict.fromkeys(found))


def missing(wanted: Iterable[Assignment], names: Mapping[str, Sequence[str]]) -> list[str]:
    """What of --topics isn't there yet."""
    return [
        one.topic if one.topic not in names else str(one)
        for one in wanted
        if one.topic not in names or one.part not in (EVERY, *names[one.topic])
    ]


def name_of(place: Place, names: Mapping[str, Sequence[str]]) -> str:
    topic, number = place
    return topic_and_part(topic, names[topic][number])


def late_places(places: Iterable[Place], there: Collection[Place], known: Collection[str]) -> frozenset[Place]:
    """Those of `places` that were made after we came: not `there` when this run began, or of a topic all of whose
    partitions the last run read (`known` are its --topics), and that has more of them now."""
    return frozenset(place for place in places if place not in there or str(Assignment(place[0])) in known)


def starts(
    places: Iterable[Place], kept: Mapping[Place, int], offsets: Mapping[Place, Offsets], late: Collection[Place]
) -> tuple[dict[Place, int], list[str]]:
    """Where to read each partition from, and what to tell about it.

    A partition that the record knows goes on there. Any other is read from its end, as the HTTP interface's consumers
    are, or if it was made after we came (`late`), from its beginning. A position that the log no longer has (its topic
    was made anew, or retention passed us) becomes the first one that it has.
    """
    found: dict[Place, int] = {}
    words: list[str] = []
    for place in places:
        first, after = offsets[place].first, offsets[place].next
        if place not in kept:
            found[place] = first if place in late else after
        elif first <= kept[place] <= after:
            found[place] = kept[place]
        else:
            found[place] = first
            words.append(f"{place[0]}, partition {place[1]}: offset {kept[place]} is gone, going on at {first}")
    return found, words


def encode_record(record: Record) -> bytes:
    positions = [[topic, number, offset] for (topic, number), offset in sorted(record.positions.items())]
    taken = {name: [one.consumer_id, one.last] for name, one in sorted(record.taken.items())}
    told = {
        "v": VERSION,
        "size": record.size_bytes,
        "positions": positions,
        "taken": taken,
        "wanted": record.wanted,
    }
    return json.dumps(told, separators=(",", ":")).encode()


def decode_record(value: bytes) -> Record:
    """Raises ConfigError for what no version of ours wrote: going on without it could double or lose lines."""
    try:
        told: Any = json.loads(value)
        if told["v"] != VERSION:
            raise ValueError(f"version {told['v']}")
        positions = {(str(topic), int(number)): int(offset) for topic, number, offset in told["positions"]}
        taken = {str(name): _taken(*one) for name, one in told["taken"].items()}
        return Record(int(told["size"]), positions, taken, tuple(map(str, told["wanted"])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"the record of the last run can't be read ({error}). What to do: remove it to begin at the topics' ends"
        ) from error


def _taken(consumer_id: int, last: Sequence[Any] | None) -> Taken:
    return Taken(int(consumer_id), None if last is None else (str(last[0]), int(last[1])))
