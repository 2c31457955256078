"""Active health checks: when to probe whom, what an answer means, and when control may not trust its own
clock.

One schedule serves all replicas (a thread each would be 64 stacks to say "200"). A verdict needs `fall`
failures in a row, because one lost answer is noise; the first already makes the replica suspect, which
people see and routing does not. A busy machine delays small requests by hundreds of ms: failures met while
control's own loop lagged count for nothing.

A replica that holds data of the queue is not killed for that alone: a machine that is short of CPU (measured: 0.9 s
for a heartbeat under a full-rate producer, nearly all of it spent waiting for a core) would kill one server after the
other, and each start costs more of it. So `fall` failures take it out of routing, and only KILL_S of silence ends it
(cluster-rules R7), or ALIVE_S where it is heard otherwise meanwhile: its loop then runs, if slowly.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from loadbalancer.fleet_state import State

INTERVAL_S = 0.5
STARTING_INTERVAL_S = 0.05
"""A newcomer is asked often: each 50 ms saved is 50 ms less with a replica too few. A refused connection
costs ~0.1 ms."""
KILL_S = 2.0
ALIVE_S = 10.0
"""Answering control and nobody else for so long isn't slowness."""
BEAT_S = 0.05
LATE_S = 0.1


def falls_within(seconds: float, interval_s: float, fall: int) -> int:
    """How many failures in a row span so long, heartbeats being `interval_s` apart; `fall` at least."""
    return max(fall, 1 + ceil(seconds / interval_s))


def longer(streak: int, ok: bool) -> int:
    """The streak with one more answer: good ones count up from 1, bad ones down from -1."""
    return max(streak, 0) + 1 if ok else min(streak, 0) - 1


def verdict(state: State, streak: int, fall: int, rise: int) -> State:
    """What a replica in `state` is after `streak`; a starting or dead one is not hurt by failures."""
    match state:
        case State.STARTING | State.DEAD if streak >= rise:
            return State.HEALTHY
        case State.SUSPECT if streak > 0:
            return State.HEALTHY
        case State.HEALTHY | State.SUSPECT if -streak >= fall:
            return State.DEAD
        case State.HEALTHY if streak < 0:
            return State.SUSPECT
        case _:
            return state


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """Whom to ask; `handle` goes back with the answer, so that it can't be taken for another
    incarnation's."""

    name: str
    handle: str
    host: str
    port: int
    eager: bool
    node_id: int = 0


class Schedule:
    """Which probes are due. Never two under way to one incarnation; old hands are spread over the
    interval."""

    def __init__(self, interval_s: float = INTERVAL_S, eager_interval_s: float = STARTING_INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._eager_interval_s = min(interval_s, eager_interval_s)
        self._next: dict[str, float | None] = {}  # handle -> when; None: under way
        self._began: dict[str, float] = {}

    def due(self, targets: Iterable[ProbeTarget], now: float) -> list[ProbeTarget]:
        """Those to be probed now, which then count as under way until `finished`; who is no target is
        forgotten."""
        known, self._next = self._next, {}
        chosen: list[ProbeTarget] = []
        for target in targets:
            at = known[target.handle] if target.handle in known else self._first_at(target, len(self._next), now)
            if at is not None and at <= now:
                chosen.append(target)
                self._began[target.handle] = now
                at = None
            self._next[target.handle] = at
        self._began = {handle: began for handle, began in self._began.items() if handle in self._next}
        return chosen

    def finished(self, target: ProbeTarget, now: float) -> None:
        """The probe has ended, well or not. The next one starts an interval after this one's start."""
        if target.handle in self._next:
            interval_s = self._eager_interval_s if target.eager else self._interval_s
            self._next[target.handle] = max(now, self._began[target.handle] + interval_s)

    def _first_at(self, target: ProbeTarget, position: int, now: float) -> float:
        """A newcomer at once; others by the golden ratio of the interval, which spreads any number of
        them."""
        return now if target.eager else now + self._interval_s * (position * 0.618 % 1.0)


class LagMeter:
    """Tells whether the caller's own loop stood still: it beats every BEAT_S, and missing beats are the
    evidence."""

    def __init__(self, now: float) -> None:
        self._beat_at = now
        self._late_at = float("-inf")

    def beat(self, now: float) -> None:
        if self._overdue(now):
            self._late_at = now
        self._beat_at = now

    def late(self, began: float, now: float) -> bool:
        """Whether the loop lagged by more than LATE_S at any time between `began` and now."""
        return self._late_at >= began or self._overdue(now)

    def _overdue(self, now: float) -> bool:
        return now - self._beat_at > BEAT_S + LATE_S
