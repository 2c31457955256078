"""The whole Python path of a request, timed without sockets: the real Door, Client and Pool between fake transports.

A turn of the loop serves a request of each of `CLIENTS` clients, as it does under load, then the replicas' answers.
What an empty turn costs is measured and taken off. The clock is the thread's CPU time, so that others on the machine
do not count.
"""

import asyncio
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import thread_time_ns

from analysis.door_profile.fakes import FakeLoop, FakeTransport, connected
from loadbalancer.aio.client import Client
from loadbalancer.aio.door import Door
from loadbalancer.aio.limits import Limits
from loadbalancer.door_settings import DoorSettings
from loadbalancer.snapshot import Epoch, Member, Snapshot

CLIENTS = 32
REPEATS = 7
WARM_TURNS = 50
OPENING_TURNS = 100
REQUEST = b"GET /home HTTP/1.1\r\nHost: 127.0.0.1:5000\r\nX-Request-Id: 1f2e3d4c-%d\r\n\r\n"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 28\r\nConnection: keep-alive\r\n\r\nHello from a static backend\n"
)
ROUTE = "header:X-Request-Id"

Arrival = tuple[Callable[[bytes], None], bytes]


@dataclass(frozen=True, slots=True)
class Halves:
    """Microseconds for each request: from its bytes to the replica's, and from the answer's bytes to the client's."""

    request_us: float
    answer_us: float

    @property
    def both_us(self) -> float:
        return self.request_us + self.answer_us


def settings() -> DoorSettings:
    """As `carousel up --runtime static --route-by header:X-Request-Id` has it; control is not there."""
    return DoorSettings("profile", "", "", "", "", route_by=ROUTE, unknown_path="pass")


def members() -> tuple[Member, ...]:
    return tuple(Member(name=f"S{n}", node_id=n, index=n, host="127.0.0.1", port=5000 + n) for n in (1, 2, 3))


Rig = Callable[[], Callable[[], asyncio.Protocol]]
"""Makes a front within a running loop; returns the factory of its clients' protocols."""


def door() -> Callable[[], asyncio.Protocol]:
    """The real one."""
    made = Door(settings(), 0, Limits(1000, 1000, 1000))
    assert made.replicas.apply(Snapshot(Epoch(1, 1), members()))
    return lambda: Client(made, admin=True, proxy=True)


def measure(rig: Rig, requests: int) -> Halves:
    """About so many requests in REPEATS parts; the median part."""
    turns = max(requests // (CLIENTS * REPEATS), 1)
    parts = _driven(rig, turns, REPEATS)
    return Halves(*(statistics.median(values) for values in zip(*parts, strict=True)))


def drive(rig: Rig, turns: int) -> int:
    """Let so many turns of requests pass, unmeasured; returns how many requests that made."""
    _driven(rig, turns, 1)
    return (WARM_TURNS + turns) * CLIENTS


def _driven(rig: Rig, turns: int, parts: int) -> list[tuple[float, float]]:
    loop = FakeLoop()
    try:
        return loop.run_until_complete(_run(loop, rig, turns, parts))
    finally:
        loop.close()


async def _run(loop: FakeLoop, rig: Rig, turns: int, parts: int) -> list[tuple[float, float]]:
    client = rig()
    clients = [connected(client()) for _ in range(CLIENTS)]
    await _part(loop, clients, 0, WARM_TURNS)  # opens the connections to the replicas, warms the interpreter
    empty = await _empty_turn(turns)
    made = [await _part(loop, clients, number + 1, turns) for number in range(parts)]
    scale = 1e3 * turns * CLIENTS
    return [((a - empty) / scale, (b - empty) / scale) for a, b in made]


async def _empty_turn(turns: int) -> int:
    """Nanoseconds of so many turns, without anything to do."""
    spent = 0
    for _ in range(turns):
        begin = thread_time_ns()
        await asyncio.sleep(0)
        spent += thread_time_ns() - begin
    return spent


async def _part(loop: FakeLoop, clients: list[FakeTransport], number: int, turns: int) -> tuple[int, int]:
    """Nanoseconds of (requests, answers). Whatever the front door loses or answers wrongly fails an assertion."""
    request_ns = answer_ns = 0
    for turn in range(turns):
        first = (number * turns + turn) * CLIENTS + 1_000_000
        request_ns += await _timed([(c.deliver, REQUEST % (first + i)) for i, c in enumerate(clients)])
        answer_ns += await _timed([(upstream.deliver, ANSWER) for upstream in await _carriers(loop)])
        for client in clients:
            assert b"".join(client.sent).startswith(b"HTTP/1.1 200 "), client.sent
            client.sent.clear()
    return request_ns, answer_ns


async def _timed(arrivals: Sequence[Arrival]) -> int:
    """Nanoseconds of one turn in which these bytes come."""
    begin = thread_time_ns()
    for deliver, data in arrivals:
        deliver(data)
    await asyncio.sleep(0)
    return thread_time_ns() - begin


async def _carriers(loop: FakeLoop) -> list[FakeTransport]:
    """The connections on which the turn's requests went out; a new one takes some turns to open."""
    for _ in range(OPENING_TURNS):
        found = [upstream for upstream in loop.upstreams if upstream.sent]
        if len(found) == CLIENTS:
            for upstream in found:
                upstream.sent.clear()
            return found
        await asyncio.sleep(0)
    raise AssertionError("not every request went out")
