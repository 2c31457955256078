"""The fleet's language: the events that it hears and the effects that it asks for.

The shell's part of the contract: every Spawn is answered by exactly one Spawned or SpawnFailed (which says
that nothing runs under that name); every end of an instance is told by Exited, asked for or not. Exited may
be told twice, and its handle may be "": "whatever had this name is proven gone" (what Runtime.kill and
.stop promise by returning).
"""

from dataclasses import dataclass
from typing import Any

from loadbalancer.instances import Instance, ReplicaSpec


@dataclass(frozen=True, slots=True)
class Started:
    """The first event, once: what the runtime found alive. Cold: everything had been stopped before (a new
    `up`)."""

    instances: tuple[Instance, ...]
    cold: bool


@dataclass(frozen=True, slots=True)
class Spawned:
    """The runtime started it; whether it is healthy, probes will tell."""

    name: str
    instance: Instance


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """`refused`: the name can't be had (a stranger has it), which is for whoever asked for it to mend."""

    name: str
    reason: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Exited:
    """Proven gone. An empty handle stands for whatever incarnation had the name."""

    name: str
    handle: str
    reason: str


@dataclass(frozen=True, slots=True)
class Probed:
    """One heartbeat's outcome. `late`: control's own loop lagged meanwhile, so a failure proves nothing
    (R7). `alive`: it was heard otherwise just now."""

    name: str
    handle: str
    ok: bool
    reason: str = ""
    late: bool = False
    alive: bool = False


@dataclass(frozen=True, slots=True)
class Drained:
    """Every data-path worker has said that nothing is in flight to this draining replica."""

    name: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """Where the queue's data lies: `holders` have some of it. Of those in `leaving` it knows that they leave, so they
    are given none any more."""

    holders: frozenset[int]
    leaving: frozenset[int]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; due at `Fleet.deadline()`."""


@dataclass(frozen=True, slots=True)
class AddRequested:
    """`command` is the caller's ticket: the Answer carries it back."""

    command: int
    n: int
    hostnames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveRequested:
    command: int
    n: int
    hostnames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DrainRequested:
    """An operator's drain: out of routing, not stopped; holds for the place, over crashes, until
    undrained."""

    command: int
    name: str


@dataclass(frozen=True, slots=True)
class UndrainRequested:
    command: int
    name: str


@dataclass(frozen=True, slots=True)
class WeightRequested:
    command: int
    name: str
    weight: int


Change = AddRequested | RemoveRequested
Setting = DrainRequested | UndrainRequested | WeightRequested
Event = Started | Spawned | SpawnFailed | Exited | Probed | Drained | Holdings | Tick | Change | Setting


@dataclass(frozen=True, slots=True)
class Adopt:
    """A living replica of the record was found and stays; nothing is to be done to it."""

    name: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Whatever incarnation the node had serves no more: it is gone, or is to be killed. (For the queue; told before
    another is spawned.)"""

    node_id: int


@dataclass(frozen=True, slots=True)
class Publish:
    """`members()` changed: push a snapshot under a new epoch."""


@dataclass(frozen=True, slots=True)
class Spawn:
    """`replaces`: in the stead of one that died (for the count of respawns)."""

    spec: ReplicaSpec
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Runtime.stop: SIGTERM, SIGKILL after the grace. `handle`: which incarnation is meant, for the Exited
    to come."""

    name: str
    handle: str
    grace_s: float


@dataclass(frozen=True, slots=True)
class Kill:
    """Runtime.kill; `handle` as in Stop."""

    name: str
    handle: str


@dataclass(frozen=True, slots=True)
class Discard:
    """Runtime.discard: the node has left the layout for good, and nothing of it lives; its data may go."""

    node_id: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a command: an HTTP status, and the body's `message`; `ok` is "successful" or "failure"."""

    command: int
    status: int
    message: dict[str, Any] | str
    ok: bool


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the event log: a state's name or another kind, which replica, and why."""

    kind: str
    replica: str
    reason: str


@dataclass(frozen=True, slots=True)
class Muted:
    """The node answers no heartbeat: others shall lead what they can. Not `mute`: it answers again. (For the queue.)"""

    node_id: int
    mute: bool


Effect = Adopt | Ended | Muted | Publish | Spawn | Stop | Kill | Discard | Answer | Note

ORDER: dict[type[Effect], int] = {
    Adopt: 0, Ended: 1, Muted: 1, Publish: 1, Spawn: 2, Stop: 2, Kill: 2, Discard: 2, Answer: 3, Note: 4
}  # fmt: skip
"""Effects of one step go out in this order: a replica is out of routing before it is killed, and nobody is
told before it is so. (The shell commits `dump()` before all of them: R4.) Stable: Spawn, Stop and Kill stay
as they were asked for."""
