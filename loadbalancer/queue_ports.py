"""Which server gets a connection to one of the queue's ports.

The front door passes these connections through as they are (aio/queue_door.py). Two kinds of ports:
- the bootstrap port leads to any server, as any of them can tell a Kafka client the rest: to the one with the fewest
  such connections in this worker. Kafka clients keep theirs for hours, so that counts more than turns do;
- a server's own port leads to that server and nowhere else: the client comes for a partition that is led there. Not
  even control's word keeps it away, for a server that drains, or whose heartbeats fail, still leads what it leads.

The road not taken: the ring. A connection has no key, and what it will carry is not known before it is led somewhere.
"""

from collections.abc import Collection, Mapping, Sequence

from loadbalancer.snapshot import Member

QUEUE = "queue"
"""The bootstrap port's name among the listening sockets."""
ANY_SERVER = -1
"""The slot of the bootstrap port."""


def queue_name(slot: int) -> str:
    """The name of a server's own port.

    >>> queue_name(0)
    'queue-0'
    """
    return f"{QUEUE}-{slot}"


def slot_of(name: str) -> int | None:
    """The inverse: ANY_SERVER for the bootstrap port, None for the name of any other port.

    >>> slot_of("queue-12"), slot_of("queue"), slot_of("main")
    (12, -1, None)
    """
    if name == QUEUE:
        return ANY_SERVER
    start, _, number = name.partition("-")
    return int(number) if start == QUEUE and number.isdecimal() else None


def candidates(
    members: Sequence[Member], slot: int, ejected: Collection[int], connections: Mapping[int, int], turn: int
) -> list[Member]:
    """To whom a connection may be led, in the order in which they are to be tried.

    For the bootstrap port: who is routable, first those that this worker has not `ejected`, then by the number of
    `connections` (by node id), and among equals in turns: `turn` counts the connections.
    """
    if slot != ANY_SERVER:
        return [member for member in members if member.queue is not None and member.queue_slot == slot]
    able = [member for member in members if member.queue is not None and member.routable and not member.draining]
    first = turn % len(able) if able else 0
    return sorted(
        able[first:] + able[:first],
        key=lambda member: (member.node_id in ejected, connections.get(member.node_id, 0)),
    )
