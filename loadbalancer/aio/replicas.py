"""The fleet as one worker sees it: the pools of its replicas, who may get requests, and what happens when they fail.

The pure modules decide (selection: who; slow_start: who not yet; retry: whether again; ejection: who not), and this
one carries it out on the pools. `apply` takes control's snapshots; `blame` and `settle` are told how tries ended. When
a replica is ejected, by this worker's own signs, another worker's word or control's snapshot, the exchanges under way
there that may be repeated move on at once.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from loadbalancer.aio.exchange import REFUSED, Exchange
from loadbalancer.aio.hedge import Hedge, HedgedExchange
from loadbalancer.aio.limits import Limits
from loadbalancer.aio.outbox import Outbox
from loadbalancer.aio.queue_exchange import QueueExchange
from loadbalancer.aio.resolver import Resolver, is_literal
from loadbalancer.aio.trial import answers
from loadbalancer.aio.upstreams import Connect, Pool
from loadbalancer.counters import ADMIN, NOBODY, PROXY, Counters
from loadbalancer.door_settings import DoorSettings
from loadbalancer.ejection import TRIAL_PATIENCE_S, Ejections
from loadbalancer.retry import MAX_TRIES, RetryBudget
from loadbalancer.ring import RingSpec, build_ring
from loadbalancer.selection import Policy, View, policy
from loadbalancer.slow_start import Newcomers, with_slow_start
from loadbalancer.snapshot import NEVER, Epoch, Member, Snapshot

Say = Callable[[dict[str, Any]], None]


class Replicas:
    """`say` sends a message to control (see feed.py); without control nobody hears it. `pools` are by node id."""

    def __init__(self, settings: DoorSettings, limits: Limits, counters: Counters, outbox: Outbox, log: Any) -> None:
        self.epoch: Epoch = NEVER
        self.snapshot: Snapshot | None = None
        self.pools: dict[int, Pool] = {}
        self.ring = build_ring(RingSpec(hash=settings.ring_hash, probe=settings.ring_probe), ())
        self.say: Say = lambda message: None
        self.resolver = Resolver(settings.dns_refresh_s, log, self._relocated, self._unresolved)
        self._settings = settings
        self._limits = limits
        self._counters = counters
        self._outbox = outbox
        self._log = log
        self._members: dict[int, Member] = {}
        self._retired: list[Pool] = []
        self._sockets: list[Pool] = []
        self._budget = RetryBudget(monotonic())
        self._ejections = Ejections(settings.panic_threshold)
        self._policy = policy(settings.policy, lambda fault: log.error("policy at fault, the ring chose", fault=fault))
        self._view = View(self.ring, frozenset(), counters.in_flight, {})
        self._by_owner, self._by_load = policy("ring"), policy("p2c")  # for the queue's calls
        self._newcomers = Newcomers(settings.slow_start_s)
        self._chooser = self._policy  # with a slow start for the newcomers, while there are any
        self._trials: set[asyncio.Task[None]] = set()
        self._drained: set[str] = set()

    # --- the layout ------------------------------------------------------------------------------------------

    def apply(self, snapshot: Snapshot) -> bool:
        """Take a newer snapshot; False if it is not newer than the one held."""
        if snapshot.epoch <= self.epoch:
            return False
        members = {member.node_id: member for member in snapshot.members}
        former_ring, self.ring = self.ring, self.ring.updated(snapshot.members)
        self.epoch, self.snapshot, self._members = snapshot.epoch, snapshot, members
        self._drained.clear()
        self._ejections.apply(snapshot.members)
        self._newcomers.apply(snapshot.members, former_ring, monotonic())
        self.resolver.watch((member.host for member in snapshot.members if member.port), monotonic())
        leavers = self._renew_pools()
        self._renew_view()
        for pool in (*leavers, *self._unroutable()):
            self._take_back(pool)
        self._report_drained()
        return True

    def _renew_pools(self) -> list[Pool]:
        """Pools for the instances of the snapshot; returns those whose instance has left."""
        leavers = [pool for node, pool in self.pools.items() if pool.address != _address(self._members.get(node))]
        for pool in leavers:
            del self.pools[pool.node_id]
            pool.retire()
        self._retired = [pool for pool in (*self._retired, *leavers) if pool.busy]
        for member in self._members.values():
            if member.port and member.node_id not in self.pools:
                self.pools[member.node_id] = self._replica_pool(member)
        self._counters.forget_departed({*self._members, *(pool.node_id for pool in self._retired)})
        return leavers

    def _unroutable(self) -> list[Pool]:
        """Pools of replicas that control has taken out as failing; those that drain finish what they have."""
        return [
            pool
            for node, pool in self.pools.items()
            if not self._members[node].routable and not self._members[node].draining and not self._ejections.panicking
        ]

    def _renew_view(self, now: float | None = None) -> None:
        """To be called when ring, members or eligible replicas have changed, and each tick while somebody warms up."""
        weights = {node: member.weight for node, member in self._members.items()}
        self._view = View(self.ring, self._ejections.eligible, self._counters.in_flight, weights)
        panicking, now = self._ejections.panicking, monotonic() if now is None else now
        warming = () if panicking else self._newcomers.warming(self._view.eligible, now)
        self._chooser = with_slow_start(self._policy, self._view, warming)

    def _replica_pool(self, member: Member) -> Pool:
        def connect(factory: Callable[[], asyncio.Protocol]) -> Any:
            return asyncio.get_running_loop().create_connection(factory, member.host, member.port)

        def connect_by_name(factory: Callable[[], asyncio.Protocol]) -> Any:
            def attempt(address: str) -> Any:
                return asyncio.get_running_loop().create_connection(factory, address, member.port)

            return self.resolver.reach(member.host, attempt, self._settings.upstream_connect_timeout_s)

        chosen = connect if is_literal(member.host) else connect_by_name
        pool = self._pool(member.node_id, chosen, self._counters.codes(PROXY, member.node_id))
        pool.address = _address(member)
        return pool

    def socket_pool(self, path: str) -> Pool:
        """A pool for one of control's sockets, which keeps no connection."""

        def connect(factory: Callable[[], asyncio.Protocol]) -> Any:
            return asyncio.get_running_loop().create_unix_connection(factory, path)

        pool = self._pool(NOBODY, connect, self._counters.codes(ADMIN, NOBODY), keep=False)
        self._sockets.append(pool)
        return pool

    def _pool(self, node_id: int, connect: Connect, codes: list[int], keep: bool = True) -> Pool:
        settings = self._settings
        limit = settings.upstream_connections if keep else settings.client_connections
        timeout_s = settings.upstream_connect_timeout_s
        pool = Pool(
            node_id, connect, self._counters, limit, settings.upstream_queue, timeout_s, codes, self._outbox, keep
        )
        pool.make_room = self._make_room
        return pool

    def _make_room(self) -> None:
        """Before another upstream connection: stay within the descriptors that are ours."""
        if self._counters.upstream_connections >= self._limits.upstreams:
            any(pool.evict() for pool in self.pools.values())

    def _relocated(self, host: str, addresses: Sequence[str]) -> None:
        """The name of some replicas has other addresses now."""
        for pool in self.pools.values():
            if pool.address is not None and pool.address[1] == host:
                pool.keep_only(addresses)

    def _unresolved(self) -> None:
        self._counters.dns_failures += 1

    # --- tries -----------------------------------------------------------------------------------------------

    def first_try(self, exchange: Exchange) -> None:
        """Send a new exchange to the replica that its key and the policy say."""
        self._budget.requests += 1
        node = self._chooser.choose(exchange.key, self._view)
        if node is None:
            exchange.no_replica()
        else:
            exchange.move(self.pools[node])

    def first_queue_try(self, exchange: QueueExchange) -> None:
        """The same for a call of the queue's HTTP interface."""
        self._budget.requests += 1
        node = self._chooser_of(exchange).choose(exchange.key, self._view)
        if node is None:
            exchange.no_replica()
        else:
            exchange.move(self.pools[node])

    def _chooser_of(self, exchange: Exchange) -> Policy:
        if isinstance(exchange, QueueExchange):
            return self._by_owner if exchange.keyed else self._by_load
        return self._chooser

    def again(self, exchange: Exchange, failed: int, charged: bool) -> bool:
        """Send an exchange that failed on node `failed` to the next replica; False if there is none or none
        may be tried.

        `charged` is False for a try that never left us, which costs no replica anything.
        """
        pool = self._next(exchange, failed)
        if pool is None or not self._grant(charged):
            return False
        exchange.tried = (*exchange.tried, failed)
        exchange.move(pool)
        return True

    def spare(self, exchange: Exchange) -> Pool | None:
        """Where a second try may go beside the one under way; None if nowhere.

        It is charged as a retry is, but leaves the reserve to those: nobody needs a hedge. In panic there is none.
        """
        assert exchange.pool is not None
        if self._ejections.panicking:
            return None
        pool = self._next(exchange, exchange.pool.node_id)
        return pool if pool is not None and self._budget.spend(monotonic(), needed=False) else None

    def _next(self, exchange: Exchange, failed: int) -> Pool | None:
        tried = (*exchange.tried, failed)
        if len(tried) >= MAX_TRIES:
            return None
        node = self._chooser_of(exchange).choose(exchange.key, self._view, tried)
        return None if node is None else self.pools[node]

    def _grant(self, charged: bool) -> bool:
        if charged and not self._budget.spend(monotonic()):
            self._counters.retries_denied += 1
            return False
        self._counters.retries += 1
        return True

    # --- what replicas do ------------------------------------------------------------------------------------

    def blame(self, pool: Pool, kind: str) -> None:
        """A try on this pool's instance failed."""
        node = pool.node_id
        if self.pools.get(node) is not pool:
            return  # an instance that has already been replaced
        now = monotonic()
        refused = kind == REFUSED
        ejected = self._ejections.refused(node, now) if refused else self._ejections.failed(node, now)
        pool.unsettled = True
        if ejected:
            self._counters.ejected(node)
            self._log.warning("replica ejected", node_id=node, replica=self._members[node].name, reason=kind)
            self.say(self._word("ejected", node, reason=kind))
            self._eject(pool)
        elif refused:
            self._renew_view()

    def told(self, node: int, name: str, reason: str) -> None:
        """Another worker has ejected this instance."""
        pool = self.pools.get(node)
        if pool is not None and self._ejections.told(node, name, monotonic()):
            self._log.info("replica ejected by another worker", node_id=node, replica=name, reason=reason)
            self._eject(pool)

    def _eject(self, pool: Pool) -> None:
        self._renew_view()
        self._take_back(pool)

    def _take_back(self, pool: Pool) -> None:
        """Give the exchanges that are under way there, may be repeated and can go elsewhere, to the next
        replica."""
        for passenger in pool.passengers():
            if isinstance(passenger, Hedge):
                passenger.drop()
        for exchange in _exchanges(pool):
            if exchange.retriable() and exchange.pool is pool:
                self._move_away(exchange, pool)

    def _move_away(self, exchange: Exchange, pool: Pool) -> None:
        if isinstance(exchange, HedgedExchange) and exchange.hedge is not None:
            pool.remove(exchange)
            exchange.fall_back()
            return
        target = self._next(exchange, pool.node_id)
        if target is None or target is pool or not self._grant(exchange.upstream is not None):
            return
        pool.remove(exchange)
        exchange.tried = (*exchange.tried, pool.node_id)
        exchange.move(target)

    def settle(self, pool: Pool, trial: bool = False) -> None:
        """A replica that was blamed has answered, perhaps to a trial."""
        pool.unsettled = False
        if self.pools.get(pool.node_id) is pool:
            restored = self._ejections.answered(pool.node_id, trial)
            self._renew_view()
            if restored:
                self._log.info("replica restored", node_id=pool.node_id)
                self.say(self._word("restored", pool.node_id))

    async def _try(self, pool: Pool) -> None:
        assert pool.address is not None
        _, host, port = pool.address
        if await answers(self.resolver.reach, host, port, self._settings.health_path, TRIAL_PATIENCE_S):
            self.settle(pool, trial=True)
        elif self.pools.get(pool.node_id) is pool:
            self._ejections.trial_failed(pool.node_id, monotonic())

    def _start_trial(self, pool: Pool) -> None:
        task = asyncio.get_running_loop().create_task(self._try(pool))
        self._trials.add(task)
        task.add_done_callback(self._trials.discard)

    def drains(self, pool: Pool) -> bool:
        """Whether its replica is to finish what it has."""
        member = self._members.get(pool.node_id)
        return member is not None and member.draining

    @property
    def eligible(self) -> bool:
        """Whether there is anybody to send a request to."""
        return bool(self._ejections.eligible)

    @property
    def ejected(self) -> frozenset[int]:
        """Whom this worker has taken out by what it saw, or another one."""
        return self._ejections.ejected()

    # --- what control hears ----------------------------------------------------------------------------------

    def _word(self, kind: str, node: int, **more: str) -> dict[str, Any]:
        return {"type": kind, "node_id": node, "name": self._members[node].name, **more}

    def _report_drained(self) -> None:
        """Say once for each snapshot which draining replicas have nothing under way here."""
        for member in self._members.values():
            idle = not self._counters.in_flight.get(member.node_id)
            if member.draining and idle and member.name not in self._drained:
                self._drained.add(member.name)
                self.say(self._word("drained", member.node_id) | {"epoch": list(self.epoch)})

    def greet(self) -> list[dict[str, Any]]:
        """What a control that has just come (back) must hear again."""
        self._drained.clear()
        return [self._word("ejected", node, reason="earlier") for node in self._ejections.ejected()]

    # --- time ------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """To be called a few times a second: time-outs of replicas, trials, and what is idle."""
        self._budget.advance(now)
        self.resolver.tick(now)
        if self._chooser is not self._policy:
            self._renew_view(now)
        self._retired = [pool for pool in self._retired if pool.busy]
        self._sweep_pools(now)
        for node in self._ejections.due(now):
            self._start_trial(self.pools[node])
        self._report_drained()

    def _sweep_pools(self, now: float) -> None:
        overdue: list[tuple[Exchange, Pool]] = []
        limit = now - self._settings.upstream_timeout_s
        for pool in (*self.pools.values(), *self._retired, *self._sockets):
            pool.sweep(now)
            overdue += [(exchange, pool) for exchange in _exchanges(pool) if _is_overdue(exchange, limit)]
        for exchange, pool in overdue:
            if exchange.pool is pool:  # an ejection may have moved it meanwhile
                exchange.timed_out()

    async def close(self) -> None:
        """Keep no connection, and end the trials."""
        for pool in (*self.pools.values(), *self._retired):
            pool.retire()
        for task in list(self._trials):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.resolver.close()


def _exchanges(pool: Pool) -> list[Exchange]:
    return [passenger for passenger in pool.passengers() if isinstance(passenger, Exchange)]


def _is_overdue(exchange: Exchange, limit: float) -> bool:
    return exchange.heard_at < limit and not exchange.patient and not exchange.client.to_blame


def _address(member: Member | None) -> tuple[str, str, int] | None:
    """Which instance it is; None if nobody fills the place."""
    return (member.name, member.host, member.port) if member is not None and member.port else None
