"""One run of `carousel consume`: messages are written, then it is kept that they are, then the group is told.

That order is all there is to it: whatever moment a kill comes at, what the group knows is in the output, and what a
file's position says is in the file. The file may hold more than its position says, and the position more than the
group knows.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from client.cli.formats import Seen, Writer
from client.cli.positions import Place, advanced, unwritten
from client.cli.reached import all_reached
from client.cli.sinks import Sink
from client.cli.telling import Telling
from client.errors import CarouselError

BATCH: Final = 1_000
POLL_S: Final = 0.2
KEEP_EVERY_S: Final = 0.5  # without a group, how much is read again after a kill
OWED_S: Final = 10.0  # of silence; then what the group was not told is left: some comes again, nothing is lost


IDLE_S: Final = 10.0  # without a partition; a cooperative group gives them in its second round, seconds later


class Source(Protocol):
    """The part of `client.Consumer` that is needed here."""

    @property
    def idle(self) -> bool: ...

    def batch(self, count: int, timeout_s: float = 1.0) -> Sequence[Seen]: ...
    def commit(self) -> None: ...
    def assignment(self) -> tuple[Place, ...]: ...
    def ends(self) -> Mapping[Place, int]: ...
    def reached(self) -> Mapping[Place, int]: ...


@dataclass(slots=True)
class Job:
    """`following`: the offset behind the last written message of each partition. `count` None: no end by number.
    `quiet_s` None: it waits for ever. `commits`: there is a group, which is told after each write."""

    source: Source
    sink: Sink
    write: Writer
    following: dict[Place, int]
    count: int | None = None
    until_end: bool = False
    quiet_s: float | None = None
    commits: bool = False
    now_s: Callable[[], float] = time.monotonic
    written: int = 0
    _ends: dict[Place, int] = field(default_factory=dict[Place, int])
    _whole: bool = True
    """False between the first byte of a write and the last offset that goes with it."""
    _kept: bool = True
    _kept_s: float = 0.0
    _heard_s: float = field(init=False)
    _telling: Telling = field(init=False)
    _busy_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._heard_s = self._busy_s = self.now_s()
        self._telling = Telling(self.source.commit)

    def run(self) -> bool:
        """Until an end that was asked for; whether it is one: False if silence came first."""
        try:
            while not self._complete():
                if self.quiet_s is not None and self.now_s() - self._heard_s > self.quiet_s:
                    return self.count is None
                self._turn()
        finally:
            if self._whole:
                self._keep()
        return True

    def _complete(self) -> bool:
        if self.count is not None and self.written >= self.count:
            return True
        return self.until_end and ((self._at_end() and not self._owes()) or self._left_out())

    def _left_out(self) -> bool:
        """Of a group whose other members read everything: to the end there is nothing for us."""
        if not self.source.idle:
            self._busy_s = self.now_s()
        return self.now_s() - self._busy_s > IDLE_S

    def _owes(self) -> bool:
        return self._telling.owes(self.source.assignment()) and self.now_s() - self._heard_s < OWED_S

    def _at_end(self) -> bool:
        """Of what is read now: a group's members may come and go, and with them partitions."""
        places = self.source.assignment()
        if not self._ends.keys() >= set(places):
            self._ends = {**self.source.ends(), **self._ends}
        ends = {place: self._ends[place] for place in places}
        return bool(places) and all_reached(ends, self.following, self.source.reached())

    def _turn(self) -> None:
        left = BATCH if self.count is None else min(BATCH, self.count - self.written)
        messages = self._next(left)
        fresh = self._fresh(messages)
        if fresh:
            self._write(fresh)
        if messages:
            self._heard_s = self.now_s()
        if self.commits and messages:
            self._keep()
            self._telling.hand(messages)
            self._telling.tell()
        elif self.now_s() - self._kept_s > KEEP_EVERY_S:
            self._keep()

    def _fresh(self, messages: Sequence[Seen]) -> list[Seen]:
        """Those that are not written yet. A group hands some out again after a rebalance; but where the log ends before
        what was written of it, it was made anew, and nobody has seen its messages. Raises BadPosition."""
        found = unwritten(messages, self.following)
        if len(found) == len(messages):
            return found
        for place in self._cut_short():
            self.sink.begin_anew(place)
            del self.following[place]
            self._ends.pop(place, None)
            self._telling.forget(place)
        return unwritten(messages, self.following)

    def _cut_short(self) -> list[Place]:
        """The partitions that end before what was written of them."""
        with suppress(CarouselError):
            return [place for place, end in self.source.ends().items() if end < self.following.get(place, 0)]
        return []

    def _write(self, messages: Sequence[Seen]) -> None:
        data = b"".join(map(self.write, messages))
        self._kept = self._whole = False
        self.sink.write(data)
        advanced(self.following, messages)
        self.written += len(messages)
        self._whole = True

    def _next(self, count: int) -> Sequence[Seen]:
        """The first one is waited for, the others are taken if they are there."""
        found = self.source.batch(1, POLL_S)
        return [*found, *self.source.batch(count - 1, 0)] if found and count > 1 else found

    def _keep(self) -> None:
        self._kept_s = self.now_s()
        if not self._kept:
            self.sink.keep(self.following)
            self._kept = True
