"""What of the input is in the log, while it is being sent and after a kill: the arithmetic behind `produce --state`.

The problem: a sender that is killed has lines under way. Some are appended and acknowledged, some appended while their
acknowledgment died with the sender, some never arrived. Sent again from the last acknowledged one, those in between
are there twice; skipped, they are missing.

So the log itself is asked. Each message of such a run carries a header, `carousel-line: RUN/NUMBER`, as
runproduce's do, and the state file holds, saved before the first message is sent and every half second after:
- `lines`: all lines up to this one are acknowledged (a prefix);
- `next`: for each partition an offset, at or below every line beyond the prefix. It is the end of the log before the
  first line, and behind the last line of the prefix after it: an idempotent producer keeps a partition's order;
- `check`: CRC-32 of the prefix, so that another file is not taken for the rest of this one.
A restart reads the log from `next` on, and leaves out the lines that it finds there. The state may be old: then
more is read, and nothing else changes.

What it can't exclude: a dead sender's last request may still be on its way, held up by the network, when the log is
read. The reader waits until nothing of the run has arrived for a second; a request held longer is there twice. Only a
transactional producer could fence it, and not every Kafka cluster lets everybody use one.
"""

import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from client.produce_log import line_marked

VERSION: Final = 1


class BadState(ValueError):
    """The state is another run's; the text says why and what to do."""


class Place(Protocol):
    """Where a message is (`client.Sent`)."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


class Answer(Protocol):
    """The part of a future that the window needs."""

    def done(self) -> bool: ...
    def result(self, timeout: float | None = None) -> Place: ...


@dataclass(frozen=True, slots=True)
class Found:
    """An answer that is known: the line was found in the log."""

    partition: int
    offset: int

    def done(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> "Found":
        return self


@dataclass(frozen=True, slots=True)
class State:
    """See the top of this file. `next`: offset by partition; one that is not in it is read from its beginning."""

    topic: str
    run: str
    next: Mapping[int, int]
    lines: int = 0
    check: int = 0

    def dump(self) -> dict[str, Any]:
        return {
            "v": VERSION, "topic": self.topic, "run": self.run, "lines": self.lines, "check": self.check,
            "next": {str(partition): offset for partition, offset in sorted(self.next.items())},
        }  # fmt: skip


def state_of(found: dict[str, Any], topic: str) -> State:
    """What `dump` gave. Raises BadState."""
    try:
        if found["v"] != VERSION:
            raise BadState(f"the state file is of version {found['v']}, this is {VERSION}; name another file")
        following = {int(name): int(offset) for name, offset in cast("dict[str, int]", found["next"]).items()}
        state = State(str(found["topic"]), str(found["run"]), following, int(found["lines"]), int(found["check"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise error if isinstance(error, BadState) else BadState("the state file holds something else") from None
    if state.topic != topic:
        raise BadState(f"the state file is of topic {state.topic}, not {topic}; name another file")
    return state


def number_in(headers: Iterable[tuple[str, bytes | None]], run: str) -> int | None:
    """The line's number, if a message is of this run."""
    return next((number for header in headers if (number := line_marked(header, run)) is not None), None)


def check_of(line: bytes, check: int) -> int:
    """The prefix's CRC-32 with this line."""
    return zlib.crc32(b"\n", zlib.crc32(line, check))


@dataclass(slots=True)
class Window:
    """Lines under way, the oldest first. `state` holds what is acknowledged without a gap."""

    state: State
    _under_way: deque[tuple[int, int, Answer]] = field(default_factory=deque[tuple[int, int, Answer]])

    def __len__(self) -> int:
        return len(self._under_way)

    def add(self, number: int, check: int, answer: Answer) -> None:
        self._under_way.append((number, check, answer))

    def settle(self) -> None:
        """Take off what is acknowledged. Raises the oldest line's error, if it has one."""
        following = dict(self.state.next)
        lines, check = self.state.lines, self.state.check
        try:
            while self._under_way and self._under_way[0][2].done():
                place = self._under_way[0][2].result()
                lines, check, _ = self._under_way.popleft()
                following[place.partition] = max(following.get(place.partition, 0), place.offset + 1)
        finally:
            if lines != self.state.lines:
                self.state = State(self.state.topic, self.state.run, following, lines, check)

    def wait(self, timeout_s: float) -> None:
        """For the oldest line; TimeoutError if it takes longer. Raises its error."""
        if self._under_way:
            self._under_way[0][2].result(timeout_s)
            self.settle()

    def failed(self) -> bool:
        """Whether the oldest line is answered, which after an error of `wait` means that it is the answer."""
        return bool(self._under_way) and self._under_way[0][2].done()

    def oldest(self) -> int:
        """Its number, or the one that would come next."""
        return self._under_way[0][0] if self._under_way else self.state.lines + 1

    def acknowledged(self) -> int:
        """How many of the lines under way are acknowledged, behind a gap."""
        return sum(_is_there(answer) for _, _, answer in self._under_way)


def _is_there(answer: Answer) -> bool:
    if not answer.done():
        return False
    try:
        answer.result()
    except Exception:  # whatever it was: it is not there
        return False
    return True
