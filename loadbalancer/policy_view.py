"""What a policy is and what it may know.

Every policy sees the same view and answers with one replica that is eligible and not yet tried, so that the
caller's retry is nothing but asking again. In-flight counts belong to the caller, who changes them as requests
come and go, and each data-path worker knows only its own.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from loadbalancer.ring_types import Ring

NOBODY: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class View:
    """What a policy may know. Make a new one whenever ring, eligible or weights change, not for each request.

    `eligible` are node ids of the ring's members that may be chosen; `in_flight` is live, an absent node
    has none; `weights` are at least 1, an absent node has 1. `total_weight`, `tickets` (each eligible node
    as often as it weighs) and `first_ticket` (where its own begin) are derived.
    """

    ring: Ring
    eligible: frozenset[int]
    in_flight: Mapping[int, int]
    weights: Mapping[int, int]
    total_weight: int = field(init=False)
    tickets: tuple[int, ...] = field(init=False, repr=False)
    first_ticket: Mapping[int, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        tickets: list[int] = []
        first: dict[int, int] = {}
        for node_id in sorted(self.eligible):
            first[node_id] = len(tickets)
            tickets += [node_id] * self.weights.get(node_id, 1)
        object.__setattr__(self, "tickets", tuple(tickets))
        object.__setattr__(self, "first_ticket", first)
        object.__setattr__(self, "total_weight", len(tickets))

    @property
    def weighted(self) -> "Weighted":
        """(node id, weight) of each eligible node, by node id: all that a policy without a ring needs."""
        weights = self.weights.get
        return tuple((node_id, weights(node_id, 1)) for node_id in sorted(self.eligible))


Weighted = tuple[tuple[int, int], ...]


class Policy(Protocol):
    def choose(self, key: int, view: View, tried: Collection[int] = NOBODY) -> int | None:
        """A node id out of view.eligible that is not in `tried`; None if there is none left."""
        ...
