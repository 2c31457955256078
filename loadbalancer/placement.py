"""Where partitions go: the shards' own ring (cluster-rules R11).

Always MurmurHash3 over node ids, whatever --ring-hash says: shards hold data, and where they lie must not depend on
how requests are routed. Partition `topic-p` goes to the first servers clockwise from the hash of that text. The ring
is asked at creation and for a move that has a reason; what came out is stored, and rules from then on.
"""

from collections.abc import Collection
from functools import lru_cache
from itertools import islice

from loadbalancer.hashes import key_of
from loadbalancer.ring_hashed import HashedRing
from loadbalancer.ring_types import RingMember, RingSpec

KEPT_RINGS = 2
"""With and without the newcomer or the leaver of a change; a ring takes 1.75 MiB."""


def place(topic: str, partition: int, nodes: Collection[int], count: int) -> tuple[int, ...]:
    """`count` of the `nodes` (fewer if there are fewer), the one that shall lead first."""
    key = key_of(f"{topic}-{partition}".encode())
    return tuple(islice(_ring(frozenset(nodes)).successors(key), count))


@lru_cache(KEPT_RINGS)
def _ring(nodes: frozenset[int]) -> HashedRing:
    return HashedRing(RingSpec("mmh3"), [RingMember(node_id, node_id) for node_id in nodes])
