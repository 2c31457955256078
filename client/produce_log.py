"""The file that runproduce sends: what a line says, where it goes, and which lines a run that was killed still owes.

From specs/queue-http-api.md: a line is four fields between white space (time, message, partition or `*`, topic), and
the lines follow the order of `--topics` in turn. A line fits if it names the topic whose turn it is, and its partition
and that of `--topics` agree; `*` agrees with any, and if one of the two names a partition, the message goes there.

A run that is killed leaves messages of which it doesn't know whether they are stored. So each carries the run's name
and its line's number in a header, and the run writes down, before its first message, where the partitions ended. A
restart reads from there what is stored already, and sends the rest: nothing twice, nothing left out.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from client.assignments import Assignment
from client.errors import CarouselError
from wire.http_queue import EVERY

FIELDS: Final = 4
HEADER: Final = "carousel-line"
VERSION: Final = 1

Place = tuple[str, int]


class Incompatible(CarouselError):
    """The file can't be sent as it is; nothing of it was sent. Begins with the field's own words (and spelling)."""

    fault = "caller"


@dataclass(frozen=True, slots=True)
class Line:
    """One message: `number` counts the file's lines from 1; `part` is a partition's name, or `*` for all in turn."""

    number: int
    topic: str
    part: str
    message: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A run under way. `digest`: of the file's lines; `ends`: the next offset of each partition before the run."""

    run: str
    digest: str
    ends: Mapping[Place, int]


def parse_lines(text: str, topics: Sequence[Assignment]) -> tuple[Line, ...]:
    """The lines of a file, in order; empty ones are passed over. Raises Incompatible with the number of the first line
    that doesn't fit."""
    found: list[Line] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            found.append(_fitting(number, fields_of(number, line), topics[len(found) % len(topics)]))
    return tuple(found)


def fields_of(number: int, line: str) -> tuple[str, str, str]:
    """(topic, part, message) of a line. Raises Incompatible, with its number, if it hasn't four fields."""
    fields = line.split()
    if len(fields) != FIELDS:
        raise _unfit(number, f"it has {len(fields)} fields, not four (time, message, partition or *, topic)")
    _, message, part, topic = fields
    return topic, part, message


def _fitting(number: int, fields: tuple[str, str, str], turn: Assignment) -> Line:
    topic, part, message = fields
    if topic != turn.topic:
        raise _unfit(number, f"it is for {topic}, and the turn is {turn.topic}'s: lines follow the order of --topics")
    if part not in (turn.part, EVERY) and turn.part != EVERY:
        raise _unfit(number, f"it is for {topic}:{part}, and the turn is {turn}'s")
    return Line(number, topic, turn.part if part == EVERY else part, message)


def _unfit(number: int, why: str) -> Incompatible:
    return Incompatible(f"log file:incompitable, line {number}: {why}")


def placed(lines: Iterable[Line], names: Mapping[str, Sequence[str]]) -> list[tuple[Line, int]]:
    """Each line with its partition's number. `names` has the partitions' names by topic; `*` takes them in turn, from
    the first. The same lines and names give the same places, however often a run begins anew; where names were added
    meanwhile, what is stored is known by its lines' numbers."""
    turns: Counter[str] = Counter()
    found: list[tuple[Line, int]] = []
    for line in lines:
        called = names[line.topic]
        if line.part == EVERY:
            found.append((line, turns[line.topic] % len(called)))
            turns[line.topic] += 1
        else:
            found.append((line, called.index(line.part)))
    return found


def lacking(lines: Iterable[Line], names: Mapping[str, Sequence[str]]) -> list[str]:
    """What has to be made before these lines can be sent: `T1`, or `T1:P2`; in order, without repetitions."""
    wanted = dict.fromkeys((line.topic, line.part) for line in lines)
    missing = (
        topic if topic not in names else f"{topic}:{part}"
        for topic, part in wanted
        if topic not in names or part not in (EVERY, *names[topic])
    )
    return list(dict.fromkeys(missing))


def digest_of(lines: Sequence[Line]) -> str:
    """By which a run knows its lines again."""
    return hashlib.sha256(repr(list(lines)).encode()).hexdigest()


def mark(run: str, number: int) -> bytes:
    """The header's value for a line of a run."""
    return f"{run}/{number}".encode()


def line_marked(header: tuple[str, bytes | None], run: str) -> int | None:
    """The number of the line of this run that a message's header names; None if it doesn't."""
    name, value = header
    owner, _, number = (value or b"").decode(errors="replace").partition("/")
    return int(number) if name == HEADER and owner == run and number.isascii() and number.isdigit() else None


def encode_begun(begun: Begun) -> bytes:
    ends = [[topic, number, offset] for (topic, number), offset in sorted(begun.ends.items())]
    return json.dumps({"v": VERSION, "run": begun.run, "digest": begun.digest, "ends": ends}).encode()


def decode_begun(value: bytes) -> Begun | None:
    """The run that was under way; None for what no version of ours wrote."""
    try:
        told: Any = json.loads(value)
        if told["v"] != VERSION:
            return None
        ends = {(str(topic), int(number)): int(offset) for topic, number, offset in told["ends"]}
        return Begun(str(told["run"]), str(told["digest"]), ends)
    except (ValueError, KeyError, TypeError):
        return None
