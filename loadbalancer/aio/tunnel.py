"""A connection that has changed its protocol: bytes in both directions, unread (RFC 9110, 7.8).

`UpgradeExchange` is the request that asks for it. While it waits, what the client sends stays in its buffer, within
the pipeline's limit. A 101 that is believed (upgrades.py) makes a `Tunnel` of the two connections; any other
answer is an ordinary one, behind which both of them end. So of a connection that has asked for another protocol
no byte is ever read as HTTP again, and neither a client nor a replica that takes a refusal for a yes, or a yes for a
refusal, can make one (RFC 9931 tells what they could do). That costs a refused client a new connection.

The tunnel's ends take the place of `Client` and `Upstream` as the protocols of their transports: requests never pay
for tunnels. What holds:
- who does not read, stops the reading of the other side: what waits is bounded by the transports' buffers;
- the end of one direction passes on, and the other goes on; a reset passes as a reset; what is cut is reset, so
  that nobody takes it for the end;
- a tunnel is in flight at its replica until it ends, so policies see it and a drain waits for it. It is not one of
  its pool's `connections`, whose bound is meant for requests that come and go: some hundred chats would shut out
  all of them. Tunnels are bounded by the client connections.

It ends when both sides have ended, when one is reset, when its replica leaves the fleet or has been draining for the
drain time-out, when the worker drains and that time-out is over, and when nothing has passed for long.
"""

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from loadbalancer.aio.client import Client, reset
from loadbalancer.aio.exchange import Exchange
from loadbalancer.aio.upstreams import Pool, Upstream
from loadbalancer.counters import Latency
from loadbalancer.forwarding import answer_for_client, lead_end
from loadbalancer.upgrades import disbelief, protocols, upgrade_lines
from wire.bodies import Body
from wire.http1 import RequestHead, ResponseHead

if TYPE_CHECKING:
    from loadbalancer.aio.door import Door

SWITCHING = 101
TUNNEL_IDLE_S = 3600.0
"""A tunnel through which nothing has passed for so long is cut: the hour that HAProxy's manual gives `timeout tunnel`.
nginx's minute (proxy_read_timeout) makes every application send pings."""
HALF_CLOSED_S = 60.0
"""The same, when one side has ended: Linux's tcp_fin_timeout. A replica that was killed looks like one that ended its
side, and its client may never say a word."""


class UpgradeExchange(Exchange):
    """A request with the offer of other protocols; `kept` is its head without it."""

    def __init__(
        self,
        door: "Door",
        client: Client,
        head: RequestHead,
        request_id: bytes,
        kept: bytes,
        latency: Latency,
        body: Body,
        now: float,
        offer: tuple[bytes, ...],
    ) -> None:
        head.keep_alive = False
        kept = kept[:-2] + upgrade_lines(offer) + b"\r\n"
        super().__init__(door, client, head, request_id, kept, latency, body, now)
        self.blocked = False  # the replica does not read as fast as the request's body came
        self.by_the_book = False
        self._offer = offer

    def move(self, pool: Pool) -> None:
        self.blocked = False
        super().move(pool)

    def pause_upload(self) -> None:
        self.blocked = True
        super().pause_upload()

    def resume_upload(self) -> None:
        self.blocked = False
        super().resume_upload()

    def _switched(self, head: ResponseHead, rest: bytes) -> bool:
        if head.status != SWITCHING:
            return False
        self._switch(head, rest)
        return True

    def _finish(self, reusable: bool) -> None:
        super()._finish(False)

    def _switch(self, head: ResponseHead, rest: bytes) -> None:
        fault = "101 before it had the request's body" if self.uploading else disbelief(self._offer, self.head, head)
        if fault:
            self._broken(fault)
            return
        upstream, pool = self.upstream, self.pool
        assert upstream is not None
        assert pool is not None
        assert head.upgrade is not None
        self.status = SWITCHING
        self.client.write(self._lead(head, protocols(head.upgrade)))
        self._count(SWITCHING // 100)
        if pool.unsettled:
            self.door.replicas.settle(pool)
        self.upstream = self.pool = None
        self._forget_kept()
        Tunnel(self.door, self.client, upstream, pool).open(rest, self.blocked)

    def _lead(self, head: ResponseHead, chosen: tuple[bytes, ...]) -> bytes:
        answer = answer_for_client(head)
        lead = answer.lead + lead_end(answer, self.request_id, upgrade_lines(chosen), self.door.date_line)
        return lead if self.cookie is None else self.cookie.added(lead, head)


class Tunnel:
    """The two connections; it lives until both are closed."""

    def __init__(self, door: "Door", client: Client, upstream: Upstream, pool: Pool) -> None:
        self.door = door
        self.moved = False  # since the last sweep
        self._client = client
        self._pool = pool
        self._near = _ClientEnd(self, client.transport)
        self._far = _ReplicaEnd(self, upstream.transport)
        self._near.other, self._far.other = self._far, self._near
        self._open = 2
        self._heard_at = monotonic()
        self._drain_until = 0.0
        door.tunnels.add(self)
        door.counters.tunnels += 1
        pool.switched(upstream, self)

    def open(self, from_replica: bytes, blocked: bool) -> None:
        """Begin with what is here already. `blocked`: the replica does not read now, so its client is not read."""
        client, near, far = self._client, self._near, self._far
        near.transport.set_protocol(near)
        far.transport.set_protocol(far)
        from_client, client.buffer = client.buffer, b""
        if from_client:
            near.pass_on(from_client)
        if from_replica:
            far.data_received(from_replica)
        if client.stalled:
            near.pause_writing()
        if not blocked:
            client.resume_reading()
        if client.eof and not near.eof_received():
            near.transport.close()

    def half_closed(self, end: "_End") -> bool:
        """One side will send no more. True if the other may go on; else both close, when they have sent what waits."""
        self.moved = True
        self.door.outbox.flush()
        other = end.other
        if not other.ended and other.transport.can_write_eof() and end.transport.can_write_eof():  # TLS can't
            if not other.transport.is_closing():
                other.transport.write_eof()
            return True
        other.ended = True
        self._client.quiet_since = monotonic()
        other.transport.close()
        return False

    def closed(self, end: "_End") -> None:
        """A connection is gone. That was no end that the other side may take for one, unless it had ended too."""
        if not (end.ended and end.other.ended):
            self.cut()
        self._open -= 1
        if not self._open:
            self.door.tunnels.discard(self)
            self.door.counters.tunnels -= 1

    def client_gone(self) -> None:
        self.door.forget(self._client)

    def replica_gone(self) -> None:
        self._pool.ended(self)

    def cut(self) -> None:
        """Reset both sides."""
        self.door.outbox.flush()
        for end in (self._near, self._far):
            end.ended = True
            reset(end.transport)

    def sweep(self, now: float) -> None:
        """Enforce the tunnel's time-outs; called about once a second."""
        if self.moved:
            self.moved = False
            self._heard_at = now
        half = self._near.ended or self._far.ended
        if now - self._heard_at > (HALF_CLOSED_S if half else TUNNEL_IDLE_S) or self._is_drained(now):
            self.cut()

    def _is_drained(self, now: float) -> bool:
        """Whether its replica has been draining for the drain time-out."""
        if not self.door.replicas.drains(self._pool):
            self._drain_until = 0.0
            return False
        self._drain_until = self._drain_until or now + self.door.settings.drain_timeout_s
        return now > self._drain_until


class _End(asyncio.Protocol):
    """What a side of a tunnel sends, goes to the `other`; `ended`: it sends no more."""

    __slots__ = ("ended", "other", "transport", "tunnel")

    other: "_End"

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport) -> None:
        self.tunnel = tunnel
        self.transport = transport
        self.ended = False

    def pass_on(self, data: bytes) -> None:
        self.tunnel.moved = True
        self.tunnel.door.outbox.write(self.other.transport, data)

    def eof_received(self) -> bool:
        self.ended = True
        return self.tunnel.half_closed(self)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()


class _ClientEnd(_End):
    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        self.tunnel.door.counters.bytes_in += len(data)
        self.pass_on(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.tunnel.client_gone()
        self.tunnel.closed(self)


class _ReplicaEnd(_End):
    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        self.tunnel.door.counters.bytes_out += len(data)
        self.pass_on(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.tunnel.replica_gone()
        self.tunnel.closed(self)
