"""The queue's ports: connections of Kafka clients, passed through to the servers as they are.

Clients inside a server's network go to the servers themselves. Those outside begin here, at the bootstrap port, which
leads to any healthy server, and go on, where servers can't be reached, by ports that lead to one server each
(queue_ports.py says to whom). Not a byte is read: what a server advertises, asks and answers is its own business.

A connection that is refused, or not made in time, is tried at the next server; none is once it stands, for then bytes
may have been sent, and only the client knows what may be sent twice. A client that can't be led anywhere is reset,
which Kafka's clients take as a reason to try again.

What ends a pipe besides its two sides: silence for long (pipe.py); another instance in its server's place; a worker
that drains. Kafka's clients never leave by themselves, and come back at once, so a draining worker ends each pipe when
it is quiet after a word of the server's, where most likely nothing is under way, and the rest when its patience is
over.

Peers: HAProxy's `mode tcp` with `balance leastconn` and `option redispatch`, nginx's stream proxy.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from loadbalancer.aio.client import reset
from loadbalancer.aio.pipe import End, Pipe
from loadbalancer.queue_ports import candidates
from loadbalancer.snapshot import Member, Snapshot

if TYPE_CHECKING:
    from loadbalancer.aio.door import Door

PATIENCE_S = 5.0
"""For all tries of one connection: half of what Kafka's clients wait for it (socket.connection.setup.timeout.ms)."""
DRAIN_S = 5.0
"""How long a draining worker lets busy connections be, if --drain-timeout is not shorter: what is asked of a Kafka
server is answered in less (fetch.max.wait.ms is half a second), and what is not is asked again."""
SWEEP_TICKS = 4
"""Pipes are looked at on each fourth tick, as clients are."""


class Waiting(asyncio.Protocol):
    """A side whose other one is not there yet. It holds what came, which is one read at most (256 KiB by uvloop)."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # at once
        self.held: bytes = b""
        self.ended = False
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has the methods, not the base class

    def data_received(self, data: bytes) -> None:
        self.held += data
        self.transport.pause_reading()

    def eof_received(self) -> bool:
        self.ended = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


class Arrival(Waiting):
    """A client of the port of this slot, until its server is reached."""

    def __init__(self, queue: "QueueDoor", slot: int) -> None:
        super().__init__()
        self.slot = slot
        self._queue = queue

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._queue.arrived(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._queue.gone()


class QueuePipe(Pipe):
    """A client's connection and its server's."""

    def __init__(self, queue: "QueueDoor", member: Member, near: Waiting, far: Waiting) -> None:
        super().__init__(queue.door.outbox, near.transport, far.transport)
        self.node_id = member.node_id
        self._queue = queue
        self._counters = queue.door.counters
        self._name = member.name
        self._address = member.queue
        self._answered = True  # the last word was the server's

    def open(self, near: Waiting, far: Waiting) -> None:
        """Begin with what these two hold."""
        self.join()
        _go_on(near, self.near)
        _go_on(far, self.far)

    def count(self, end: End, size_bytes: int) -> None:
        self._answered = end is self.far
        if self._answered:
            self._counters.queue_bytes_out += size_bytes
        else:
            self._counters.queue_bytes_in += size_bytes

    def left(self, end: End) -> None:
        if end is self.near:
            self._queue.gone()

    def over(self) -> None:
        self._queue.forget(self)

    def sweep(self, now: float, draining: bool) -> None:
        """Enforce what ends it."""
        quiet = not self.moved
        if self.idles(now):
            self.cut()
        elif draining and quiet and self._answered:
            self._finish()

    def astray(self, snapshot: Snapshot) -> bool:
        """Whether its server is not there any more: another instance, none, or the same elsewhere."""
        for member in snapshot.members:
            if member.node_id == self.node_id:
                return member.name != self._name or member.queue not in (None, self._address)
        return True

    def _finish(self) -> None:
        """End both sides, when they have sent what waits."""
        for end in (self.near, self.far):
            end.ended = True
            end.transport.close()


def _go_on(waiting: Waiting, end: End) -> None:
    """Tell an end what its predecessor has heard."""
    if waiting.lost:
        end.connection_lost(None)
        return
    if waiting.held:
        waiting.transport.resume_reading()
        end.data_received(waiting.held)
    if waiting.ended and not end.eof_received():
        waiting.transport.close()


class QueueDoor:
    """All such connections of one worker, `limit` at most. `on_empty` is called when a draining one has lost its last
    client."""

    def __init__(self, door: "Door", limit: int) -> None:
        self.door = door
        self.pipes: set[QueuePipe] = set()
        self.draining = False
        self.on_empty: Callable[[], None] = lambda: None
        self._limit = limit
        self._loads: Counter[int] = Counter()  # connections by node id, those under way included
        self._tries: dict[Arrival, asyncio.Task[None]] = {}
        self._turn = door.slot  # workers begin with different servers
        self._ticks = 0
        self._seen: Snapshot | None = None
        self._drain_until = 0.0

    # --- connections -----------------------------------------------------------------------------------------

    def arrived(self, arrival: Arrival) -> None:
        counters = self.door.counters
        counters.queue_connections += 1
        if counters.queue_connections > self._limit:
            counters.queue_refused += 1
            reset(arrival.transport)
            return
        counters.queue_accepted += 1
        self._tries[arrival] = asyncio.get_running_loop().create_task(self._lead(arrival))

    def gone(self) -> None:
        """A client's connection is closed."""
        self.door.counters.queue_connections -= 1
        if self.draining and not self.door.counters.queue_connections:
            self.on_empty()

    def forget(self, pipe: QueuePipe) -> None:
        self.pipes.discard(pipe)
        self._loads[pipe.node_id] -= 1

    async def _lead(self, arrival: Arrival) -> None:
        try:
            reached = await self._reach(arrival)
        finally:
            del self._tries[arrival]
        if reached is None:
            self.door.counters.queue_unreached += not arrival.lost
            reset(arrival.transport)
            return
        member, far = reached
        if arrival.lost:
            self._loads[member.node_id] -= 1
            far.transport.abort()
            return
        pipe = QueuePipe(self, member, arrival, far)
        self.pipes.add(pipe)
        pipe.open(arrival, far)

    async def _reach(self, arrival: Arrival) -> tuple[Member, Waiting] | None:
        """A connection to the first server that takes it, counted in its load."""
        end = asyncio.get_running_loop().time() + PATIENCE_S
        for member in self._candidates(arrival.slot):
            if arrival.lost:
                break
            far = await self._try(member, end)
            if far is not None:
                return member, far
        return None

    async def _try(self, member: Member, end: float) -> Waiting | None:
        far = None
        self._loads[member.node_id] += 1
        try:
            async with asyncio.timeout_at(end):
                far = await self._connect(member)
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            pass
        finally:
            if far is None:
                self._loads[member.node_id] -= 1
        return far

    def _candidates(self, slot: int) -> list[Member]:
        snapshot = self.door.replicas.snapshot
        self._turn += 1
        members = () if snapshot is None else snapshot.members
        return candidates(members, slot, self.door.replicas.ejected, self._loads, self._turn)

    async def _connect(self, member: Member) -> Waiting:
        assert member.queue is not None
        host, port = member.queue

        def attempt(address: str) -> Any:
            return asyncio.get_running_loop().create_connection(Waiting, address, port)

        timeout_s = self.door.settings.upstream_connect_timeout_s
        async with asyncio.timeout(timeout_s):
            _, far = await self.door.replicas.resolver.reach(host, attempt, timeout_s)
        return far

    # --- time ------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """To be called a few times a second: enforces what ends pipes."""
        self._ticks += 1
        self._cut_astray()
        if self.draining or self._ticks % SWEEP_TICKS == 0:
            for pipe in list(self.pipes):
                pipe.sweep(now, self.draining)
        if self.draining and now > self._drain_until:
            self.cut_all()

    def _cut_astray(self) -> None:
        snapshot = self.door.replicas.snapshot
        if snapshot is None or snapshot is self._seen:
            return
        self._seen = snapshot
        for pipe in [pipe for pipe in self.pipes if pipe.astray(snapshot)]:
            pipe.cut()

    def drain(self, now: float) -> None:
        """End what is here, the quiet first. The listeners are the caller's to close. Idempotent."""
        if self.draining:
            return
        self.draining = True
        self._drain_until = now + min(self.door.settings.drain_timeout_s, DRAIN_S)
        if not self.door.counters.queue_connections:
            self.on_empty()

    def cut_all(self) -> None:
        for pipe in list(self.pipes):
            pipe.cut()
        for arrival, task in list(self._tries.items()):
            task.cancel()
            reset(arrival.transport)

    async def close(self) -> None:
        """End everything at once."""
        tasks = list(self._tries.values())
        self.cut_all()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
