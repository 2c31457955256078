"""A second try beside a slow first one (hedging.py says when): the first answer wins, the other try is dropped.

A `HedgedExchange` is an exchange whose request may be made twice. Until its answer begins it may have a `Hedge` under
way: a passenger of another pool that carries the same bytes. They become one again in one of three ways:

- the first try's answer begins, or the exchange ends: the hedge is dropped;
- the hedge's answer begins, and looks like a good one: the exchange leaves its pool for the hedge's connection;
- the first try fails: the same, though nothing has come yet; the hedge is its retry.

What holds: at most one hedge for each request, and at most MAX_TRIES replicas for both together; what is dropped is
aborted and blames nobody; what fails of itself is blamed as any try is. A hedge that fails, or that is answered by a
5xx, leaves the exchange as it was without it: a replica that is too busy for more may say so faster than another works.

One timer serves all: exchanges wait in order of their beginning, and with one delay for all that is nearly the order in
which they are due. Without `--hedge-after` none of this is there.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from loadbalancer.aio.exchange import REFUSED, RESET, TIMED_OUT, Exchange
from loadbalancer.aio.upstreams import Pool, Upstream
from loadbalancer.counters import Counters, Latency
from loadbalancer.hedging import HEDGED, HedgeDelay
from loadbalancer.retry import FRESH_S, Phase
from wire.bodies import EMPTY, Body
from wire.http1 import RequestHead

if TYPE_CHECKING:
    from loadbalancer.aio.client import Client
    from loadbalancer.aio.door import Door

GRAIN_S = 0.001
"""The timer is not set shorter: several that are due soon go together."""

_GOOD = re.compile(rb"HTTP/1\.[01] [1-4]")  # ten bytes: no replica begins an answer with fewer


class Hedge:
    """A passenger: the second try of `exchange`, on its own until the two become one."""

    def __init__(self, exchange: "HedgedExchange", pool: Pool) -> None:
        self.repeatable = True
        self.upstream: Upstream | None = None
        self.phase: int = Phase.UNSENT
        self.exchange = exchange
        self.pool = pool
        self.kept = exchange.kept
        self.begun_at = monotonic()

    @property
    def uploading(self) -> bool:
        return False

    @property
    def plain(self) -> bool:
        return False  # what the exchange has to do at the first byte is done by `answer`

    def drop(self) -> None:
        """It is not needed any more, or not wanted there."""
        self._part()
        self.pool.remove(self)

    def _part(self) -> None:
        exchange = self.exchange
        exchange.hedge = None
        exchange.tried = (*exchange.tried, self.pool.node_id)

    def hand_over(self) -> None:
        """The exchange takes its place."""
        exchange, pool, upstream = self.exchange, self.pool, self.upstream
        if upstream is None:  # nothing is sent yet: begin there as any other try does
            pool.remove(self)
            exchange.move(pool)
            return
        upstream.exchange, exchange.upstream = exchange, upstream
        exchange.pool, exchange.codes = pool, pool.codes
        exchange.phase, exchange.partial = Phase.SENT, b""
        exchange.heard_at = self.begun_at

    # --- what its pool tells it ------------------------------------------------------------------------------

    def answer(self, data: bytes) -> None:
        if _GOOD.match(data):
            self.exchange.outrun()
            self.exchange.answer(data)
        else:
            self.drop()

    def answer_known(self, upstream: Upstream, data: bytes) -> None:
        self.answer(data)

    def lost(self, reset: bool) -> None:
        upstream, self.upstream = self.upstream, None
        aged = upstream is not None and 0 < upstream.idle_since < self.begun_at - FRESH_S
        self._failed("" if aged else RESET)

    def unreachable(self, refused: bool, own_fault: bool) -> None:
        self._failed("" if own_fault else REFUSED if refused else TIMED_OUT)

    def rejected(self) -> None:
        self._failed("")

    def _failed(self, kind: str) -> None:
        self._part()
        if kind:
            self.exchange.door.replicas.blame(self.pool, kind)

    def boarded(self) -> None:
        """Nothing follows the head."""

    def pause_upload(self) -> None:
        """Nothing follows that could be paused."""

    def resume_upload(self) -> None:
        """Nor resumed."""


class HedgedExchange(Exchange):
    """An exchange that may get a second try."""

    def __init__(
        self,
        door: "Door",
        client: "Client",
        head: RequestHead,
        request_id: bytes,
        kept: bytes,
        latency: Latency,
        body: Body,
        now: float,
        hedger: "Hedger",
    ) -> None:
        super().__init__(door, client, head, request_id, kept, latency, body, now)
        self.hedge: Hedge | None = None
        self.hedger = hedger
        self.watched = False  # the hedger knows it

    def move(self, pool: Pool) -> None:
        if not self.watched and self._may_be_twice():
            self.watched = True
            self.hedger.watch(self)
        super().move(pool)

    def _may_be_twice(self) -> bool:
        """A body that came with a known head is in `kept` already, and so not in `body`."""
        head = self.head
        return head.method in HEDGED and self.body is EMPTY and not head.content_length and head.upgrade is None

    def begin_hedge(self, pool: Pool) -> None:
        """Send the request to `pool` too."""
        self.hedge = Hedge(self, pool)
        pool.carry(self.hedge)

    def answer(self, data: bytes) -> None:
        if self.phase == Phase.SENT and self.watched:
            self.hedger.heard(self)
            self._drop_hedge()
        super().answer(data)

    def answer_known(self, upstream: Upstream, data: bytes) -> None:
        if self.watched:
            self.hedger.heard(self)
            self._drop_hedge()
        super().answer_known(upstream, data)

    def outrun(self) -> None:
        """The second try has an answer: go on with it."""
        assert self.pool is not None
        self.door.counters.hedges_won += 1
        self.pool.remove(self)
        self.fall_back()

    def fall_back(self) -> None:
        """The first try has left its pool, and the second one, which is there, takes its place."""
        hedge, failed = self.hedge, self.pool
        assert hedge is not None and failed is not None
        self.hedge = None
        self.tried = (*self.tried, failed.node_id)
        hedge.hand_over()

    def _again_or(self, status: int, reason: str, charged: bool = True) -> None:
        if self.hedge is None:
            super()._again_or(status, reason, charged)
        else:
            self.fall_back()

    def withdraw(self) -> None:
        self._end_watch()
        super().withdraw()

    def _answer_ourselves(self, status: int, reason: str, retry_after_s: int = 1) -> None:
        self._end_watch()
        super()._answer_ourselves(status, reason, retry_after_s)

    def _end_watch(self) -> None:
        if self.watched:
            self.hedger.forget(self)
            self._drop_hedge()

    def _drop_hedge(self) -> None:
        if self.hedge is not None:
            self.hedge.drop()


class Hedger:
    """Which exchanges of a worker wait for the first byte of their answers, and since when."""

    def __init__(self, delay: HedgeDelay, spare: Callable[[Exchange], Pool | None], counters: Counters) -> None:
        self._delay = delay
        self._spare = spare
        self._counters = counters
        self._due: OrderedDict[HedgedExchange, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, exchange: HedgedExchange) -> None:
        """A request goes to its first replica."""
        delay_s = self._delay.seconds
        if delay_s is not None:
            self._due[exchange] = exchange.started_at + delay_s
            if self._timer is None:
                self._arm(delay_s)

    def heard(self, exchange: HedgedExchange) -> None:
        """Its answer begins."""
        self._delay.add(monotonic() - exchange.started_at)
        self._due.pop(exchange, None)

    def forget(self, exchange: HedgedExchange) -> None:
        """It has ended otherwise."""
        self._due.pop(exchange, None)

    def _arm(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(max(GRAIN_S, delay_s), self.sweep)

    def sweep(self) -> None:
        """Send those that have waited long enough to a second replica too."""
        self._timer = None
        now = monotonic()
        while self._due:
            exchange, due = next(iter(self._due.items()))
            if due > now:
                self._arm(due - now)
                break
            del self._due[exchange]
            self._hedge(exchange)

    def _hedge(self, exchange: HedgedExchange) -> None:
        pool = self._spare(exchange)
        if pool is not None:
            self._counters.hedges += 1
            exchange.begin_hedge(pool)

    def tick(self, now: float) -> None:
        self._delay.advance(now)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
