"""What a runtime starts, and what it then has: the words that the fleet and the runtimes share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """What is to be started: a new name for an old or a new place (node id, index) in the layout.

    `slot`: which of the queue's ports for single servers is the place's, -1: none.
    """

    name: str
    node_id: int
    index: int
    slot: int = -1


@dataclass(frozen=True, slots=True)
class Instance:
    """A started replica.

    `handle` tells this incarnation from any other, also after its pid is used again: "<pid>:<start time in
    clock ticks since boot>" for a process, the container's id for a container, the address for a static backend.
    """

    name: str
    node_id: int
    index: int
    host: str
    port: int
    handle: str
    pid: int | None = None
    container: str | None = None
    slot: int = -1
