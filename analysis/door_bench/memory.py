"""What a thousand idle keep-alive connections cost the process that carries requests."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.door_bench.accounting import pss_of, rss_bytes
from analysis.door_bench.peers import Front
from analysis.door_bench.rounds import Ground

CONNECTIONS = 1000
GOAL_BYTES = 60_000_000
SETTLE_S = 1.0
REQUEST = b"GET /home HTTP/1.1\r\nHost: door\r\nX-Request-Id: idle-%d\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident sizes of the data-path process, empty and with `connections`; `pss_bytes` is of all processes."""

    front: str
    connections: int
    empty_rss_bytes: int
    rss_bytes: int
    pss_bytes: int


def memories(ground: Ground, fronts: Sequence[str]) -> Iterator[Memory]:
    """Of each front, started for it."""
    for name in fronts:
        with ground.fronts[name](ground.backends.ports, 1, {ground.at.front}) as front:
            yield held(front, CONNECTIONS)


def held(front: Front, count: int) -> Memory:
    """Open connections, make a request on each, keep them, and look. Raises RuntimeError unless all were answered."""
    _allow_files(count + 100)
    empty = rss_bytes(front.data_pid)
    with contextlib.ExitStack() as stack:
        for number in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", front.port), timeout=5))
            connection.sendall(REQUEST % number)
            if not connection.recv(65536).startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"{front.name} did not answer connection {number}")
        time.sleep(SETTLE_S)
        return Memory(front.name, count, empty, rss_bytes(front.data_pid), pss_of(front.pids()))


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
