"""A small HTTP/1.1 server: for replicas, and for control's loop. One handler, no routes, no middleware.

The problem: a replica must start in a tenth of a second, stay small and answer as fast as the data path
asks; control's loop needs long waits and endless streams that hold no thread. Both need the same strictness
as the front door, so both are served by its parser (`wire.http1`, `wire.bodies`).

What holds:
- answers go out in the order of their requests; while one is being made, the connection's next ones wait
  unread;
- a connection holds at most one head, one body (`Limits.body_bytes`) and 64 KiB more; a client that doesn't
  read its answers isn't read either;
- what cannot be understood is answered with its code, and the connection is then closed for writing first,
  so that the answer isn't lost to a reset;
- one timer for all connections (`Service.sweep`) ends those that are slow, idle, or don't read.

Cancelling: a handler's awaitable is cancelled when its connection is lost, and when `drain`'s grace is over.
A client that has only ended its side may still be reading, so its answer is finished; an endless stream is cut.
"""

import asyncio
from collections import Counter
from typing import Final

from wire.aio.connection import Connection, Limits
from wire.exchange import (
    JSON,
    TEXT,
    Answer,
    Handler,
    Headers,
    Request,
    Response,
    Stream,
    error_response,
    json_response,
)

__all__ = [
    "JSON",
    "TEXT",
    "Answer",
    "Handler",
    "Headers",
    "Limits",
    "Request",
    "Response",
    "Service",
    "Stream",
    "error_response",
    "json_response",
]

SWEEP_S: Final = 1.0
"""How often limits in time are checked: they are in tens of seconds, so a second late does not matter."""


class Service:
    """Serves `handler` to every connection made with `protocol`.

    `refused` counts the answers that the handler never saw (by status). All of it belongs to one event loop.
    """

    def __init__(self, handler: Handler, limits: Limits | None = None) -> None:
        self.handler = handler
        self.limits = limits or Limits()
        self.draining = False
        self.refused: Counter[int] = Counter()
        self.now = 0.0
        self._connections: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._connections)

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answer's end."""
        return sum(connection.busy for connection in self._connections)

    def protocol(self) -> asyncio.Protocol:
        """The factory for `loop.create_server` and `loop.create_unix_server`."""
        return Connection(self)

    async def drain(self, grace_s: float) -> int:
        """Let requests under way finish, at most `grace_s`; then cut the rest. Returns how many were cut.

        Idle connections and endless streams end at once, the others with `Connection: close`. Close the
        listening sockets first. Cancelled, it leaves the remaining connections open and draining.
        """
        self.draining = True
        for connection in tuple(self._connections):
            connection.drain()
        if self._connections:
            loop = asyncio.get_running_loop()
            self._empty = loop.create_future()
            timer = loop.call_later(grace_s, self._stop_waiting)
            try:
                await self._empty
            finally:
                timer.cancel()
        left = tuple(self._connections)
        for connection in left:
            connection.abort()
        return len(left)

    def sweep(self, now: float) -> None:
        """End the connections whose time has run out at `now` (the loop's clock)."""
        self.now = now
        for connection in tuple(self._connections):
            connection.expire(now)

    def joined(self, connection: Connection) -> None:
        self._connections.add(connection)
        if self._timer is None:
            self.now = asyncio.get_running_loop().time()
            self._arm()

    def left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._connections:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stop_waiting()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._tick)

    def _tick(self) -> None:
        self._arm()
        self.sweep(asyncio.get_running_loop().time())

    def _stop_waiting(self) -> None:
        if self._empty is not None and not self._empty.done():
            self._empty.set_result(None)
