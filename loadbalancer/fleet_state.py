"""The fleet's values and tables: states, which may follow which, the settings, a place and an incarnation's
end.

A *place* is a seat in the layout: node id, index and weight last as long as it does. What sits there, an
*incarnation*, has a name and an instance of its own and is followed by another when it dies. Keeping the
two apart is what lets a replacement move no key and no shard.
"""

from dataclasses import dataclass
from enum import StrEnum

from loadbalancer.instances import Instance

STOP_SLACK_S = 5.0
"""How long past its grace a stopped replica may take to be reported gone: SIGKILL, reaping and two
sockets."""

KILL_AGAIN_S = 5.0
"""A kill whose end was not reported is asked for again: the request may have died with the supervisor's
link."""


class State(StrEnum):
    """What an incarnation is; the value is the word that people and events see."""

    STARTING = "starting"
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    DEAD = "dead"
    DRAINING = "draining"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.STARTING: frozenset({State.HEALTHY, State.DEAD, State.DRAINING}),
    State.HEALTHY: frozenset({State.SUSPECT, State.DEAD, State.DRAINING}),
    State.SUSPECT: frozenset({State.HEALTHY, State.DEAD, State.DRAINING}),
    # To healthy only where nothing is respawned (static): a backend that was away answers again.
    State.DEAD: frozenset({State.STARTING, State.HEALTHY}),
    # A leaver only leaves: its place goes with it.
    State.DRAINING: frozenset(),
}

ROUTABLE = frozenset({State.HEALTHY, State.SUSPECT})


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """What the operator chose. `respawns` False is the static runtime: nothing is started, stopped or
    replaced.

    `replicas` is the fleet's size when there is no record yet (afterwards the record rules); `weights` are
    those that --backends gives by name; `reserved_names` are the front door's own (aliases, containers that
    aren't ours).

    `queue`: replicas hold the queue's data, and a leaver stays until it holds none; `leave_timeout_s` is how long an
    /rm waits for that. `queue_slots` is how many of the front door's ports lead to a single server.

    `kill_fall` and `alive_fall`: how many failures in a row end a replica, without and with another sign of life, where
    that is more than `fall`, which then takes it out of routing only (R7).
    """

    replicas: int = 3
    max_replicas: int = 64
    fall: int = 2
    kill_fall: int = 0
    alive_fall: int = 0
    rise: int = 1
    start_timeout_s: float = 30.0
    drain_timeout_s: float = 30.0
    stop_grace_s: float = 10.0
    respawns: bool = True
    reserved_names: frozenset[str] = frozenset()
    name_prefix: str = "server"
    weights: tuple[tuple[str, int], ...] = ()
    queue: bool = False
    queue_slots: int = 0
    leave_timeout_s: float = 300.0


@dataclass(slots=True)
class Place:
    """A seat in the layout and the incarnation that has it now; owned and changed by the roster alone.

    `slot` says which of the queue's ports for single servers is its (-1: none). Replacements keep it, as clients keep
    the port; and it is given out again when the place is gone, which an index never is.

    `instance` is None while a spawn is under way (starting) or nothing is there (dead). `deadline` is when
    the present state runs out: starting gives up, dead tries again, draining is cut. `streak` counts probe
    answers in a row, good ones up, bad ones down; `deaths` those in a row, `failed_starts` how many of the last of them
    came before it was healthy. `reason` is why it is in its state, for people.
    `joining`: an /add under way brought it, it is not in the layout yet. `leaving`: an /rm wants it gone, but the
    queue's data is moved away first; until then it serves, and is replaced if it dies. `mute`: it answers no heartbeat,
    and is out of routing, but not yet given up.
    """

    node_id: int
    index: int
    name: str
    since: float
    state: State = State.DEAD
    weight: int = 1
    drained: bool = False
    joining: bool = False
    leaving: bool = False
    stopping: bool = False
    mute: bool = False
    instance: Instance | None = None
    deadline: float | None = None
    streak: int = 0
    healthy_since: float | None = None
    deaths: int = 0
    failed_starts: int = 0
    reason: str = ""
    slot: int = -1

    @property
    def wanted(self) -> bool:
        """Counts towards N: neither on trial in an /add nor on its way out."""
        return not self.joining and not self.leaving and self.state is not State.DRAINING

    @property
    def routable(self) -> bool:
        return self.state in ROUTABLE and not self.drained and not self.joining and not self.mute

    @property
    def spawning(self) -> bool:
        """A Spawn was sent and neither Spawned nor SpawnFailed has come."""
        return self.state is State.STARTING and self.instance is None

    @property
    def shown(self) -> str:
        """The state for people: an operator's drain shows as draining while the replica is well."""
        return State.DRAINING if self.drained and self.state in ROUTABLE else self.state


@dataclass(slots=True)
class Doomed:
    """An incarnation without a place, awaited until it is proven gone: till then its name and node id are
    taken.

    `handle` is None while its spawn is still under way: it will be killed the moment it is there.
    """

    name: str
    node_id: int
    handle: str | None
    again_at: float | None
