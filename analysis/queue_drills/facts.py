"""What is written down of a run: what producers were told, and what was read. Nobody here knows how it was made.

A *lane* is what one producer sends to one partition: its messages are numbered from 0 on without a gap.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

NO_OFFSET = -1


class LaneId(NamedTuple):
    producer: int
    partition: int


@dataclass(slots=True)
class Lane:
    """By number of the message. Times are monotonic, in seconds: `sent_s` when it was handed to the client, `told_s`
    when the client said what came of it (0.0: nothing yet). `offsets` is NO_OFFSET until it is acknowledged; what the
    client gave up is in `failed`, with its words.
    """

    sent_s: "array[float]" = field(default_factory=lambda: array("d"))
    told_s: "array[float]" = field(default_factory=lambda: array("d"))
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    failed: dict[int, str] = field(default_factory=dict[int, str])
    acked_again: list[int] = field(default_factory=list[int])

    def sent(self, at_s: float) -> int:
        """The message's number."""
        self.sent_s.append(at_s)
        self.told_s.append(0.0)
        self.offsets.append(NO_OFFSET)
        return len(self.offsets) - 1

    def taken_back(self) -> None:
        """The last one was not taken by the client after all."""
        self.sent_s.pop()
        self.told_s.pop()
        self.offsets.pop()

    def acked(self, number: int, offset: int, at_s: float) -> None:
        if self.told_s[number]:
            self.acked_again.append(number)
        self.offsets[number] = offset
        self.told_s[number] = at_s

    def gave_up(self, number: int, why: str, at_s: float) -> None:
        self.failed[number] = why
        self.told_s[number] = at_s


class Read(NamedTuple):
    """One message as it was consumed, in the order in which the partition gave it. `intact`: its bytes are those that
    were sent; otherwise the rest of it means nothing."""

    offset: int
    producer: int
    partition: int
    number: int
    intact: bool = True


class Delivered(NamedTuple):
    """The same by a consumer of a group; `member` is who got it, `at_s` when (monotonic)."""

    read: Read
    member: int
    at_s: float


Lanes = Mapping[LaneId, Lane]
Logs = Mapping[int, Sequence[Read]]
"""By partition, what one reader got that began at offset 0 and went to the end when nothing was sent any more."""
Deliveries = Mapping[int, Sequence[Delivered]]
"""By partition, what all members of a group got together, in the order of time."""
