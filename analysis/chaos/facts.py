"""What is written down of a run, by three who do not know each other: client, replicas, and who does the harm."""

from dataclasses import dataclass
from enum import StrEnum

from analysis.chaos.asks import Ask


class Ending(StrEnum):
    """How it went for the client."""

    WHOLE = "whole"
    CUT = "cut"  # its head came, its end did not
    LOST = "lost"  # the connection ended before an answer began
    REFUSED = "refused"  # no connection
    TOO_SLOW = "too slow"
    BROKEN = "no HTTP"
    LEFT = "left"  # the client went away, as it was told to


@dataclass(slots=True)
class Record:
    """One request as the client saw it. Times are monotonic, in seconds; `due` is when it was to be sent.

    Of the answer: `answer_id` is its X-Request-Id, `replica` the name that the replica gave, `length` what
    Content-Length said (-1: nothing), `size` and `checksum` are of the body that came.
    """

    ask: Ask
    due: float
    ending: Ending = Ending.LOST
    ended: float = 0.0
    connected: float = 0.0
    status: int = 0
    answer_id: str = ""
    replica: str = ""
    length: int = -1
    size: int = 0
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Stray:
    """Bytes that came on a connection on which nothing was asked."""

    at: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Harm:
    """What was done to whom, and when it began and ended (monotonic). `target` is a replica's name, or a role."""

    kind: str
    target: str
    at: float
    until: float


Served = dict[str, list[str]]
"""The replicas' own logs: request id -> the names of those that acted on it, one for each time."""
