"""The consistent-hash ring: who owns a key, and who comes next clockwise.

Two kinds behind one interface (ring_types.py): the course's, which probes and therefore carries its
members' slots as state (ring_course.py), and the hashed one, a function of the set of members alone
(ring_hashed.py).
"""

from collections.abc import Iterable

from loadbalancer.hashes import PRESETS
from loadbalancer.ring_course import CourseRing
from loadbalancer.ring_hashed import HashedRing
from loadbalancer.ring_types import MAX_WEIGHT, MemberLike, Ring, RingFull, RingMember, RingSpec

__all__ = ["MAX_WEIGHT", "MemberLike", "Ring", "RingFull", "RingMember", "RingSpec", "build_ring"]


def build_ring(spec: RingSpec, members: Iterable[MemberLike]) -> Ring:
    """The ring of these members, the same in every process that is given the same spec and members.

    On a course ring, members that have `slots` sit there, the others are placed after them in order of
    index. Raises RingFull (a ValueError) if they don't fit, ValueError if a node id, an index or a slot is
    taken twice, a weight is out of range, or the user's hash can't be had.
    """
    return CourseRing(spec, members) if spec.hash in PRESETS else HashedRing(spec, members)
