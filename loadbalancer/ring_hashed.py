"""The ring for real use: many virtual nodes by a byte hash, a function of the set of members alone.

Virtual node j of a replica is the hash of `node-<node id>#j`, 32 bits wide; the slot is its upper 18. Two
that meet on one slot don't probe: the lower (hash, node id) holds it, the other is shadowed and comes back
when the holder leaves. So a newcomer takes slots but gives none away: adding moves keys only to it,
removing moves only its keys, and the order of joining leaves no trace. Owners are those of the ring of 32-bit
points that libraries like uhashring keep, with keys rounded down to their slot (a test holds the two equal).
A key is hashed as its decimal digits.

Measured (analysis/ring_shares.py): a share is off by about 1/sqrt(8192) = 1.1 %, so that the worst max/mean
of N = 3 … 16 over 100 sets is 1.036 to 1.045 from trial to trial, where 4096 virtual nodes reach 1.05. Half as
many slots make shadowing itself uneven, four times as many gain nothing and leave the processor's cache.

Empty slots stay empty: memchr over a map of marks finds the next occupied one in less time than the key's
hash takes, and a build needs no pass over the gaps. Adding a member copies the table and puts in 8192 points.
Road not taken: a sorted list of points and bisect, as in uhashring. It grows with the members (36 bytes and
more a point in Python) and sorts half a million points for each change among 64 replicas.
"""

from array import array
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import compress
from typing import ClassVar

from loadbalancer.hashes import BITS_32, ByteHash, byte_hash
from loadbalancer.ring_types import MemberLike, Ring, RingFull, RingMember, RingSpec, checked

SLOT_BITS = 18
SLOTS = 1 << SLOT_BITS
VIRTUAL_NODES = 8192
MAX_MEMBERS = 255
"""The table holds a member's position in a byte, 0 for nobody. The fleet's own limit is lower."""

CACHED_UNITS = 128
"""Points kept to spare the hashing when a ring is rebuilt: 32 KiB for each unit of weight, 4 MiB at most."""

_SHIFT = 32 - SLOT_BITS
_MARK = bytes([0] + [1] * MAX_MEMBERS)


class HashedRing(Ring):
    """A ring by MurmurHash3 or by the user's own hash. 1.75 MiB, whatever its members."""

    __slots__ = ("_found", "_hash", "_lows", "_marks", "_node_ids", "_owners")

    slots: ClassVar[int] = SLOTS
    virtual_nodes: ClassVar[int] = VIRTUAL_NODES

    def __init__(
        self,
        spec: RingSpec,
        members: Iterable[MemberLike] = (),
        table: "tuple[bytearray, array[int]] | None" = None,
        known: dict[int, int] | None = None,
    ) -> None:
        """`table` holds owners and lows that this ring may change; the `known` weights are in there already.

        Raises ValueError if the user's hash can't be had, RingFull for more than MAX_MEMBERS.
        """
        super().__init__(spec, ())
        self._hash: ByteHash = byte_hash(spec.hash)
        owners, lows = table or (bytearray(SLOTS), array("I", [BITS_32]) * SLOTS)
        self._fill(_unplaced(members), owners, lows, known or {})

    def slot(self, key: int) -> int:
        return self._hash(b"%d" % key) >> _SHIFT

    def owner(self, key: int) -> int:
        slot = self._hash(b"%d" % key) >> _SHIFT
        return self._node_ids[self._found[slot] or self._find(slot)]

    def _find(self, slot: int) -> int:
        """The position of the slot's owner, which is kept: a key's next request pays for one miss of the processor's
        cache, and not for two."""
        at = self._marks.find(1, slot)
        position = self._owners[at if at >= 0 else self._first()]
        self._found[slot] = position
        return position

    def successors(self, key: int) -> Iterator[int]:
        """By what shows: a shadowed virtual node is passed over, so the second isn't always the owner's heir.

        A member of whom nothing shows at all (only a bad hash shadows somebody wholly) comes last, by node id.
        """
        seen: set[int] = set()
        for at in self._occupied_from(self.slot(key)):
            node_id = self._node_ids[self._owners[at]]
            if node_id not in seen:
                seen.add(node_id)
                yield node_id
                if len(seen) == len(self.members):
                    return
        yield from (member.node_id for member in self.members if member.node_id not in seen)

    def shares(self) -> dict[int, Fraction]:
        """Of all slots; takes milliseconds."""
        counts = [0] * (len(self.members) + 1)
        occupied = list(compress(range(SLOTS), self._owners))
        last = occupied[-1] - SLOTS if occupied else 0
        for slot, position in zip(occupied, self._owners.translate(None, b"\0"), strict=True):
            counts[position] += slot - last
            last = slot
        return {m.node_id: Fraction(counts[position], SLOTS) for position, m in enumerate(self.members, 1)}

    def updated(self, members: Iterable[MemberLike]) -> "HashedRing":
        """More members or weight cost about a millisecond for each unit of it; less of either is a rebuild."""
        wanted = _unplaced(members)
        if wanted == self.members:
            return self
        weights = {member.node_id: member.weight for member in wanted}
        if any(weights.get(member.node_id, 0) < member.weight for member in self.members):
            return HashedRing(self.spec, wanted)
        return self._grown(wanted, weights)

    def _grown(self, wanted: tuple[RingMember, ...], weights: dict[int, int]) -> "HashedRing":
        positions = {node_id: position for position, node_id in enumerate(weights, 1)}
        moved = [positions[member.node_id] for member in self.members]
        renumbered = self._owners.translate(bytes([0, *moved]).ljust(256, b"\0"))
        known = {member.node_id: member.weight for member in self.members}
        return HashedRing(self.spec, wanted, (bytearray(renumbered), self._lows[:]), known)

    def _fill(
        self, members: tuple[RingMember, ...], owners: bytearray, lows: "array[int]", known: dict[int, int]
    ) -> None:
        """Put in whatever weight of `members` is not `known` to be in `owners` already, and make it this
        ring's."""
        for position, member in enumerate(members, 1):
            for unit in range(known.get(member.node_id, 0), member.weight):
                _put(_points(self._hash, member.node_id, unit), position, owners, lows)
        self.members = members
        self._node_ids = (-1, *(member.node_id for member in members))
        self._owners = bytes(owners)
        self._lows = lows
        self._marks = self._owners.translate(_MARK.ljust(256, b"\0"))
        self._found = bytearray(SLOTS)

    def _first(self) -> int:
        """The first occupied slot: where a search past the last one goes on."""
        if not self.members:
            raise LookupError("the ring is empty")
        return self._marks.find(1)

    def _occupied_from(self, slot: int) -> Iterator[int]:
        """All occupied slots, clockwise."""
        find = self._marks.find
        for start, end in ((slot, SLOTS), (0, slot)):
            at = find(1, start, end)
            while at >= 0:
                yield at
                at = find(1, at + 1, end)


def _unplaced(members: Iterable[MemberLike]) -> tuple[RingMember, ...]:
    """Checked, and without slots: those belong to course rings."""
    found = checked(members)
    if len(found) > MAX_MEMBERS:
        raise RingFull(f"a ring holds {MAX_MEMBERS} replicas")
    return tuple(RingMember(member.node_id, member.index, member.weight) for member in found)


@lru_cache(CACHED_UNITS)
def _points(hash_: ByteHash, node_id: int, unit: int) -> "array[int]":
    """The hashes of one weight unit's virtual nodes, j = unit·8192 …; to be read only."""
    prefix = b"node-%d#" % node_id
    return array("I", [hash_(prefix + number) for number in _numbers(unit)])


def forget_points() -> None:
    """Give up the kept points (measurements of a cold build need it)."""
    _points.cache_clear()
    _numbers.cache_clear()


@lru_cache(1)
def _numbers(unit: int) -> list[bytes]:
    """The unit's j as text: writing them costs as much as hashing, and members have them in common."""
    return [b"%d" % j for j in range(unit * VIRTUAL_NODES, (unit + 1) * VIRTUAL_NODES)]


def _put(points: "array[int]", position: int, owners: bytearray, lows: "array[int]") -> None:
    """The lower (hash, node id) holds a slot: positions are in order of node id. Hot: 8192 turns a unit."""
    for point in points:
        slot = point >> _SHIFT
        if point < lows[slot]:
            lows[slot] = point
            owners[slot] = position
        elif point == lows[slot] and not 0 < owners[slot] < position:
            owners[slot] = position
