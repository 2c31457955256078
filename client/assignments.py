"""What to read, as people write it: `T1` or `T1:*` is a topic, `T1:P2` and `T1:3` a partition, by name and by number.

Partitions have numbers in Kafka and names in the plain HTTP interface (specs/queue-http-api.md): number i is called by
the name that it was created with, else `P{i+1}`. So what is written is looked up among the names first, and only then
read as a number: a partition that someone called `0` is that one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from client.errors import ConfigError, PartitionNotFound
from wire.http_queue import EVERY, decode_name, decode_name_key, partition_names
from wire.topic_names import why_not_a_name

_INDEX: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A topic and a partition's name or number as it was written; `part` is `*` for all of them."""

    topic: str
    part: str = EVERY

    def __str__(self) -> str:
        return f"{self.topic}:{self.part}"


def parse(text: str) -> Assignment:
    """`T1`, `T1:*`, `T1:P2` or `T1:3`. Raises ConfigError for anything else."""
    topic, colon, part = text.partition(":")
    if why_not_a_name(topic) or (colon and not part) or ":" in part:
        raise ConfigError(f"{text!r} is no topic: write T1, T1:* (all partitions), T1:P2 (by name) or T1:3 (by number)")
    return Assignment(topic, part or EVERY)


def parse_all(wanted: str | Iterable[str | tuple[str, int]]) -> tuple[Assignment, ...]:
    """The assignments of one text, of several, or of (topic, number) pairs, without repetitions, in the order given.
    Raises ConfigError if there is none or one can't be read."""
    each = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    found = dict.fromkeys(parse(one) if isinstance(one, str) else parse(f"{one[0]}:{one[1]}") for one in each)
    if not found:
        raise ConfigError('no topics: give at least one, such as "T1" or "T1:P1"')
    return tuple(found)


def names_of(records: Iterable[tuple[bytes | None, bytes | None]]) -> dict[str, dict[int, str]]:
    """The names given to partitions, by topic and number, from the records of `__carousel_names` in their order."""
    found: dict[str, dict[int, str]] = {}
    for key, value in records:
        place = decode_name_key(key)
        if place is None:
            continue
        topic, number = place
        name = decode_name(value)
        if name is not None:
            found.setdefault(topic, {})[number] = name
        else:
            found.get(topic, {}).pop(number, None)
    return found


def resolve(wanted: Assignment, count: int, given: Mapping[int, str]) -> tuple[int, ...]:
    """The numbers of the partitions that are meant, of a topic that has `count`. Raises PartitionNotFound."""
    called = partition_names(count, given)
    if wanted.part == EVERY:
        return tuple(range(count))
    if wanted.part in called:
        return (called.index(wanted.part),)
    if _INDEX.fullmatch(wanted.part) and int(wanted.part) < count:
        return (int(wanted.part),)
    raise PartitionNotFound(f"{wanted} is not there: {wanted.topic} has the partitions {', '.join(called)}")
