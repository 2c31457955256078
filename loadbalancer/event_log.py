"""The events that are kept: what happened to whom, when and why.

An event is shown only after it was given to the disk (the shell sees to that), so ids never come twice, also
after a kill -9; when the disk is full it is shown all the same, because a log must not stop a respawn.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

KEPT_EVENTS = 10_000  # the spec's number; some megabytes


@dataclass(frozen=True, slots=True)
class Event:
    """`time` is seconds since the epoch; `replica` is a name or "" when the event is about the whole."""

    id: int
    time: float
    kind: str
    replica: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class EventLog:
    """The newest events, oldest first."""

    def __init__(self, kept: Iterable[Event] = (), capacity: int = KEPT_EVENTS) -> None:
        self._events = deque(kept, maxlen=capacity)
        self._next_id = self._events[-1].id + 1 if self._events else 1

    def make(self, time: float, kind: str, replica: str, reason: str) -> Event:
        """The next event; it is not shown before `show`."""
        event = Event(self._next_id, time, kind, replica, reason)
        self._next_id += 1
        return event

    def show(self, events: Iterable[Event]) -> None:
        self._events.extend(events)

    def since(self, event_id: int, limit: int = KEPT_EVENTS) -> list[Event]:
        """The first `limit` events with an id above `event_id`."""
        found = [event for event in self._events if event.id > event_id]
        return found[:limit]
