"""What the queue's ports of the front door lead to: each member's listener, and which of the single ports is its.

A node keeps its single port for as long as it is in the layout, over respawns and over restarts of control: its clients
were told of that port. Ports are few and bound at the start, so the lowest free one is given out, and a node beyond
them has none (NO_SLOT): it can't be reached from outside, but for what the bootstrap port leads to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from loadbalancer.snapshot import Member

NO_SLOT: Final = -1

Listeners = Mapping[int, tuple[str, int]]
"""By node id, where the ports lead."""


class QueuePlaces:
    """`ports` single ones. `kept` is an earlier `dump`, of any number of ports."""

    def __init__(self, ports: int, kept: Mapping[str, Any] | None = None) -> None:
        self._ports = ports
        self.listeners: Listeners = {}
        held = {int(node_id): int(slot) for node_id, slot in (kept or {}).items()}
        self._slots = {node_id: slot for node_id, slot in held.items() if slot < ports}

    def settle(self, members: Iterable[Member]) -> tuple[Member, ...]:
        """These members with their listeners and slots; who is not among them loses its slot."""
        known = tuple(members)
        self._slots = {m.node_id: self._slots[m.node_id] for m in known if m.node_id in self._slots}
        for member in known:
            self._give(member.node_id)
        return tuple(
            replace(m, queue=self.listeners.get(m.node_id), queue_slot=self._slots.get(m.node_id, NO_SLOT))
            for m in known
        )

    def _give(self, node_id: int) -> None:
        free = sorted(set(range(self._ports)) - set(self._slots.values()))
        if node_id not in self._slots and free:
            self._slots[node_id] = free[0]

    def slot(self, node_id: int) -> int:
        """NO_SLOT: none."""
        return self._slots.get(node_id, NO_SLOT)

    def dump(self) -> dict[str, int]:
        """{node id as text: slot}"""
        return {str(node_id): slot for node_id, slot in self._slots.items()}
