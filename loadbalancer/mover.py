"""The mover: which partitions shall lie elsewhere, a few of them on the way at once (cluster-rules R11).

A move is written into the partition itself (`adding`, `removing`), so a control that starts finds it and goes on, and
which moves are still to begin follows from the image alone: a leaver gives all that it has, a newcomer that is not
`welcomed` gets what the ring gives it, a topic gets the replicas that it wishes for as servers join. Nothing else
moves; in particular no partition goes back to where the ring would put it today. Newcomers that come together (an /add
of several, a first start) get their shares together, up to AWAIT_S after the first: what goes to one of them is not
moved on to the next.

The leader copies nothing: newcomers follow it as any follower does, it asks for them to be taken into the ISR when
they have caught up, and then `elections.end_move` hands over and lets the old ones go, in one record. A leaver's last
replica is therefore never given up before another has all of it.
"""

from collections import deque
from collections.abc import Collection
from typing import Final

from loadbalancer import elections
from loadbalancer.placement import place
from loadbalancer.queue_ledger import Ledger
from loadbalancer.queue_words import Members
from wire.cluster import NO_LEADER, Partition

AWAIT_S: Final = 3.0
"""A server registers some 0.5 s after its start. Longer than this and one isn't coming."""


class Mover:
    """Plans anew when `replan` was called, begins what may begin, ends what has caught up."""

    def __init__(self, ledger: Ledger, max_moves: int) -> None:
        self._ledger = ledger
        self._max_moves = max_moves
        self._waiting: deque[tuple[str, int]] = deque()
        self._stale = True
        self._moving: set[tuple[str, int]] = set()
        self._coming: frozenset[int] = frozenset()
        self._await_until = 0.0
        self._awaits = False

    @property
    def waiting(self) -> int:
        """Moves that have yet to begin."""
        return len(self._waiting)

    def replan(self) -> None:
        """Servers or topics have come, gone or changed."""
        self._stale = True

    def deadline(self) -> float | None:
        """When newcomers get their shares though others are still to come."""
        return self._await_until if self._awaits else None

    def settle(self, members: Members, now: float) -> None:
        """Do what can be done now."""
        self._end_ready()
        self._await_others(members, now)
        if self._stale:
            self._stale = False
            self._call_off(members)
            self._plan(members)
        self._plan_ended(members)
        self._begin(members)
        self._welcome(members)

    def _await_others(self, members: Members, now: float) -> None:
        brokers = self._ledger.image.brokers
        absent = members.wanted - self._ledger.live()
        coming = frozenset(node_id for node_id in absent if node_id not in brokers or not brokers[node_id].welcomed)
        if coming - self._coming:
            self._await_until = now + AWAIT_S
        awaits = bool(coming) and now < self._await_until
        self._stale = self._stale or awaits != self._awaits
        self._coming, self._awaits = coming, awaits

    def _plan(self, members: Members) -> None:
        partitions = self._ledger.image.partitions.values()
        hosts, newcomers = self._hosts(members), self._newcomers(members)
        self._waiting = deque(p.key for p in partitions if self._target(p, members, hosts, newcomers) is not None)

    def _plan_ended(self, members: Members) -> None:
        """What was on the move when it was planned last may have to go on: to where it went is leaving by now."""
        known, ended = self._ledger.image.partitions, self._moving - self._ledger.moving
        self._moving = set(self._ledger.moving)
        partitions = [known[key] for key in sorted(ended - set(self._waiting)) if key in known]
        if partitions:
            hosts, newcomers = self._hosts(members), self._newcomers(members)
            self._waiting += [p.key for p in partitions if self._target(p, members, hosts, newcomers) is not None]

    def _begin(self, members: Members) -> None:
        if not self._waiting:
            return
        ledger, hosts, newcomers = self._ledger, self._hosts(members), self._newcomers(members)
        live = ledger.live()
        room = self._max_moves - sum(live.issuperset(ledger.image.partitions[key].adding) for key in ledger.moving)
        while room > 0 and self._waiting:
            partition = ledger.image.partitions.get(self._waiting.popleft())
            target = partition and self._target(partition, members, hosts, newcomers)
            if partition is None or target is None:
                continue
            ledger.put_partitions([elections.begin_move(partition, target)])
            room -= 1
        self._end_ready()  # one that only loses replicas is ready at once

    def _end_ready(self) -> None:
        is_live = self._ledger.live().__contains__
        moving = [self._ledger.image.partitions[key] for key in sorted(self._ledger.moving)]
        self._ledger.put_partitions(
            elections.end_move(partition, is_live) for partition in moving if elections.is_caught_up(partition, is_live)
        )

    def _call_off(self, members: Members) -> None:
        """Moves towards a server that leaves itself, or is gone."""
        moving = [self._ledger.image.partitions[key] for key in sorted(self._ledger.moving)]
        lost = [p for p in moving if not set(p.adding) <= members.wanted]
        is_live = self._ledger.live().__contains__
        self._ledger.put_partitions(elections.elect(elections.call_off(partition), is_live) for partition in lost)

    def _welcome(self, members: Members) -> None:
        newcomers = self._newcomers(members)
        if not newcomers or self._waiting:
            return
        partitions = self._ledger.image.partitions
        busy = {node_id for key in self._ledger.moving for node_id in partitions[key].adding}
        for node_id in sorted(newcomers - busy):
            broker = self._ledger.image.brokers[node_id]
            self._ledger.put([{**broker.record(), "welcomed": True}])

    def _hosts(self, members: Members) -> frozenset[int]:
        return members.wanted & self._ledger.live()

    def _newcomers(self, members: Members) -> frozenset[int]:
        """Who is to get its share now."""
        if self._awaits:
            return frozenset()
        brokers = self._ledger.image.brokers
        return frozenset(node_id for node_id in self._hosts(members) if not brokers[node_id].welcomed)

    def _target(
        self, partition: Partition, members: Members, hosts: frozenset[int], newcomers: frozenset[int]
    ) -> tuple[int, ...] | None:
        """The replicas that it shall have instead; None: it stays, or can't be moved now."""
        topic = self._ledger.image.topic_of(partition.topic)
        if topic is None or partition.adding or partition.removing or partition.leader == NO_LEADER:
            return None
        staying = [member for member in partition.replicas if member in members.wanted]
        if len(staying) == len(partition.replicas) >= topic.replication and not newcomers:
            return None
        ring = place(topic.name, partition.partition, hosts, len(hosts))
        chosen = _choose(staying, ring, topic.replication, newcomers)
        if not chosen or set(chosen) == set(partition.replicas):
            return None
        return tuple(sorted(chosen, key=lambda member: ring.index(member) if member in ring else len(ring)))


def _choose(staying: list[int], ring: tuple[int, ...], wish: int, newcomers: Collection[int]) -> list[int]:
    """`wish` replicas: newcomers whom the ring wants, those that are there already, then the ring's next."""
    wanted = ring[:wish]
    chosen = [member for member in wanted if member in newcomers and member not in staying]
    kept = sorted(staying, key=lambda member: member not in wanted)  # stable: whom the ring wants goes last
    chosen += kept[: max(wish - len(chosen), 0)]
    chosen += [member for member in ring if member not in chosen][: max(wish - len(chosen), 0)]
    return chosen
