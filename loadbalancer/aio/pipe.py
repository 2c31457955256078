"""Two connections made one: bytes in both directions, unread. What tunnels and the queue's ports share.

- Who does not read, stops the reading of the other side: what waits is bounded by the transports' buffers.
- The end of one direction passes on, and the other goes on; a reset passes as a reset; what is cut is reset, so
  that nobody takes it for the end.
- It is cut when nothing has passed for long.

The ends are the protocols of their transports from `join` on; whoever had these before gives up what he holds.
"""

import asyncio
from time import monotonic

from loadbalancer.aio.client import reset
from loadbalancer.aio.outbox import Outbox

IDLE_S = 3600.0
"""A pipe through which nothing has passed for so long is cut: the hour that HAProxy's manual gives `timeout tunnel`.
nginx's minute (proxy_read_timeout) makes every application send pings, and Kafka's clients keep an idle connection for
nine (connections.max.idle.ms)."""
HALF_CLOSED_S = 60.0
"""The same, when one side has ended: Linux's tcp_fin_timeout. A replica that was killed looks like one that ended its
side, and its client may never say a word."""


class Pipe:
    """The two connections; it lives until both are closed. `near` is the client's end, `far` the replica's."""

    def __init__(self, outbox: Outbox, near: asyncio.Transport, far: asyncio.Transport) -> None:
        self.near = End(self, near)
        self.far = End(self, far)
        self.near.other, self.far.other = self.far, self.near
        self.moved = False  # since the last sweep
        self._outbox = outbox
        self._open = 2
        self._heard_at = monotonic()

    # --- what is made of it: what each kind does beside ------------------------------------------------------

    def count(self, end: "End", size_bytes: int) -> None:
        """So many bytes have come from `end`."""

    def finishing(self) -> None:
        """Both sides close, as soon as they have sent what waits."""

    def left(self, end: "End") -> None:
        """That side's connection is closed."""

    def over(self) -> None:
        """Both are."""

    # --- what the ends report --------------------------------------------------------------------------------

    def join(self) -> None:
        """Let the ends hear their transports from now on."""
        for end in (self.near, self.far):
            end.transport.set_protocol(end)

    def write(self, end: "End", data: bytes) -> None:
        """Send to that side."""
        self.moved = True
        self._outbox.write(end.transport, data)

    def half_closed(self, end: "End") -> bool:
        """One side will send no more. True if the other may go on; else both close, when they have sent what waits."""
        self.moved = True
        self._outbox.flush()
        other = end.other
        if not other.ended and other.transport.can_write_eof() and end.transport.can_write_eof():  # TLS can't
            if not other.transport.is_closing():
                other.transport.write_eof()
            return True
        other.ended = True
        self.finishing()
        other.transport.close()
        return False

    def closed(self, end: "End") -> None:
        """A connection is gone. That was no end that the other side may take for one, unless it had ended too."""
        self.left(end)
        if not (end.ended and end.other.ended):
            self.cut()
        self._open -= 1
        if not self._open:
            self.over()

    def cut(self) -> None:
        """Reset both sides."""
        self._outbox.flush()
        for end in (self.near, self.far):
            end.ended = True
            reset(end.transport)

    def finish(self) -> None:
        """End both sides, when they have sent what waits."""
        self._outbox.flush()
        for end in (self.near, self.far):
            end.ended = True
            end.transport.close()
        self.finishing()

    def idles(self, now: float) -> bool:
        """Whether nothing has passed for too long; to be asked about once a second."""
        if self.moved:
            self.moved = False
            self._heard_at = now
        half = self.near.ended or self.far.ended
        return now - self._heard_at > (HALF_CLOSED_S if half else IDLE_S)


class End(asyncio.Protocol):
    """What a side of a pipe sends, goes to the `other`; `ended`: it sends no more."""

    __slots__ = ("ended", "other", "pipe", "transport")

    other: "End"

    def __init__(self, pipe: Pipe, transport: asyncio.Transport) -> None:
        self.pipe = pipe
        self.transport = transport
        self.ended = False

    def data_received(self, data: bytes) -> None:
        self.pipe.count(self, len(data))
        self.pipe.write(self.other, data)

    def eof_received(self) -> bool:
        self.ended = True
        return self.pipe.half_closed(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pipe.closed(self)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()
