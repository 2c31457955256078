"""How many connections a worker may have: as many as its file descriptors allow, so that accept never meets
EMFILE.

An exchange holds one descriptor for its client and at most one for its upstream, so with `clients` clients
there are never more than `clients` upstream connections in use; the rest of them are idle ones, which are
closed when room is needed. A connection of the queue's clients holds two for as long as it lasts.
"""

import resource
from dataclasses import dataclass

BURST = 4096
"""The most connections that one turn of the loop may accept before the first of them can be refused: the listen
backlog, which is the kernel's usual limit (net.core.somaxconn)."""
OWN = 64
"""Descriptors for the loop, listeners, the feed, logs and trials."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`clients`: connections that are served; `upstreams`: connections kept to all upstreams together.

    `burst`: connections that may be accepted in one turn (the backlog to listen with), and as many that were
    refused and are still on their way out. `queue`: connections passed through to the servers' queue.
    """

    clients: int
    upstreams: int
    burst: int
    queue: int = 0


def raise_descriptors() -> int:
    """Raise RLIMIT_NOFILE as far as it goes and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


def limits_for(descriptors: int, wanted_clients: int, wanted_queue: int = 0) -> Limits:
    """Divide the descriptors: two bursts (at most a quarter) are spared, the rest is shared by both sides.

    The queue's connections come first, but get a quarter at most.
    """
    queue = min(wanted_queue, descriptors // 8)
    descriptors -= 2 * queue
    burst = max(min(BURST, descriptors // 8), 1)
    room = max(descriptors - OWN - 2 * burst, 2)
    clients = min(wanted_clients, room // 2)
    return Limits(clients=clients, upstreams=room - clients, burst=burst, queue=queue)
