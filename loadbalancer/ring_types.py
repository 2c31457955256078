"""What every ring is: an immutable value that says who owns a key and who comes next.

A ring is built from the layout, dead replicas too: health only vetoes (selection.py), so a crash moves
nobody but the crashed replica's own keys. It knows node ids, indexes and weights, never names. `members`
say all that is needed to build the identical ring elsewhere: two rings are equal when spec and members are.
"""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Protocol

from loadbalancer.hashes import PRESETS, PROBES

MAX_WEIGHT = 100
"""A weight unit costs a hashed ring 8192 points, so 100 is about 0.1 s of building; nginx and HAProxy users
stay below."""

USER_HASH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class RingFull(ValueError):
    """A course ring has no free slot left; the operator's limit, not a fault: fewer replicas or
    `--ring-hash mmh3`."""


@dataclass(frozen=True, slots=True)
class RingSpec:
    """Which ring: `hash` is mmh3, a course preset or module:function; `probe` matters to course presets only.

    Raises ValueError on a name that is neither (a user's module is imported only when a ring is built).
    """

    hash: str = "mmh3"
    probe: str = "linear"

    def __post_init__(self) -> None:
        if self.hash != "mmh3" and self.hash not in PRESETS and not USER_HASH.fullmatch(self.hash):
            raise ValueError(f"unknown ring hash {self.hash!r}")
        if self.probe not in PROBES:
            raise ValueError(f"unknown ring probe {self.probe!r}")

    @property
    def label(self) -> str:
        """Names what a member's kept slots belong to, as in `spec/linear`; under another label they are
        worthless."""
        return f"{self.hash}/{self.probe}" if self.hash in PRESETS else self.hash


class MemberLike(Protocol):
    """What build_ring needs of a member; snapshot.Member fits as it is."""

    @property
    def node_id(self) -> int: ...
    @property
    def index(self) -> int: ...
    @property
    def weight(self) -> int: ...
    @property
    def slots(self) -> Iterable[int]: ...


@dataclass(frozen=True, slots=True)
class RingMember:
    """A replica's place in the layout. `slots` are those that it holds on a course ring, in order of j.

    Where virtual servers meet, places depend on who was there before, and some of those may be gone: the
    slots are therefore state, carried along with the member. Empty: not placed yet, or not on a course
    ring.
    """

    node_id: int
    index: int
    weight: int = 1
    slots: tuple[int, ...] = ()

    @classmethod
    def of(cls, member: MemberLike) -> "RingMember":
        return cls(member.node_id, member.index, member.weight, tuple(member.slots))


class Ring(ABC):
    """The interface of both kinds; `members` are sorted by node id."""

    __slots__ = ("members", "spec")

    slots: ClassVar[int]
    """How many slots the ring has; a key's own slot is one of 0 … slots - 1."""
    virtual_nodes: ClassVar[int]
    """How many each replica has (of weight 1, where weight counts)."""

    def __init__(self, spec: RingSpec, members: tuple[RingMember, ...]) -> None:
        self.spec = spec
        self.members = members

    @abstractmethod
    def slot(self, key: int) -> int:
        """The key's own slot."""

    @abstractmethod
    def owner(self, key: int) -> int:
        """The node id that holds the first occupied slot at or after the key's, clockwise. LookupError if
        empty."""

    @abstractmethod
    def successors(self, key: int) -> Iterator[int]:
        """Every member's node id once, clockwise from the key's slot; the first is the owner."""

    @abstractmethod
    def shares(self) -> dict[int, Fraction]:
        """Each member's exact share of the keys, by node id, computed from every slot; they add up to 1."""

    @abstractmethod
    def updated(self, members: Iterable[MemberLike]) -> "Ring":
        """The ring of these members instead, by the cheapest way; this one stays as it is. Raises as
        build_ring."""

    def with_member(self, member: MemberLike) -> "Ring":
        """With one more member; ValueError if its node id or index is taken."""
        return self.updated((*self.members, member))

    def without(self, node_id: int) -> "Ring":
        """Without that member; KeyError if there is none."""
        rest = [member for member in self.members if member.node_id != node_id]
        if len(rest) == len(self.members):
            raise KeyError(node_id)
        return self.updated(rest)

    def describe(self) -> dict[str, Any]:
        """{"hash", "slots", "virtual_nodes"}, as GET /admin/cluster shows it."""
        return {"hash": self.spec.hash, "slots": self.slots, "virtual_nodes": self.virtual_nodes}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ring):
            return NotImplemented
        return (self.spec, self.members) == (other.spec, other.members)

    def __hash__(self) -> int:
        return hash((self.spec, self.members))

    def __repr__(self) -> str:
        return f"<{self.spec.label} ring of {[member.node_id for member in self.members]}>"


def checked(members: Iterable[MemberLike]) -> tuple[RingMember, ...]:
    """The members sorted by node id. Raises ValueError if a node id or index comes twice or a weight is out
    of range."""
    found = sorted(map(RingMember.of, members), key=lambda member: member.node_id)
    for what, values in (
        ("node id", [member.node_id for member in found]),
        ("index", [member.index for member in found]),
    ):
        value, count = max(Counter(values).items(), key=lambda item: item[1], default=(0, 0))
        if count > 1:
            raise ValueError(f"{what} {value} comes {count} times")
    for member in found:
        if not 1 <= member.weight <= MAX_WEIGHT:
            raise ValueError(f"weight {member.weight} of node {member.node_id} is not in 1 … {MAX_WEIGHT}")
    return tuple(found)
