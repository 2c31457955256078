"""What the queue's ports of the front door lead to: each member's listener.

Which of the ports for single servers is a member's, the roster says (Place.slot), since a container is told of it
before it is in the layout; that it serves the queue at all, and where, is known once it has registered.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from loadbalancer.snapshot import Member

Listeners = Mapping[int, tuple[str, int]]
"""By node id, where the ports lead; the host "" is the member's own."""


def with_listeners(members: Iterable[Member], listeners: Listeners) -> tuple[Member, ...]:
    """These members, each with the listener that the ports lead to; None where there is none, or nobody."""
    return tuple(replace(member, queue=_listener(member, listeners)) for member in members)


def _listener(member: Member, listeners: Listeners) -> tuple[str, int] | None:
    found = listeners.get(member.node_id)
    if found is None or not member.host:
        return None
    host, port = found
    return host or member.host, port
