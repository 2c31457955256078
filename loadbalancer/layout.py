"""The ring as control keeps it: the fleet's members, and the slots that they were given on a course ring.

A hashed ring follows from its members alone; a course ring does not (ring_course.py), so its slots are state: given
out here, by the one writer, kept with the fleet's record, and carried in each member of a snapshot.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from loadbalancer.ring import Ring, RingSpec, build_ring
from loadbalancer.snapshot import Member


class Layout:
    """The ring over the newest members. `kept` is an earlier `dump`; one of another ring's is worth nothing."""

    def __init__(self, spec: RingSpec, kept: dict[str, Any] | None = None) -> None:
        self._spec = spec
        self._kept: dict[int, tuple[int, ...]] = {}
        if kept is not None and kept.get("label") == spec.label:
            self._kept = {int(node_id): tuple(slots) for node_id, slots in kept["slots"].items()}
        self.ring: Ring = build_ring(spec, ())

    def settle(self, members: Iterable[Member]) -> tuple[Member, ...]:
        """These members with their slots; newcomers get free ones, the others keep theirs."""
        known = [replace(member, slots=self._kept.get(member.node_id, ())) for member in members]
        self.ring = self.ring.updated(known)
        slots = {member.node_id: member.slots for member in self.ring.members}
        self._kept = {node_id: held for node_id, held in slots.items() if held}
        return tuple(replace(member, slots=slots[member.node_id]) for member in known)

    def describe(self) -> dict[str, Any]:
        """{"hash", "slots", "virtual_nodes", "probe", "members": [{"node_id", "index", "weight", "slots"}]}.

        With that anybody can build the identical ring; `slots` is empty but on a course ring.
        """
        members = [{**asdict(member), "slots": list(member.slots)} for member in self.ring.members]
        return {**self.ring.describe(), "probe": self._spec.probe, "members": members}

    def dump(self) -> dict[str, Any]:
        """{"label": which ring, "slots": {node id as text: [slots]}}; empty slots on a hashed ring."""
        slots = {str(node_id): list(held) for node_id, held in self._kept.items()}
        return {"label": self._spec.label, "slots": slots}
