"""What all API modules have in common: one request under way, and what may come back.

Each module `kNN_name` has `KEY` and

    handle(call: Call, request: Any, context: ...) -> Answer | Later

where `request` is `wire.messages.decode` of the frame, unless the module has a `decode(version, frame, at)` of its own
(the hot ones). Its versions are in `wire.versions`. A module types `context`, the broker, by a Protocol of what it
uses: so its tests need a small fake, and the type checker holds the broker to all of them. The road not taken is one
interface of everything, which every test would have to fake.

What holds: `handle` raises nothing that is a client's fault; a call whose answer is PARKED gets `reply` exactly once;
order on a connection is the listener's business.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from server.now import Now
from wire.pieces import Piece

Answer = bytes | Sequence[Piece]
"""A whole frame (length, header, body), in one piece or in several to be written one after another."""


class LazyAnswer(ABC):
    """An answer that is made only when its connection can take it, so that it holds no memory before (Fetch)."""

    __slots__ = ()

    @abstractmethod
    def make(self, room: int) -> Answer:
        """The whole frame, of about `room` bytes at most where that can be chosen. Called once, or never if the
        connection is gone."""


class Later(Enum):
    """Instead of an answer."""

    PARKED = "the answer comes through the call's `reply`"
    NO_ANSWER = "none ever comes (Produce with acks=0)"


@dataclass(slots=True, eq=False)
class Call:
    """One request: its head, who asks (`host` without a port), on which listener, and when. `reply` is for PARKED.
    `node_id`: which server has logged in on this connection; None where nobody does."""

    version: int
    correlation_id: int
    client_id: str | None
    host: str
    listener: str
    now: Now
    reply: Callable[[Answer | LazyAnswer], None]
    node_id: int | None = None
