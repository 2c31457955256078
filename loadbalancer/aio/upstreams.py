"""Connections to one upstream: kept alive, bounded in number, with a bounded queue behind.

A `Pool` belongs to one instance at one address. It carries exchanges: at once on an idle connection, or on a
new one, or, past the limit, after waiting for one. A connection serves one exchange at a time, so the one
that fails fails nobody else.

What holds: an exchange that was given to a pool hears exactly one of `answer…`/`lost`/`unreachable`, or is
taken back with `remove`, after which the pool forgets it and aborts its connection. The last idle connection
is the first to be used, so the others age and are closed.
"""

import asyncio
import errno
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from time import monotonic
from typing import Any, Protocol, cast

from loadbalancer.aio.outbox import Outbox
from loadbalancer.counters import Counters
from loadbalancer.forwarding import Answer
from loadbalancer.retry import FRESH_S, Phase

IDLE_S = 30.0
"""Pooled connections idle for longer are closed: most servers end theirs after 60 to 75 s, and we want to be
first."""

OWN_FAULTS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL))
"""Connecting failed for want of our own means: no sign against the replica."""

Connect = Callable[[Callable[[], "Upstream"]], Awaitable[tuple[Any, "Upstream"]]]
"""As the loop's create_connection: (transport, what the factory made for it). It may make several, one by one."""


class Passenger(Protocol):
    """What a pool carries; `exchange.Exchange` is one."""

    upstream: "Upstream | None"
    kept: bytes
    phase: int
    repeatable: bool

    @property
    def uploading(self) -> bool: ...
    @property
    def plain(self) -> bool: ...

    def answer(self, data: bytes, /) -> None: ...
    def answer_known(self, upstream: "Upstream", data: bytes, /) -> None: ...
    def boarded(self) -> None: ...
    def lost(self, reset: bool, /) -> None: ...
    def unreachable(self, refused: bool, own_fault: bool, /) -> None: ...
    def rejected(self) -> None: ...
    def pause_upload(self) -> None: ...
    def resume_upload(self) -> None: ...


class Cuttable(Protocol):
    """What has taken over a connection for good; `tunnel.Tunnel` is one."""

    def cut(self) -> None: ...


class Upstream(asyncio.Protocol):
    """One connection; `exchange` is what it carries now."""

    __slots__ = (
        "_last_bytes", "exchange", "idle_since", "last_answer", "last_head", "last_head_bytes", "pool", "transport"
    )  # fmt: skip

    def __init__(self, pool: "Pool") -> None:
        self.pool = pool
        self.exchange: Passenger | None = None
        self.idle_since = 0.0
        self.last_head = b"never"  # the head of the last answer, and what was read in it: they tend to repeat
        self.last_head_bytes = 0
        self.last_answer: Answer = None  # type: ignore[assignment]  # set with last_head
        self._last_bytes = 0  # the size of a whole answer with that head; 0 if it has none that is its own
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anyone sees it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has the methods, not the base class
        self.pool.opened(self)

    def begin(self, exchange: Passenger) -> None:
        """Send what is kept of the request."""
        self.exchange = exchange
        exchange.upstream = self
        exchange.phase = Phase.SENT
        self.pool.outbox.write(self.transport, exchange.kept)
        if exchange.uploading:
            exchange.boarded()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.abort()  # bytes that nobody asked for: the next exchange would take them for its answer
        elif len(data) == self._last_bytes and exchange.plain and data.startswith(self.last_head):
            exchange.answer_known(self, data)
        else:
            exchange.answer(data)

    def remember(self, head: bytes, answer: Answer) -> None:
        """The next answer may have this head."""
        self.last_head, self.last_answer, self.last_head_bytes = head, answer, len(head)
        self._last_bytes = len(head) + answer.body_bytes if answer.body_bytes else 0

    def eof_received(self) -> None:
        if self.exchange is None:
            self.pool.forget_idle(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pool.closed(self)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.lost(exc is not None)

    def pause_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.pause_upload()

    def resume_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.resume_upload()

    def peer(self) -> str:
        """The address at the other end; "" of a Unix socket."""
        name: tuple[str, int] | str | None = self.transport.get_extra_info("peername")
        return name[0] if isinstance(name, tuple) else ""

    def abort(self) -> None:
        """End it at once; its exchange, if any, hears nothing of it."""
        self.exchange = None
        self.pool.forget_idle(self)
        self.transport.abort()


class Pool:
    """The connections to one upstream. `node_id` is counters.NOBODY for control's sockets, which keep no
    connection."""

    def __init__(
        self,
        node_id: int,
        connect: Connect,
        counters: Counters,
        limit: int,
        queue_limit: int,
        connect_timeout_s: float,
        codes: list[int],
        outbox: Outbox,
        keep: bool = True,
    ) -> None:
        self.outbox = outbox
        self.node_id = node_id
        self.codes = codes
        self.address: tuple[str, str, int] | None = None  # (name, host, port) of a replica's instance
        self.unsettled = False  # the owner has something to do when an exchange ends well
        self.connections: set[Upstream] = set()
        self.tunnels: set[Cuttable] = set()
        self.waiting: deque[Passenger] = deque()
        self.connecting: dict[Passenger, asyncio.Task[None]] = {}
        self.retired = not keep
        self._astray: set[Upstream] = set()  # connections that are closed when they have nothing under way
        self._idle: list[Upstream] = []
        self._connect = connect
        self._counters = counters
        self._in_flight = counters.in_flight
        self._in_flight.setdefault(node_id, 0)
        self._limit = limit
        self._queue_limit = queue_limit
        self._connect_timeout_s = connect_timeout_s
        self.make_room: Callable[[], None] = lambda: None

    def carry(self, exchange: Passenger) -> None:
        """Send the exchange on its way, now or when a connection is there."""
        self._in_flight[self.node_id] += 1
        idle = self._idle
        if idle and (exchange.repeatable or monotonic() - idle[-1].idle_since <= FRESH_S):
            idle.pop().begin(exchange)
        elif len(self.connections) + len(self.connecting) < self._limit or self._close_oldest_idle():
            self._open_for(exchange)
        elif len(self.waiting) < self._queue_limit:
            self.waiting.append(exchange)
        else:
            self._in_flight[self.node_id] -= 1
            exchange.rejected()

    def done(self, upstream: Upstream, reusable: bool, now: float) -> None:
        """The exchange of `upstream` has ended well."""
        upstream.exchange = None
        self._in_flight[self.node_id] -= 1
        if not reusable or self.retired or (self._astray and upstream in self._astray):
            upstream.transport.abort()
        elif self.waiting:
            upstream.idle_since = 0.0  # it was not idle before this one
            upstream.begin(self.waiting.popleft())
        else:
            upstream.idle_since = now
            self._idle.append(upstream)

    def remove(self, exchange: Passenger) -> None:
        """Forget an exchange that is under way here, wherever it is; its connection is aborted."""
        self._in_flight[self.node_id] -= 1
        if exchange.upstream is not None:
            exchange.upstream.abort()
            exchange.upstream = None
        elif exchange in self.connecting:
            self.connecting.pop(exchange).cancel()
            asyncio.get_running_loop().call_soon(self._serve_waiting)  # later: all of them may be leaving
        else:
            self.waiting.remove(exchange)

    def passengers(self) -> list[Passenger]:
        """All exchanges that are under way here."""
        aboard = [upstream.exchange for upstream in self.connections if upstream.exchange is not None]
        return [*aboard, *self.connecting, *self.waiting]

    @property
    def busy(self) -> bool:
        """Whether anything is open or under way here."""
        return bool(self.connections or self.connecting or self.waiting or self.tunnels)

    def retire(self) -> None:
        """Keep no connection from now on; what is under way may end, but tunnels know no end: they are cut."""
        self.retired = True
        self._close_idle_since(float("inf"))
        for tunnel in list(self.tunnels):
            tunnel.cut()

    def switched(self, upstream: Upstream, tunnel: Cuttable) -> None:
        """That connection is a tunnel now: still in flight here, but not bounded with the others (tunnel.py)."""
        upstream.exchange = None
        self.connections.discard(upstream)
        self.tunnels.add(tunnel)
        self._serve_waiting()

    def ended(self, tunnel: Cuttable) -> None:
        """A tunnel's connection to the upstream is closed."""
        self.tunnels.discard(tunnel)
        self._counters.upstream_connections -= 1
        self._in_flight[self.node_id] -= 1

    def keep_only(self, addresses: Collection[str]) -> None:
        """The upstream is at these addresses now: connections to others end, those with an exchange when it does."""
        self._astray = {upstream for upstream in self.connections if upstream.peer() not in addresses}
        for upstream in self._astray.intersection(self._idle):
            upstream.abort()

    def sweep(self, now: float) -> None:
        """Close what has been idle for long."""
        self._close_idle_since(now - IDLE_S)

    def evict(self) -> bool:
        """Close the connection that has been idle for longest, for the sake of another pool. False if there
        is none."""
        return self._close_oldest_idle()

    # --- what connections report ----------------------------------------------------------------------------

    def opened(self, upstream: Upstream) -> None:
        self.connections.add(upstream)
        self._counters.upstream_connections += 1

    def closed(self, upstream: Upstream) -> None:
        if upstream not in self.connections:
            return
        self.connections.discard(upstream)
        self._astray.discard(upstream)
        self._counters.upstream_connections -= 1
        self.forget_idle(upstream)
        if upstream.exchange is not None:
            self._in_flight[self.node_id] -= 1
        self._serve_waiting()

    def forget_idle(self, upstream: Upstream) -> None:
        if upstream in self._idle:
            self._idle.remove(upstream)

    # --- opening --------------------------------------------------------------------------------------------

    def _serve_waiting(self) -> None:
        while self.waiting and len(self.connections) + len(self.connecting) < self._limit:
            self._open_for(self.waiting.popleft())

    def _open_for(self, exchange: Passenger) -> None:
        self.make_room()
        self.connecting[exchange] = asyncio.get_running_loop().create_task(self._open(exchange))

    async def _open(self, exchange: Passenger) -> None:
        made: list[Upstream] = []  # one for each address that is tried
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, upstream = await self._connect(partial(self._make, made))
            made.remove(upstream)
        except (OSError, UnicodeError) as error:  # TimeoutError is one; a host may be no name that DNS can say
            self._not_connected(exchange, error)
            return
        finally:
            for other in made:  # uvloop leaves open what was cancelled just as it was connected, or ends it silently
                if other in self.connections:
                    other.abort()
                    self.closed(other)
        if self.connecting.pop(exchange, None) is None:
            upstream.abort()
        elif upstream.transport.is_closing():
            self._in_flight[self.node_id] -= 1
            exchange.unreachable(True, False)
        else:
            upstream.begin(exchange)

    def _make(self, made: list[Upstream]) -> Upstream:
        made.append(Upstream(self))
        return made[-1]

    def _not_connected(self, exchange: Passenger, error: OSError | UnicodeError) -> None:
        if self.connecting.pop(exchange, None) is not None:
            self._in_flight[self.node_id] -= 1
            own_fault = isinstance(error, OSError) and error.errno in OWN_FAULTS
            exchange.unreachable(not isinstance(error, TimeoutError), own_fault)
        self._serve_waiting()

    def _close_oldest_idle(self) -> bool:
        if not self._idle:
            return False
        self._idle[0].abort()
        return True

    def _close_idle_since(self, limit: float) -> None:
        while self._idle and self._idle[0].idle_since < limit:
            self._idle[0].abort()
