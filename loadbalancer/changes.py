"""The queue of /add and /rm: carried out one after another, each within a bound, while the fleet goes on
mending itself.

An /add is all or nothing. Its newcomers are on trial: spawned and probed like any replica, but in no
snapshot until all of them are healthy; then they count, at once and together. If one of them exits or time
runs out, all are taken back, and the caller is told when they are gone, so that it may ask for the same
names again. Until then N is the old N.

An /rm can't fail once it is accepted: N is the new N at once, the leavers drain, are stopped, and go. With the
queue on they first give their partitions away; who waits for that too long is told so, and they leave when they
have. The
road not taken was a lock around the whole fleet: with it, a replica that died during a slow /add would wait
30 s for its replacement.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from loadbalancer import names
from loadbalancer.commands import BadCommand, bad, check_change
from loadbalancer.commands import Change as Body
from loadbalancer.fleet_state import STOP_SLACK_S, Place, State
from loadbalancer.fleet_words import AddRequested, Answer, Change
from loadbalancer.roster import Roster

MAX_QUEUED = 64
"""Changes that may wait; more is a client in a loop. (The data path holds a connection for each.)"""

QUEUE_TIMEOUT_S = 60.0
"""A change that has not begun by then is refused, untouched: one slow change (45 s at most by default) fits
in."""

LEAVE_FIRST = {State.DEAD: 0, State.STARTING: 0, State.SUSPECT: 1, State.HEALTHY: 2}
"""Whom /rm takes when it may choose; among equals the newest. A drained replica counts as suspect."""


@dataclass(slots=True)
class Underway:
    """The change being carried out. `node_ids`: newcomers on trial, or leavers. `names`: taken back, not
    gone yet."""

    command: int
    node_ids: set[int]
    deadline: float | None = None
    failure: str | None = None
    status: int = 503
    names: set[str] = field(default_factory=set[str])


class Changes:
    """The queue, and the one change under way; it sees and moves the fleet through the roster."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._waiting: deque[tuple[Change, float]] = deque()
        self._adding: Underway | None = None
        self._removing: Underway | None = None

    @property
    def busy(self) -> bool:
        """Whether a change is under way or waits."""
        return bool(self._adding or self._removing or self._waiting)

    def submit(self, change: Change, now: float) -> None:
        """Queue it, or answer at once if its body is wrong whatever the fleet is, or too many wait."""
        backends = not self._roster.settings.respawns
        try:
            check_change(Body(change.n, change.hostnames), removing=not _adds(change), backends=backends)
        except BadCommand as fault:
            self._answer(change.command, 400, fault.message)
            return
        if len(self._waiting) >= MAX_QUEUED:
            self._answer(change.command, 503, f"<Error> {MAX_QUEUED} changes are waiting")
            return
        self._waiting.append((change, now + QUEUE_TIMEOUT_S))
        self._claim()

    def advance(self, now: float) -> None:
        """Finish what is finished and begin what may begin, until nothing moves."""
        while self._finish_add(now) or self._finish_rm(now) or self._expire(now) or self._begin(now):
            pass

    def fail_add(self, reason: str, now: float, *, refused: bool = False) -> None:
        """A newcomer on trial was lost: take all of them back; the answer follows when they are gone."""
        adding = self._adding
        assert adding is not None and adding.failure is None
        adding.failure, adding.status = reason, 400 if refused else 503
        adding.deadline = now + self._roster.settings.stop_grace_s + STOP_SLACK_S
        for node_id in adding.node_ids:
            place = self._roster.places[node_id]
            adding.names.add(names.fold(place.name))
            self._roster.vacate(place, f"taken back: {reason}", now)

    def deadlines(self) -> Iterable[float]:
        if self._adding is not None and self._adding.deadline is not None:
            yield self._adding.deadline
        if self._removing is not None and self._removing.deadline is not None and self._gives():
            yield self._removing.deadline
        if self._waiting:
            yield self._waiting[0][1]

    # --- one change

    def _begin(self, now: float) -> bool:
        if self._adding or self._removing or not self._waiting:
            return False
        change, _ = self._waiting.popleft()
        self._claim()
        try:
            begin = self._begin_add if _adds(change) else self._begin_rm
            begin(change, now)
        except BadCommand as fault:
            self._answer(change.command, 400, fault.message)
        return True

    def _begin_add(self, change: Change, now: float) -> None:
        roster = self._roster
        self._check_room(change)
        given: list[str | None] = [*change.hostnames, *[None] * (change.n - len(change.hostnames))]
        places = [roster.open_place(name, now, joining=True) for name in given]
        deadline = now + roster.settings.start_timeout_s
        self._adding = Underway(change.command, {place.node_id for place in places}, deadline)
        for place in places:
            roster.launch(place, "added by /add", now, place.name)

    def _begin_rm(self, change: Change, now: float) -> None:
        leavers = self._leavers(change)
        self._check_holders(leavers)
        until = now + self._roster.settings.leave_timeout_s if self._roster.settings.queue else None
        self._removing = Underway(change.command, {place.node_id for place in leavers}, until)
        for place in leavers:
            self._roster.part(place, now)

    def _finish_add(self, now: float) -> bool:
        adding = self._adding
        if adding is None:
            return False
        late = adding.deadline is not None and adding.deadline <= now
        if adding.failure is not None:
            return self._finish_failed(adding, late)
        places = [self._roster.places[node_id] for node_id in sorted(adding.node_ids)]
        slow = [place for place in places if place.state is not State.HEALTHY]
        if not slow:
            self._accept(adding, places)
        elif late:
            self.fail_add(f"{_listed(slow)} not healthy within {self._roster.settings.start_timeout_s:g} s", now)
        return not slow or late

    def _accept(self, adding: Underway, places: list[Place]) -> None:
        for place in places:
            place.joining = False
        self._adding = None
        self._roster.touch()
        self._answer(adding.command, 200, replicas(self._roster))

    def _finish_failed(self, adding: Underway, late: bool) -> bool:
        gone = adding.names.isdisjoint(self._roster.doomed)
        if gone or late:
            self._adding = None
            self._answer(adding.command, adding.status, f"<Error> {adding.failure}")
        return gone or late

    def _finish_rm(self, now: float) -> bool:
        removing = self._removing
        if removing is None:
            return False
        giving = self._gives()
        if giving and removing.deadline is not None and removing.deadline <= now:
            self._removing = None
            text = f"{_listed(giving)} still giving partitions away, and removed when that is done"
            self._answer(removing.command, 503, f"<Error> {text}")
            return True
        if not removing.node_ids.isdisjoint(self._roster.places):
            return False
        self._removing = None
        self._answer(removing.command, 200, replicas(self._roster))
        return True

    def _gives(self) -> list[Place]:
        """The leavers that have yet to give partitions away, or to hear that they have."""
        chosen = self._removing.node_ids if self._removing else ()
        places = [place for place in self._roster.by_index() if place.node_id in chosen]
        return [place for place in places if place.leaving and place.state is not State.DRAINING]

    def _expire(self, now: float) -> bool:
        if not self._waiting or self._waiting[0][1] > now:
            return False
        change, _ = self._waiting.popleft()
        self._claim()
        self._answer(change.command, 503, "<Error> other changes took too long, nothing was changed")
        return True

    # --- checks that need the fleet

    def _check_room(self, change: Change) -> None:
        roster = self._roster
        limit = roster.settings.max_replicas
        if roster.target() + change.n > limit:
            raise bad(f"{roster.target()} + {change.n} replicas are more than {limit}")
        taken = roster.taken()
        for name in change.hostnames:
            if names.fold(name) in roster.reserved:
                raise bad(f"{names.shown(name)} is not for a replica: it is taken outside of the fleet")
            if names.fold(name) in taken:
                raise bad(f"{names.shown(name)} is in use")

    def _leavers(self, change: Change) -> list[Place]:
        """Named ones first, then the balancer's choice."""
        wanted = {names.fold(place.name): place for place in self._roster.by_index() if place.wanted}
        for name in change.hostnames:
            if names.fold(name) not in wanted:
                raise bad(f"there is no replica {names.shown(name)}")
        if change.n > len(wanted):
            raise bad(f"there are {len(wanted)} replicas, {change.n} can't be removed")
        named = [wanted.pop(names.fold(name)) for name in change.hostnames]
        return named + sorted(wanted.values(), key=_leaves_first)[: change.n - len(named)]

    def _check_holders(self, leavers: list[Place]) -> None:
        """Somebody must be left to take what the leavers hold (cluster-rules R11)."""
        roster = self._roster
        holding = [place for place in leavers if place.node_id in (roster.holders or ())]
        if roster.settings.queue and holding and len(leavers) == roster.target():
            raise bad(f"{_listed(holding)} the last to hold partitions of the queue")

    # --- words

    def _claim(self) -> None:
        """No generated name may be one that a waiting /add asks for."""
        asked = (name for change, _ in self._waiting if _adds(change) for name in change.hostnames)
        self._roster.claimed = frozenset(names.fold(name) for name in asked)

    def _answer(self, command: int, status: int, message: dict[str, Any] | str) -> None:
        self._roster.emit(Answer(command, status, message, ok=status == 200))


def replicas(roster: Roster) -> dict[str, Any]:
    """The message of /rep, /add and /rm: {"N": the target, "replicas": names by index, of those that aren't
    dead}."""
    alive = [place.name for place in roster.by_index() if place.wanted and place.state is not State.DEAD]
    return {"N": roster.target(), "replicas": alive}


def _adds(change: Change) -> bool:
    return isinstance(change, AddRequested)


def _leaves_first(place: Place) -> tuple[int, int]:
    rank = LEAVE_FIRST[place.state]
    return (min(rank, LEAVE_FIRST[State.SUSPECT]) if place.drained else rank, -place.index)


def _listed(places: list[Place]) -> str:
    return ", ".join(place.name for place in places) + (" was" if len(places) == 1 else " were")
