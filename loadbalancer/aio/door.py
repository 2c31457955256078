"""The front door of one worker: what all its client connections share.

`serve` takes each request: to the replicas (replicas.py), to control, or answered here. All of it runs on one
loop in one thread: state has one owner, and nothing here waits. Time-outs are kept by one coarse timer (`tick`),
not by a timer for each request.
"""

import itertools
import os
from collections.abc import Callable
from time import monotonic

from loadbalancer.aio.admin import AdminExchange
from loadbalancer.aio.client import Client
from loadbalancer.aio.exchange import Exchange
from loadbalancer.aio.hedge import Hedger
from loadbalancer.aio.limits import Limits
from loadbalancer.aio.outbox import Outbox
from loadbalancer.aio.replicas import Replicas
from loadbalancer.counters import ADMIN, NOBODY, PROXY, Counters
from loadbalancer.door_settings import DoorSettings
from loadbalancer.forwarding import CONTINUE, failure, own_answer, request_to_control, request_to_replica, settle_id
from loadbalancer.hedging import HedgeDelay
from loadbalancer.logs import get_logger
from loadbalancer.rate_limit import limiter, retry_after_s
from loadbalancer.routing import ADMIN_STARTS, LIVE_PATH, READY_PATH, is_admin, key_source, path_of
from wire.http1 import RequestHead

READING = (b"GET", b"HEAD")
TICK_S = 0.25
"""How exact time-outs are."""
ADMIN_BODY_BYTES = 64 * 1024
"""Control's own limit (requests.MAX_BODY_BYTES). It refuses a larger body before all of it is there, and that answer
may be lost to the reset that follows."""
CLIENT_TICKS = 4
"""Clients are looked at on each fourth tick: 8 192 of them take some milliseconds."""


class Door:
    """`on_empty` is called when a draining door has lost its last client."""

    def __init__(self, settings: DoorSettings, slot: int, limits: Limits) -> None:
        self.settings = settings
        self.slot = slot
        self.limits = limits
        self.counters = Counters()
        self.outbox = Outbox()
        self.own_codes = self.counters.codes(PROXY, NOBODY)
        self.hides_404 = settings.unknown_path == "course"
        self.draining = False
        self.on_empty: Callable[[], None] = lambda: None
        self._log = get_logger(f"door-{slot}")
        self.replicas = Replicas(settings, limits, self.counters, self.outbox, self._log)
        self.control = self.replicas.socket_pool(settings.control_socket)
        self.loop = self.replicas.socket_pool(settings.loop_socket)
        self._clients: set[Client] = set()
        self._key_of = key_source(settings.route_by)
        self._hedger = self._hedging()
        self._new_exchange: Callable[..., Exchange] = Exchange if self._hedger is None else self._hedger.exchange
        self._rate_wait_s = limiter(settings.rate_limit, settings.rate_limit_by, settings.route_by, settings.workers)
        self._ids = itertools.count()
        self._id_start = os.urandom(5).hex().encode() + b"-"
        self._ticks = 0
        self._drain_until = 0.0

    def _hedging(self) -> Hedger | None:
        after = self.settings.hedge_after
        return Hedger(HedgeDelay(after, monotonic()), self.replicas.spare, self.counters) if after else None

    # --- requests --------------------------------------------------------------------------------------------

    def serve(self, client: Client, head: RequestHead) -> None:
        """A request has come; its body, if any, is still in the client's buffer."""
        if head.upgrade is not None and head.upgrade != b"h2c":
            client.refuse(501, "Upgrade is not spoken here")
            return
        fresh = self._id_start + b"%x" % next(self._ids)
        request_id, given = settle_id(head, fresh)
        if client.admin and head.target.startswith(ADMIN_STARTS) and is_admin(head.target):
            self._serve_admin(client, head, request_id)
        elif client.proxy:
            self._serve_proxy(client, head, request_id, given)
        else:
            close = self._ends(head)
            self._answer(client, head, failure(404, "only the admin API is here", request_id, close), close)

    def _serve_proxy(self, client: Client, head: RequestHead, request_id: bytes, given: bool) -> None:
        if self._rate_wait_s is not None:
            wait_s = self._rate_wait_s(head, client.address, monotonic())
            if wait_s:
                self._refuse_for_now(client, head, request_id, wait_s)
                return
        kept = request_to_replica(head, request_id, given, b"replica")
        exchange = self._new_exchange(self, client, head, request_id, kept, self.counters.latency[PROXY])
        exchange.key = self._key_of(head, client.address)
        self._take_body(client, exchange)
        if client.exchange is exchange:
            self.replicas.first_try(exchange)

    def _refuse_for_now(self, client: Client, head: RequestHead, request_id: bytes, wait_s: float) -> None:
        self.counters.rate_limited += 1
        self.own_codes[4] += 1
        close = self._ends(head)
        answer = failure(429, "too many requests", request_id, close, retry_after_s(wait_s))
        self._answer(client, head, answer, close)

    def _take_body(self, client: Client, exchange: Exchange) -> None:
        client.exchange = exchange
        if not exchange.uploading:
            return
        if client.buffer:
            client.feed_body(exchange)
        if exchange.head.expect_continue and exchange.uploading and client.exchange is exchange:
            client.write(CONTINUE)

    def _serve_admin(self, client: Client, head: RequestHead, request_id: bytes) -> None:
        path = path_of(head.target)
        if path in (LIVE_PATH, READY_PATH):
            close = self._ends(head)
            self._answer(client, head, self._status(path, head.method, request_id, close), close)
        elif head.content_length is not None and head.content_length > ADMIN_BODY_BYTES:
            client.refuse(413, f"a body may have at most {ADMIN_BODY_BYTES} bytes here")
        else:
            kept = request_to_control(head, request_id, client.address)
            exchange = AdminExchange(self, client, head, request_id, kept, self.counters.latency[ADMIN])
            self._take_body(client, exchange)
            if client.exchange is exchange:
                exchange.begin()

    @property
    def ready(self) -> bool:
        """Whether new connections should come here: there is somebody to answer them, and this worker
        stays."""
        return self.replicas.eligible and not self.draining

    def _status(self, path: bytes, method: bytes, request_id: bytes, close: bool) -> bytes:
        if method not in READING:
            return failure(405, "method not allowed", request_id, close, lines=b"Allow: GET, HEAD\r\n")
        if path == READY_PATH and not self.ready:
            return failure(503, "not ready", request_id, close, retry_after_s=1)
        body = b'{"message": "%b", "status": "successful"}' % path.rpartition(b"/")[2]
        return own_answer(200, body, request_id, close)

    def _ends(self, head: RequestHead) -> bool:
        """Whether the connection ends with an answer that we give at once: a body that may follow is not read."""
        return self.draining or not head.keep_alive or not head.minor or has_body(head)

    def _answer(self, client: Client, head: RequestHead, answer: bytes, close: bool) -> None:
        client.write_own(head.method, answer)
        client.answered(not close, unread=has_body(head))

    # --- clients ---------------------------------------------------------------------------------------------

    def admit(self, client: Client) -> bool:
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

    def forget(self, client: Client) -> None:
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
            client.cut()

    def log_cut(self, request_id: bytes, reason: str) -> None:
        self._log.warning("answer cut", request_id=request_id.decode("latin-1"), reason=reason)

    # --- time ------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """To be called each TICK_S: enforces time-outs."""
        self._ticks += 1
        self.replicas.tick(now)
        if self._hedger is not None:
            self._hedger.tick(now)
        if self._ticks % CLIENT_TICKS == 0:
            for client in list(self._clients):
                client.sweep(now)
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
