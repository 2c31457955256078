"""A connection that has changed its protocol: bytes in both directions, unread (RFC 9110, 7.8).

`UpgradeExchange` is the request that asks for it. While it waits, what the client sends stays in its buffer, within
the pipeline's limit. A 101 that is believed (upgrades.py) makes a `Tunnel` of the two connections; any other
answer is an ordinary one, behind which both of them end. So of a connection that has asked for another protocol
no byte is ever read as HTTP again, and neither a client nor a replica that takes a refusal for a yes, or a yes for a
refusal, can make one (RFC 9931 tells what they could do). That costs a refused client a new connection.

The tunnel is a `Pipe` (pipe.py), whose ends take the place of `Client` and `Upstream` as the protocols of their
transports: requests never pay for tunnels. It is in flight at its replica until it ends, so policies see it and a
drain waits for it. It is not one of its pool's `connections`, whose bound is meant for requests that come and go: some
hundred chats would shut out all of them. Tunnels are bounded by the client connections.

It ends when both sides have ended, when one is reset, when its replica leaves the fleet or has been draining for the
drain time-out, when the worker drains and that time-out is over, and when nothing has passed for long.
"""

from time import monotonic
from typing import TYPE_CHECKING

from loadbalancer.aio.client import Client
from loadbalancer.aio.exchange import Exchange
from loadbalancer.aio.pipe import End, Pipe
from loadbalancer.aio.upstreams import Pool, Upstream
from loadbalancer.counters import Latency
from loadbalancer.forwarding import answer_for_client, lead_end
from loadbalancer.upgrades import disbelief, protocols, upgrade_lines
from wire.bodies import Body
from wire.http1 import RequestHead, ResponseHead

if TYPE_CHECKING:
    from loadbalancer.aio.door import Door

SWITCHING = 101


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


class Tunnel(Pipe):
    """The two connections; it lives until both are closed."""

    def __init__(self, door: "Door", client: Client, upstream: Upstream, pool: Pool) -> None:
        super().__init__(door.outbox, client.transport, upstream.transport)
        self._door = door
        self._client = client
        self._pool = pool
        self._drain_until = 0.0
        door.tunnels.add(self)
        door.counters.tunnels += 1
        pool.switched(upstream, self)

    def open(self, from_replica: bytes, blocked: bool) -> None:
        """Begin with what is here already. `blocked`: the replica does not read now, so its client is not read."""
        client, near, far = self._client, self.near, self.far
        self.join()
        from_client, client.buffer = client.buffer, b""
        if from_client:
            self.write(far, from_client)
        if from_replica:
            far.data_received(from_replica)
        if client.stalled:
            near.pause_writing()
        if not blocked:
            client.resume_reading()
        if client.eof and not near.eof_received():
            near.transport.close()

    def count(self, end: End, size_bytes: int) -> None:
        if end is self.near:
            self._door.counters.bytes_in += size_bytes
        else:
            self._door.counters.bytes_out += size_bytes

    def finishing(self) -> None:
        self._client.quiet_since = monotonic()

    def left(self, end: End) -> None:
        if end is self.near:
            self._door.forget(self._client)
        else:
            self._pool.ended(self)

    def over(self) -> None:
        self._door.tunnels.discard(self)
        self._door.counters.tunnels -= 1

    def sweep(self, now: float) -> None:
        """Enforce the tunnel's time-outs; called about once a second."""
        if self.idles(now) or self._is_drained(now):
            self.cut()

    def _is_drained(self, now: float) -> bool:
        """Whether its replica has been draining for the drain time-out."""
        if not self._door.replicas.drains(self._pool):
            self._drain_until = 0.0
            return False
        self._drain_until = self._drain_until or now + self._door.settings.drain_timeout_s
        return now > self._drain_until
