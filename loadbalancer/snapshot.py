"""What control tells the data path: the layout of the fleet, one immutable value with an epoch.

The snapshot holds the whole layout, dead replicas too, because the ring is built from the layout and health
only vetoes: a crash then moves nobody but the crashed replica's own keys, and its replacement gets them back.
An epoch orders snapshots over restarts of control (generation) and within one run (version); a receiver
refuses whatever is not newer than what it holds, so a control that lost its lock can do no harm (cluster-rules R4).
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


class Epoch(NamedTuple):
    """(generation of control, version within it); compares as the pair does."""

    generation: int
    version: int


NEVER = Epoch(0, 0)


@dataclass(frozen=True, slots=True)
class Member:
    """One place in the layout and the replica that fills it now.

    `routable` is control's word (healthy or suspect, not draining); a worker may veto further by what it sees.
    `host` is "" and `port` 0 while no instance fills the place. `weight` is at least 1. `slots` are those that it
    holds on a course ring (ring_course.py), in order of j; empty on any other. `queue` is (host, port) of the listener
    to which the front door's queue ports lead, None while it has none; `queue_slot` says which of the ports for single
    servers is its, -1: none.
    """

    node_id: int
    index: int
    name: str
    host: str
    port: int
    weight: int = 1
    routable: bool = True
    draining: bool = False
    slots: tuple[int, ...] = ()
    queue: tuple[str, int] | None = None
    queue_slot: int = -1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The layout at an epoch; `members` are sorted by node id and unique in node id, index and name."""

    epoch: Epoch
    members: tuple[Member, ...]

    def to_json(self) -> dict[str, Any]:
        """{"epoch": [generation, version], "members": [{…Member's fields}]}."""
        return {"epoch": list(self.epoch), "members": [asdict(member) for member in self.members]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Snapshot":
        """The inverse of to_json; fields that it does not know are skipped, so versions may be mixed.

        Raises KeyError, TypeError or ValueError on anything that to_json could not have made.
        """
        generation, version = data["epoch"]
        return cls(Epoch(int(generation), int(version)), tuple(map(_member, data["members"])))


def _member(raw: dict[str, Any]) -> Member:
    known: dict[str, Any] = {name: raw[name] for name in Member.__slots__ if name in raw}
    known["slots"] = tuple(raw.get("slots", ()))
    if known.get("queue") is not None:
        host, port = known["queue"]
        known["queue"] = (str(host), int(port))
    return Member(**known)
