"""The front door of one worker: what all its client connections share.

`serve` takes each request: to the replicas (replicas.py), to control, or answered here. All of it runs on one
loop in one thread: state has one owner, and nothing here waits. Time-outs are kept by one coarse timer (`tick`),
not by a timer for each request.
"""

import itertools
import os
import time
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from loadbalancer.aio.admin import AdminExchange
from loadbalancer.aio.client import Client
from loadbalancer.aio.exchange import Exchange
from loadbalancer.aio.hedge import HedgedExchange, Hedger
from loadbalancer.aio.limits import Limits
from loadbalancer.aio.outbox import Outbox
from loadbalancer.aio.queue_exchange import QueueExchange
from loadbalancer.aio.replicas import Replicas
from loadbalancer.aio.tunnel import Tunnel, UpgradeExchange
from loadbalancer.counters import ADMIN, NOBODY, PROXY, QUEUE, Counters
from loadbalancer.door_settings import DoorSettings
from loadbalancer.forwarded import Trust
from loadbalancer.forwarding import CONTINUE, failure, own_answer, request_to_control, request_to_replica, settle_id
from loadbalancer.guard import FOREIGN_PAGE, Caller, is_foreign_page
from loadbalancer.hashes import key_of
from loadbalancer.hedging import HedgeDelay
from loadbalancer.known_head import DRAWN, KnownHead, known_head
from loadbalancer.logs import get_logger
from loadbalancer.rate_limit import limiter, retry_after_s
from loadbalancer.routing import (
    ADMIN_STARTS,
    CONSUMER,
    LIVE_PATH,
    QUEUE_STARTS,
    READY_PATH,
    cookie_value,
    is_admin,
    is_queue_admin,
    is_queue_call,
    key_source,
    lasting_key,
    path_of,
    query_value,
    random_key,
)
from loadbalancer.stickiness import new_cookie, sticky_name
from loadbalancer.upgrades import offered
from wire.bodies import EMPTY, Body, ChunkedBody, request_body
from wire.exchange import http_date
from wire.http1 import RequestHead

if TYPE_CHECKING:
    from loadbalancer.aio.access_writer import AccessLog
    from loadbalancer.aio.tls import Gate

READING = (b"GET", b"HEAD")
BY_REQUEST_ID = "header:x-request-id"
TICK_S = 0.25
"""How exact time-outs are."""
ADMIN_BODY_BYTES = 64 * 1024
"""Control's own limit (requests.MAX_BODY_BYTES). It refuses a larger body before all of it is there, and that answer
may be lost to the reset that follows."""
CLIENT_TICKS = 4
"""Clients are looked at on each fourth tick: 8 192 of them take some milliseconds."""


class Door:
    """`on_empty` is called when a draining door has lost its last client. `wall` says the Unix time in seconds."""

    def __init__(
        self, settings: DoorSettings, slot: int, limits: Limits, wall: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self.slot = slot
        self.limits = limits
        self.counters = Counters()
        self.outbox = Outbox()
        self.own_codes = self.counters.codes(PROXY, NOBODY)
        self.hides_404 = settings.unknown_path == "course"
        self.trust = Trust(settings.trusted_proxies)
        self.date_line = b"Date: %b\r\n" % http_date(wall())  # for answers without one; at most TICK_S old
        self.draining = False
        self.access: AccessLog | None = None
        self.on_empty: Callable[[], None] = lambda: None
        self._log = get_logger(f"door-{slot}")
        self.replicas = Replicas(settings, limits, self.counters, self.outbox, self._log)
        self.control = self.replicas.socket_pool(settings.control_socket)
        self.loop = self.replicas.socket_pool(settings.loop_socket)
        self.tunnels: set[Tunnel] = set()
        self._wall = wall
        self._clients: set[Client | Gate] = set()
        self._key_of = key_source(settings.route_by)
        self._cookie_name = sticky_name(settings.route_by)
        self._by_id = settings.route_by.lower() == BY_REQUEST_ID
        self._lasts = lasting_key(settings.route_by)
        self._has_queue = settings.queue_http
        self._ours = ADMIN_STARTS + QUEUE_STARTS if settings.queue_http else ADMIN_STARTS
        self._latency = self.counters.latency[PROXY]
        self._hedger = self._hedging()
        self._rate_wait_s = limiter(settings.rate_limit, settings.rate_limit_by, settings.route_by, settings.workers)
        self._remembers = self._rate_wait_s is None or not (self._by_id and settings.rate_limit_by == "key")
        self._ids = itertools.count()
        self._id_start = os.urandom(5).hex().encode() + b"-"
        self._ticks = 0
        self._drain_until = 0.0

    def _hedging(self) -> Hedger | None:
        after = self.settings.hedge_after
        return Hedger(HedgeDelay(after, monotonic()), self.replicas.spare, self.counters) if after else None

    # --- requests --------------------------------------------------------------------------------------------

    def serve(self, client: Client, head: RequestHead, raw: bytes = b"") -> None:
        """A request has come; its body, if any, is still in the client's buffer. `raw` is the head as it came, if it
        may be worth remembering."""
        fresh = self._id_start + b"%x" % next(self._ids)
        request_id, given = settle_id(head, fresh)
        if head.target.startswith(self._ours) and self._serve_ours(client, head, request_id, given):
            return
        if client.proxy:
            self._serve_proxy(client, head, request_id, given, raw)
        else:
            self._refuse(client, head, request_id, 404, "only the admin API is here")

    def _serve_ours(self, client: Client, head: RequestHead, request_id: bytes, given: bool) -> bool:
        """Whether the path is control's or the queue's. Where these have a port of their own, /rep and the like are
        the replicas' on the others; the queue's aren't: there a GET may be repeated that must not be."""
        target = head.target
        queue_call = self._has_queue and is_queue_call(target)
        queue_admin = self._has_queue and is_queue_admin(target)
        if not client.admin:
            if queue_call or queue_admin:
                self._refuse(client, head, request_id, 404, "the queue's paths are at the admin port")
            return queue_call or queue_admin
        if queue_call:
            self._serve_queue(client, head, request_id, given)
        elif queue_admin or is_admin(target):
            self._serve_admin(client, head, request_id)
        else:
            return False
        return True

    def _refuse(self, client: Client, head: RequestHead, request_id: bytes, status: int, reason: str) -> None:
        close = self._ends(head)
        self._answer(client, head, request_id, self.failure(status, reason, request_id, close), close)

    def serve_known(self, client: Client, known: KnownHead, request_id: bytes, data: bytes) -> None:
        """The request that is `data` has come, whole, with a head that `known` has recognised."""
        key = known.key
        if key == DRAWN:
            key = key_of(request_id) if self._by_id and request_id else random_key()
        if not request_id:
            request_id = self._id_start + b"%x" % next(self._ids)
        if self._rate_wait_s is not None and self._refused_for_now(client, known.head, request_id, whole=True):
            return
        kept = known.to_replica(request_id, data)
        exchange = self._exchange(client, known.head, request_id, kept, EMPTY)
        exchange.key = key
        client.exchange = exchange
        self.replicas.first_try(exchange)

    def _serve_proxy(self, client: Client, head: RequestHead, request_id: bytes, given: bool, raw: bytes) -> None:
        if self._rate_wait_s is not None and self._refused_for_now(client, head, request_id, whole=False):
            return
        kept = request_to_replica(head, request_id, given, b"replica")
        exchange = self._exchange(client, head, request_id, kept, request_body(head))
        exchange.key = self._key_of(head, client.address)
        if self._cookie_name:
            self._stick(client, exchange)
        if raw and exchange.cookie is None and self._remembers:
            key = exchange.key if self._lasts(head) else DRAWN
            client.remember(known_head(head, raw, kept, client.address, key))
        self._take_body(client, exchange, self.settings.body_limit_bytes)
        if client.exchange is exchange:
            self.replicas.first_try(exchange)

    def _serve_queue(self, client: Client, head: RequestHead, request_id: bytes, given: bool) -> None:
        """A call of the queue's HTTP interface, to the replica that its consumer's id hashes to, else to any. Each
        changes something or reads somebody's messages, so none is a foreign page's, as for control's (guard.py)."""
        if is_foreign_page(_caller(head)):
            self._refuse(client, head, request_id, FOREIGN_PAGE.status, FOREIGN_PAGE.message)
            return
        if self._rate_wait_s is not None and self._refused_for_now(client, head, request_id, whole=False):
            return
        kept = request_to_replica(head, request_id, given, b"replica")
        latency = self.counters.latency[QUEUE]
        exchange = QueueExchange(self, client, head, request_id, kept, latency, request_body(head), monotonic())
        self._take_body(client, exchange, self.settings.body_limit_bytes)
        if client.exchange is exchange:
            consumer = query_value(head, CONSUMER)
            exchange.begin(key_of(consumer) if consumer else random_key(), keyed=bool(consumer))

    def _exchange(self, client: Client, head: RequestHead, request_id: bytes, kept: bytes, body: Body) -> Exchange:
        now = monotonic()
        if head.upgrade is not None and (offer := offered(head)):
            return UpgradeExchange(self, client, head, request_id, kept, self._latency, body, now, offer)
        if self._hedger is not None:
            return HedgedExchange(self, client, head, request_id, kept, self._latency, body, now, self._hedger)
        return Exchange(self, client, head, request_id, kept, self._latency, body, now)

    def _stick(self, client: Client, exchange: Exchange) -> None:
        """A client without the cookie that routes is given one."""
        if cookie_value(exchange.head, self._cookie_name) is None:
            exchange.cookie = new_cookie(self._cookie_name, client.secure)
            exchange.key = exchange.cookie.key
            exchange.by_the_book = False

    def _refused_for_now(self, client: Client, head: RequestHead, request_id: bytes, whole: bool) -> bool:
        """Whether the rate limit denies the request; then it is answered. `whole`: its body is not to come any more."""
        assert self._rate_wait_s is not None
        wait_s = self._rate_wait_s(head, client.address, monotonic())
        if not wait_s:
            return False
        self.counters.rate_limited += 1
        self.own_codes[4] += 1
        close = self._ends(head, whole)
        answer = self.failure(429, "too many requests", request_id, close, retry_after_s(wait_s))
        client.write_own(head.method, answer)
        if self.access is not None:
            self.access.answered(client, head, 429, request_id)
        client.answered(not close, monotonic(), unread=not whole and has_body(head))
        return True

    def _take_body(self, client: Client, exchange: Exchange, limit_bytes: int) -> None:
        client.exchange = exchange
        if not exchange.uploading:
            return
        if limit_bytes and exchange.head.chunked:
            exchange.body = ChunkedBody(limit=limit_bytes)
        if client.buffer:
            client.feed_body(exchange)
        if exchange.head.expect_continue and exchange.uploading and client.exchange is exchange:
            client.write(CONTINUE)

    def _serve_admin(self, client: Client, head: RequestHead, request_id: bytes) -> None:
        path = path_of(head.target)
        if path in (LIVE_PATH, READY_PATH):
            close = self._ends(head)
            answer = self._status(path, head.method, request_id, close)
            self._answer(client, head, request_id, answer, close)
        elif head.content_length is not None and head.content_length > ADMIN_BODY_BYTES:
            client.refuse(413, f"the body is larger than {ADMIN_BODY_BYTES} bytes", head, request_id)
        else:
            kept = request_to_control(head, request_id, client.address, client.peer)
            latency = self.counters.latency[ADMIN]
            exchange = AdminExchange(self, client, head, request_id, kept, latency, request_body(head), monotonic())
            self._take_body(client, exchange, ADMIN_BODY_BYTES)
            if client.exchange is exchange:
                exchange.begin()

    @property
    def ready(self) -> bool:
        """Whether new connections should come here: there is somebody to answer them, and this worker
        stays."""
        return self.replicas.eligible and not self.draining

    def _status(self, path: bytes, method: bytes, request_id: bytes, close: bool) -> bytes:
        if method not in READING:
            return self.failure(405, "method not allowed", request_id, close, lines=b"Allow: GET, HEAD\r\n")
        if path == READY_PATH and not self.ready:
            return self.failure(503, "not ready", request_id, close)
        body = b'{"message": "%b", "status": "successful"}' % path.rpartition(b"/")[2]
        return own_answer(200, body, request_id, close, self.date_line)

    def failure(
        self, status: int, message: str, request_id: bytes, close: bool, retry_after_s: int = 1, lines: bytes = b""
    ) -> bytes:
        """`forwarding.failure`, with Date."""
        return failure(status, message, request_id, close, retry_after_s, self.date_line + lines)

    def _ends(self, head: RequestHead, whole: bool = False) -> bool:
        """Whether the connection ends with an answer that we give at once: a body that may follow is not read."""
        return self.draining or not head.keep_alive or not head.minor or (has_body(head) and not whole)

    def _answer(self, client: Client, head: RequestHead, request_id: bytes, answer: bytes, close: bool) -> None:
        client.write_own(head.method, answer)
        if self.access is not None:
            self.access.answered(client, head, int(answer[9:12]), request_id)
        client.answered(not close, monotonic(), unread=has_body(head))

    # --- clients ---------------------------------------------------------------------------------------------

    def admit(self, client: "Client | Gate") -> bool:
        """Take in a new connection; False if there are too many: it is to be refused, and counts until it is
        gone."""
        self._clients.add(client)
        self.counters.client_connections += 1
        if self.counters.client_connections > self.limits.clients:
            self.counters.clients_refused += 1
            return False
        self.counters.clients_accepted += 1
        return True

    @property
    def crowded(self) -> bool:
        """Whether so many refused connections are on their way out that no more can be waited for."""
        return self.counters.client_connections > self.limits.clients + self.limits.burst

    def hand_over(self, gate: "Gate", client: Client) -> None:
        """The gate's handshake is done: its connection is the client's."""
        self._clients.discard(gate)
        self._clients.add(client)

    def forget(self, client: "Client | Gate") -> None:
        self._clients.discard(client)
        self.counters.client_connections -= 1
        if self.draining and not self._clients:
            self.on_empty()

    def drain(self, now: float) -> None:
        """Answer what comes with `Connection: close` from now on; `on_empty` is called when no client is
        left. Idempotent."""
        if self.draining:
            return
        self.draining = True
        self._drain_until = now + self.settings.drain_timeout_s
        if not self._clients:
            self.on_empty()

    def _cut_all(self) -> None:
        for client in list(self._clients):
            client.drop()

    def log_cut(self, request_id: bytes, reason: str) -> None:
        self._log.warning("answer cut", request_id=request_id.decode("latin-1"), reason=reason)

    # --- time ------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """To be called each TICK_S: enforces time-outs."""
        self._ticks += 1
        self.date_line = b"Date: %b\r\n" % http_date(self._wall())
        self.replicas.tick(now)
        if self._hedger is not None:
            self._hedger.tick(now)
        if self.access is not None:
            self.access.tick()
        if self._ticks % CLIENT_TICKS == 0:
            for client in list(self._clients):
                client.sweep(now)
            for tunnel in list(self.tunnels):
                tunnel.sweep(now)
        if self.draining and now > self._drain_until:
            self._cut_all()

    async def close(self) -> None:
        """End everything at once."""
        self._cut_all()
        if self._hedger is not None:
            self._hedger.close()
        await self.replicas.close()


def has_body(head: RequestHead) -> bool:
    return bool(head.content_length) or head.chunked


def _caller(head: RequestHead) -> Caller:
    """As far as it says whether it is a page."""
    return Caller(_text(head.get(b"host")), _text(head.get(b"origin")), _text(head.get(b"sec-fetch-site")))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
