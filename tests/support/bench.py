"""A front door on a bench: the real one, between connections that the test holds both ends of, and on its clock.

Nothing happens by itself. A test speaks as a client (`ask`), answers or fails as a replica (`Line`), says what becomes
of the next connections (`outcome`), moves the clock, and lets the loop run what is ready (`settle`).
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from typing import Any
from unittest import mock

from loadbalancer.aio import client, door, exchange, hedge, replicas, upstreams
from loadbalancer.aio.client import Client
from loadbalancer.aio.door import Door
from loadbalancer.aio.limits import Limits
from loadbalancer.aio.upstreams import Upstream
from loadbalancer.door_settings import DoorSettings
from loadbalancer.policy_view import View
from loadbalancer.snapshot import Epoch, Member, Snapshot

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOCKED = (client, door, exchange, hedge, replicas, upstreams)

ACCEPTS, REFUSES, HANGS = "accepts", "refuses", "hangs"


class Wire(asyncio.Transport):
    """A transport whose other end is the test."""

    def __init__(self, protocol: Any, peer: str = "127.0.0.1") -> None:
        super().__init__({"peername": (peer, 1)})
        self.protocol = protocol
        self.written = b""
        self.ended = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        if self.ended:
            raise RuntimeError("closed")  # as uvloop does
        self.written += data

    def abort(self) -> None:
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    close = abort

    def is_closing(self) -> bool:
        return self.ended

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def can_write_eof(self) -> bool:
        return False


class Line:
    """A connection to a replica, held at its other end."""

    def __init__(self, node: int, upstream: Upstream) -> None:
        self.node = node
        self.upstream = upstream
        self.wire = Wire(upstream)
        upstream.connection_made(self.wire)

    @property
    def requests(self) -> int:
        return self.wire.written.count(b" HTTP/1.1\r\n")

    @property
    def busy(self) -> bool:
        return not self.wire.ended and self.upstream.exchange is not None

    def answer(self, data: bytes = OK) -> None:
        if not self.wire.ended:
            self.upstream.data_received(data)

    def reset(self) -> None:
        if not self.wire.ended:
            self.wire.ended = True
            self.upstream.connection_lost(ConnectionResetError())


class Caller:
    """A client's connection, held at its other end."""

    def __init__(self, door: Door) -> None:
        self.client = Client(door, admin=True, proxy=True)
        self.wire = Wire(self.client)
        self.client.connection_made(self.wire)

    def leave(self) -> None:
        if not self.wire.ended:
            self.wire.ended = True
            self.client.connection_lost(ConnectionResetError())

    @property
    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in self.wire.written.split(b"HTTP/1.1 ")[1:]]


class Rotating:
    """A policy of a user's own."""

    def __init__(self) -> None:
        self._turn = 0

    def choose(self, key: int, view: View, tried: Collection[int] = ()) -> int | None:
        left = sorted(view.eligible.difference(tried))
        self._turn += 1
        return left[self._turn % len(left)] if left else None


class Bench:
    """To be made in a running loop, within `bench(…)`. Node ids are 1, 2, 3 …; each is called S<node id>."""

    def __init__(self, nodes: Iterable[int], **settings: Any) -> None:
        self.now = 1000.0
        nowhere = dict.fromkeys(
            ("control_socket", "loop_socket", "feed_socket", "snapshot_path"), tempfile.gettempdir()
        )
        wanted: dict[str, Any] = {"unknown_path": "pass", "route_by": "path", "slow_start_s": 0.0} | settings
        self.door = Door(DoorSettings(cluster_id="bench", **nowhere, **wanted), 0, Limits(1000, 1000, 1000))
        self.replicas = self.door.replicas
        self.said: list[dict[str, Any]] = []
        self.replicas.say = self.said.append
        self.members = {node: Member(node, node, f"S{node}", "127.0.0.1", 1000 + node) for node in nodes}
        self.lines: list[Line] = []
        self.hanging = asyncio.Event()
        self.outcome: Callable[[int], str] = lambda node: ACCEPTS
        self._version = 0
        self.publish()

    def publish(self, *members: Member) -> None:
        """A new snapshot, in which these members are changed or new."""
        self.members |= {member.node_id: member for member in members}
        self._version += 1
        assert self.replicas.apply(Snapshot(Epoch(1, self._version), tuple(self.members.values())))
        for node, pool in self.replicas.pools.items():
            pool._connect = lambda factory, node=node: self._connect(node, factory)

    async def _trial(self, reach: object, host: str, port: int, path: str, patience_s: float) -> bool:
        return self.outcome(port - 1000) == ACCEPTS

    async def _connect(self, node: int, factory: Callable[[], Upstream]) -> tuple[Wire, Upstream]:
        outcome = self.outcome(node)
        if outcome == HANGS:
            await self.hanging.wait()
        if outcome == REFUSES:
            raise ConnectionRefusedError
        line = Line(node, factory())
        self.lines.append(line)
        return line.wire, line.upstream

    def ask(self, target: bytes = b"/a", method: bytes = b"GET", rest: bytes = b"\r\n") -> Caller:
        """A client comes and asks; `rest` are further header lines, the blank one, and what follows it."""
        caller = Caller(self.door)
        caller.client.data_received(b"%b %b HTTP/1.1\r\nHost: d\r\n%b" % (method, target, rest))
        return caller

    async def ask_all(self, targets: Iterable[bytes]) -> list[Caller]:
        """A client for each target, all of them there at the end."""
        callers: list[Caller] = []
        for target in targets:
            callers.append(self.ask(target))
            if len(callers) % 20 == 0:
                await self.settle()
        await self.settle()
        return callers

    def at(self, node: int) -> list[Line]:
        """The connections to a replica that carry a request now."""
        return [line for line in self.lines if line.node == node and line.busy]

    def owner(self, target: bytes = b"/a") -> int:
        """Whom the policy `ring` would choose first of all."""
        return next(iter(self.after(target)))

    def after(self, target: bytes = b"/a") -> list[int]:
        """All nodes, clockwise from the target's place (route_by path)."""
        key = self.door._key_of(mock.Mock(target=target), b"")
        return list(self.replicas.ring.successors(key))

    @property
    def in_flight(self) -> dict[int, int]:
        return {node: count for node, count in self.door.counters.in_flight.items() if count}

    async def settle(self) -> None:
        """Let the loop run what is ready."""
        for _ in range(8):
            await asyncio.sleep(0)
        self.door.outbox.flush()

    async def later(self, seconds: float) -> None:
        """Let so much time pass, with one tick and one sweep of the hedger at its end."""
        self.now += seconds
        self.door.tick(self.now)
        if self.door._hedger is not None:
            self.door._hedger.sweep()
        await self.settle()

    async def close(self) -> None:
        await self.door.close()
        await self.settle()


@contextlib.asynccontextmanager
async def bench(*nodes: int, **settings: Any) -> AsyncGenerator[Bench]:
    """A Bench over these nodes, on a clock of its own."""
    with contextlib.ExitStack() as stack:
        made: list[Bench] = []
        for module in CLOCKED:
            stack.enter_context(mock.patch.object(module, "monotonic", lambda: made[0].now if made else 1000.0))
        stack.enter_context(mock.patch.object(door, "get_logger"))
        made.append(Bench(nodes, **settings))
        stack.enter_context(mock.patch.object(replicas, "answers", made[0]._trial))
        yield made[0]
        await made[0].close()
