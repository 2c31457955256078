"""The ring of the course: 512 slots, 9 virtual servers for each replica, probing where two of them meet.

It promises only this: adding takes free slots, removing frees its own, nothing else moves place. So where a
member sits depends on everybody who was there when it came, and can't be recomputed from today's members.
The slots are therefore kept in the members (RingMember.slots): whoever gets the members, a data-path worker
or a restarted control, builds the identical ring. Members without slots are placed after all others, in
order of index.

Weights don't count here: the course knows none, and K is part of its known answers.
Road not taken: replaying a history of joins and leaves. It gives the same slots but grows for ever.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import ClassVar

from loadbalancer.hashes import PRESETS, PROBES, Preset
from loadbalancer.ring_types import MemberLike, Ring, RingFull, RingMember, RingSpec, checked

SLOTS = 512
VIRTUAL_NODES = 9
MAX_MEMBERS = SLOTS // VIRTUAL_NODES
"""56 replicas: one more would find 8 free slots for its 9 virtual servers."""


class CourseRing(Ring):
    """A ring by one of hashes.PRESETS."""

    __slots__ = ("_owners", "_request")

    slots: ClassVar[int] = SLOTS
    virtual_nodes: ClassVar[int] = VIRTUAL_NODES

    def __init__(self, spec: RingSpec, members: Iterable[MemberLike] = ()) -> None:
        """Raises RingFull for more than MAX_MEMBERS, ValueError if kept slots are damaged or held by two."""
        preset = PRESETS[spec.hash]
        super().__init__(spec, _place(preset, PROBES[spec.probe], checked(members)))
        self._request = preset.request
        self._owners = _clockwise(self.members)

    def slot(self, key: int) -> int:
        return self._request(key) % SLOTS

    def owner(self, key: int) -> int:
        if not self._owners:
            raise LookupError("the ring is empty")
        return self._owners[self._request(key) % SLOTS]

    def successors(self, key: int) -> Iterator[int]:
        slot = self.slot(key)
        return iter(dict.fromkeys(self._owners[slot : slot + SLOTS]))

    def shares(self) -> dict[int, Fraction]:
        """Of all integers: H is a polynomial, so its slots repeat after 512 keys. Many slots are nobody's
        own."""
        count = Counter(self.owner(key) for key in range(SLOTS)) if self.members else Counter[int]()
        return {member.node_id: Fraction(count[member.node_id], SLOTS) for member in self.members}

    def updated(self, members: Iterable[MemberLike]) -> "CourseRing":
        """Members that come without slots keep those that they have here, unless their index changed."""
        held = {(member.node_id, member.index): member.slots for member in self.members}
        wanted = map(RingMember.of, members)
        return CourseRing(
            self.spec,
            [replace(m, slots=m.slots or held.get((m.node_id, m.index), ())) for m in wanted],
        )


def _place(preset: Preset, probe: Callable[[int], int], members: tuple[RingMember, ...]) -> tuple[RingMember, ...]:
    if len(members) > MAX_MEMBERS:
        raise RingFull(f"a course ring holds {MAX_MEMBERS} replicas ({VIRTUAL_NODES} of {SLOTS} slots each)")
    taken = _kept_slots(members)
    placed: dict[int, RingMember] = {}
    for member in sorted(members, key=lambda member: member.index):
        slots = member.slots or _find_slots(preset, probe, member.index, taken)
        placed[member.node_id] = replace(member, slots=slots)
    return tuple(placed[member.node_id] for member in members)


def _kept_slots(members: Iterable[RingMember]) -> set[int]:
    taken: set[int] = set()
    for member in members:
        own = set(member.slots)
        if member.slots and (len(member.slots) != VIRTUAL_NODES or not own <= _ALL_SLOTS):
            raise ValueError(f"node {member.node_id} can't hold the slots {list(member.slots)}")
        if len(own) < len(member.slots) or own & taken:
            raise ValueError(f"a slot of node {member.node_id} is taken twice: {list(member.slots)}")
        taken |= own
    return taken


_ALL_SLOTS = frozenset(range(SLOTS))


def _find_slots(preset: Preset, probe: Callable[[int], int], index: int, taken: set[int]) -> tuple[int, ...]:
    """Takes K free slots for the member of this index, adding them to `taken`."""
    slots: list[int] = []
    for j in range(VIRTUAL_NODES):
        slot = free_slot(preset.virtual(index, j), probe, taken)
        taken.add(slot)
        slots.append(slot)
    return tuple(slots)


def free_slot(start: int, probe: Callable[[int], int], taken: set[int]) -> int:
    """The first free slot on the probe's way from `start`; each probe reaches all slots, so RingFull means
    full."""
    for step in range(SLOTS):
        slot = (start + probe(step)) % SLOTS
        if slot not in taken:
            return slot
    raise RingFull(f"all {SLOTS} slots are taken")


def _clockwise(members: Iterable[RingMember]) -> list[int]:
    """For each slot the node id that answers for it; twice round, so that a turn from any slot is one
    slice."""
    own = {slot: member.node_id for member in members for slot in member.slots}
    if not own:
        return []
    answers: list[int] = []
    current = own[min(own)]
    for slot in reversed(range(SLOTS)):
        current = own.get(slot, current)
        answers.append(current)
    answers.reverse()
    return answers * 2
