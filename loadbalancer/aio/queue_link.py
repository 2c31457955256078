"""Control's end of the link to the servers: Kafka's frames on a socket of its own (cluster-rules R9).

A server connects once, proves by SASL PLAIN that it is one of the cluster's, registers, and then asks many things at
once: a parked metadata poll, heartbeats, what its clients want. So answers go out as they are ready, by their
correlation ids, and not in the order of the requests as to a client. Whoever doesn't keep to the protocol is
disconnected; servers come back by themselves.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Protocol, cast

from loadbalancer import queue_codec
from loadbalancer import queue_words as q
from loadbalancer.logs import get_logger
from loadbalancer.queue_codec import Asked
from loadbalancer.queue_tail import Tail
from wire import frames, messages, versions
from wire.cluster_link import POLL_TIMEOUT_S, Offer, Position, Update, poll_answer, read_offer, read_poll
from wire.cluster_login import MECHANISM, authenticated_node
from wire.errors import ErrorCode as E
from wire.frames import MAX_FRAME_BEFORE_LOGIN, BufferPool, FrameReader, RequestHead
from wire.primitives import WireError

MAX_FRAME = 16 << 20  # a client's request for ten thousand topics takes one
BEHIND_BYTES = 64 << 20  # unread by a server: ten snapshots of 20 000 partitions
MAX_ASKED = 1000  # requests under way on one link

log = get_logger("control")


class Mind(Protocol):
    """Who decides (aio/queue_control.py)."""

    @property
    def tail(self) -> Tail: ...

    @property
    def takes_offers(self) -> bool: ...

    def send(self, event: q.Event) -> None: ...


class Link(asyncio.BufferedProtocol):
    """One server's connection. `node_id` is known after its login, `incarnation` after its registration."""

    def __init__(self, server: "LinkServer") -> None:
        self.node_id: int | None = None
        self.incarnation = ""
        self.heard_at = 0.0
        self.offer: Offer | None = None
        self._server = server
        self._frames = FrameReader(server.pool, MAX_FRAME_BEFORE_LOGIN)
        self._transport: asyncio.Transport | None = None
        self.asked: set[int] = set()
        self.polls: dict[int, tuple[Position, asyncio.TimerHandle]] = {}  # by correlation id

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's derive from nothing of asyncio's
        self._server.links.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._frames.close()
        for _, timer in self.polls.values():
            timer.cancel()
        self._server.lost(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._frames.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self._frames.received(nbytes)
        self.heard_at = asyncio.get_running_loop().time()
        try:
            while self._transport is not None and (frame := self._frames.next()) is not None:
                self._hear(frame)
        except WireError as fault:
            self._break_off(str(fault))

    def write(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > BEHIND_BYTES:
            self._break_off("it does not read")

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def tell(self, tail: Tail) -> None:
        """Answer the polls for which there are news."""
        for correlation_id, (since, timer) in list(self.polls.items()):
            if tail.has_news(since):
                timer.cancel()
                del self.polls[correlation_id]
                self.write(poll_answer(correlation_id, tail.since(since)))

    def _break_off(self, why: str) -> None:
        log.warning("a server's link is broken off", node_id=self.node_id, reason=why)
        self.abort()

    def _hear(self, frame: memoryview) -> None:
        head = frames.read_head(frame)
        if head.at is None:
            raise WireError(f"API {head.api_key} version {head.version} is not spoken here")
        if head.api_key in (versions.SASL_HANDSHAKE, versions.SASL_AUTHENTICATE):
            self._log_in(head, frame)
        elif self.node_id is None:
            raise WireError("no login")
        elif head.api_key == versions.METADATA_POLL:
            self._poll(head.correlation_id, read_poll(frame, head.at))
        elif head.api_key == versions.STATE_OFFER:
            self._offer(read_offer(frame, head.at))
        elif head.api_key in queue_codec.SERVED:
            self._ask(head, frame)
        else:
            raise WireError(f"API {head.api_key} is not for control")

    def _log_in(self, head: RequestHead, frame: memoryview) -> None:
        assert head.at is not None
        message = messages.decode(head.api_key, head.version, frame, head.at)
        asked = Asked(head.api_key, head.version, head.correlation_id, message)
        if head.api_key == versions.SASL_HANDSHAKE:
            known = message.mechanism == MECHANISM
            code = E.NONE if known else E.UNSUPPORTED_SASL_MECHANISM
            self.write(queue_codec.answer(asked, {"error_code": code, "mechanisms": [MECHANISM]}))
            return
        self.node_id = authenticated_node(message.auth_bytes, self._server.secret)
        if self.node_id is None:
            raise WireError("a wrong secret, or no server's name")
        self._frames.limit = MAX_FRAME
        self.write(queue_codec.answer(asked, {"error_code": E.NONE, "error_message": None, "auth_bytes": b""}))

    def _ask(self, head: RequestHead, frame: memoryview) -> None:
        if len(self.asked) >= MAX_ASKED:
            raise WireError(f"{MAX_ASKED} requests are under way")
        request = next(self._server.numbers)
        event, message = queue_codec.event_of(request, head, frame)
        asked = Asked(head.api_key, head.version, head.correlation_id, message)
        if getattr(event, "node_id", self.node_id) != self.node_id:
            raise WireError(f"node {self.node_id} speaks for another")
        if isinstance(event, q.Registered):
            if message.cluster_id != self._server.cluster_id:
                self.write(queue_codec.refusal(asked, E.INCONSISTENT_CLUSTER_ID, "another cluster's server"))
                return
            self.incarnation = event.incarnation
        self.asked.add(request)
        self._server.asked[request] = (self, asked)
        self._server.mind.send(event)

    def _offer(self, offer: Offer) -> None:
        """Kept as long as the link is there. Who isn't needed is sent off, to register again."""
        self.offer = offer
        if not self._server.mind.takes_offers:
            self.abort()

    def _poll(self, correlation_id: int, since: Position) -> None:
        assert self.node_id is not None
        if correlation_id in self.polls:
            raise WireError("a poll that was not answered yet")
        mind = self._server.mind
        mind.send(q.Applied(self.node_id, self.incarnation, since.version))
        timer = asyncio.get_running_loop().call_later(POLL_TIMEOUT_S, partial(self._end_poll, correlation_id))
        self.polls[correlation_id] = (since, timer)
        self.tell(mind.tail)

    def _end_poll(self, correlation_id: int) -> None:
        """Nothing new for so long: it is told so, and asks again."""
        since, _ = self.polls.pop(correlation_id)
        self.write(poll_answer(correlation_id, Update(since)))


class LinkServer:
    """All links, and who waits for which answer."""

    def __init__(self, mind: Mind, secret: str, cluster_id: str) -> None:
        self.mind = mind
        self.secret = secret
        self.cluster_id = cluster_id
        self.pool = BufferPool()
        self.links: set[Link] = set()
        self.numbers = count(1)
        self.asked: dict[int, tuple[Link, Asked]] = {}
        self._servers: list[asyncio.Server] = []

    async def listen_unix(self, path: Path) -> None:
        """Raises OSError."""
        path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_unix_server(lambda: Link(self), str(path)))
        path.chmod(0o600)

    async def listen_tcp(self, host: str, port: int) -> int:
        """The port. Raises OSError."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Link(self), host, port, reuse_address=True)
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """On everybody; they dial again."""
        for link in list(self.links):
            link.abort()

    def offers(self) -> dict[int, Offer]:
        """The copies that servers hold out, by node id."""
        return {link.node_id: link.offer for link in self.links if link.node_id is not None and link.offer is not None}

    def heard_at(self, node_id: int) -> float | None:
        """When bytes last came from that server, by the loop's clock; None: there is no link."""
        return max((link.heard_at for link in self.links if link.node_id == node_id), default=None)

    def push(self) -> None:
        """To all who have polled: there is more."""
        tail = self.mind.tail
        for link in list(self.links):
            link.tell(tail)

    def reply(self, effect: q.Reply | q.Refuse) -> None:
        """To who asked, if it is still there."""
        if isinstance(effect, q.Reply):
            self._answer(effect.request, lambda asked: queue_codec.answer(asked, effect.values))
        else:
            self._answer(effect.request, lambda asked: queue_codec.refusal(asked, effect.code, effect.message))

    def _answer(self, request: int, frame_of: Callable[[Asked], bytes]) -> None:
        found = self.asked.pop(request, None)
        if found is not None:
            link, asked = found
            link.asked.discard(request)
            link.write(frame_of(asked))

    def lost(self, link: Link) -> None:
        self.links.discard(link)
        for request in link.asked:
            self.asked.pop(request, None)
        if link.asked:
            self.mind.send(q.Gone(frozenset(link.asked)))
