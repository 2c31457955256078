"""The queue's controller: who holds which partition, as a machine without sockets, clocks or a disk.

`hear(event, now)` takes an event, `take(now)` settles and gives the step: the records to be committed and, after that,
the answers. If they could not be committed, `undo(now)` takes the step back and refuses those who asked (cluster-rules
R4: commit, push, answer, and nothing without the commit). Facts that nobody asked for (a server's end, the fleet's
members) are kept beside the image and looked at in every step, so what failed once is done by the next one.

What holds after each step (tests/unit/loadbalancer/test_queue_laws.py):
- epochs of brokers, leaders and partitions never go back, and a leader epoch has one leader;
- a leader is in the ISR and lives; who is in an ISR and lives keeps the partition from being without a leader;
- a server that is not registered, or whose disk can't be believed, leads nothing and is in no ISR that matters (R3);
- the last holder of a partition's data stays its replica.

Not taken: a quorum of controllers as in KRaft. One control with a lock and a synced disk is never asked on the path of
a message; how long it is away decides how long elections wait, not whether they are right.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from loadbalancer import elections
from loadbalancer.mover import Mover
from loadbalancer.queue_commands import Commands
from loadbalancer.queue_ledger import Ledger
from loadbalancer.queue_words import (
    AllocateIds,
    AlterConfigs,
    AlterIsr,
    Applied,
    Beat,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    Effect,
    ElectLeaders,
    Ended,
    Event,
    Gone,
    IsrWish,
    Members,
    Muted,
    QueueSettings,
    Refuse,
    Refused,
    Registered,
    Reply,
    Tick,
    TopicCommand,
)
from wire.cluster import NO_LEADER, Broker, Image, Partition, Record
from wire.cluster_link import Stop
from wire.errors import ErrorCode as E

PRODUCER_IDS: Final = 1000
"""A block, as in Kafka (ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE)."""

FIRST_RECORDS: Final = 1
"""A cluster's log has no more than its control's generation before its first server comes."""

RETRY_S: Final = 1.0
"""After a commit that failed, what is still due is tried again."""

LOST: Final = "the queue's servers know more than control's state: it was lost or restored; see `carousel recover`"


@dataclass(frozen=True, slots=True)
class Step:
    """`records` belong behind the version of the image before; then `effects`, in order."""

    records: list[Record]
    effects: list[Effect]


class Queue:
    """The machine. Times are seconds of any clock that doesn't go back. `new_id` gives 32 hex digits, never twice."""

    def __init__(self, image: Image, settings: QueueSettings, new_id: Callable[[], str], *, lost: bool = False) -> None:
        """`lost`: there was a state, and it can't be read."""
        self._settings = settings
        self._ledger = Ledger(image)
        self._mover = Mover(self._ledger, settings.max_moves)
        self._commands = Commands(self._ledger, settings, new_id)
        self._members: Members | None = None
        self._ended: dict[int, str | None] = {}  # node id: the incarnation that is over (None: none was known)
        self._stopping: set[int] = set()
        self._mute: set[int] = set()
        self._applied: dict[int, int] = {}
        self._effects: list[Effect] = []
        self._retry_at: float | None = None
        self._last: list[Effect] = []
        self._lost = lost
        self._joined = 0  # the version with which the last server came to take part
        self._founded = image.version <= FIRST_RECORDS
        self._granted: set[int] = set()  # by us, to servers that the image may have forgotten since

    # --- what is so

    @property
    def image(self) -> Image:
        """With the step that was taken last; on the disk only when the shell has committed it."""
        return self._ledger.image

    @property
    def leaving(self) -> frozenset[int]:
        """Who gets nothing any more."""
        return self._members.leaving if self._members else frozenset()

    @property
    def lost(self) -> bool:
        """Whether servers know more than the image: then nothing is decided any more (R5)."""
        return self._lost

    def holders(self) -> frozenset[int]:
        """The nodes that have replicas; all of them, where that isn't known."""
        if self._lost and self._members is not None:
            return self._members.wanted | self._members.leaving | self._members.joining
        return frozenset(node for partition in self.image.partitions.values() for node in partition.replicas)

    def is_whole(self) -> bool:
        """Whether all wanted servers take part, and each of them knows it of all: whichever a client asks lists all."""
        if self._members is None or self._lost or not self._members.wanted <= self._ledger.live():
            return False
        return all(self._applied.get(node_id, -1) >= self._joined for node_id in self._members.wanted)

    def deadline(self) -> float | None:
        """When the next Tick is due; None: never."""
        times = (self._retry_at, self._commands.deadline(), self._mover.deadline())
        return min((at for at in times if at is not None), default=None)

    def view(self) -> dict[str, Any]:
        """Numbers for people and for /metrics: {"topics", "partitions", "offline", "under_replicated",
        "not_preferred", "brokers": not fenced, "fenced", "moves": {"under_way", "waiting"},
        "lost": nothing is decided (R5)}."""
        image = self.image
        partitions, live = image.partitions.values(), len(self._ledger.live())
        return {
            "topics": len(image.topics),
            "partitions": len(partitions),
            "offline": sum(p.leader == NO_LEADER for p in partitions),
            "under_replicated": sum(len(p.isr) < len(p.replicas) - len(p.adding) for p in partitions),
            "not_preferred": sum(p.leader != p.replicas[0] for p in partitions),
            "brokers": live,
            "fenced": len(image.brokers) - live,
            "moves": {"under_way": len(self._ledger.moving), "waiting": self._mover.waiting},
            "lost": self._lost,
        }

    # --- the machine

    def step(self, event: Event, now: float) -> Step:
        """`hear` and `take` in one."""
        self.hear(event, now)
        return self.take(now)

    def take(self, now: float) -> Step:
        """Do what is due, and give out all that was heard since the last time."""
        self._retry_at = None
        if self._members is not None and not self._lost:
            self._settle(self._members, now)
        self._effects += self._commands.settle(now, self._applied, self._hosts(), self._awaited())
        records, notes = self._ledger.take()
        self._last, self._effects = [*self._effects, *notes], []
        return Step(records, self._last)

    def undo(self, now: float) -> list[Effect]:
        """The step taken last could not be committed: nothing of it is so. The refusals to send for its answers."""
        self._ledger.undo()
        self._mover.replan()
        self._retry_at = now + RETRY_S
        waiting = self._commands.undo(self.image.version)
        asked = [effect.request for effect in self._last if isinstance(effect, Reply | Refuse)]
        return [Refuse(request, E.NOT_CONTROLLER, "control can't write its state") for request in [*asked, *waiting]]

    def hear(self, event: Event, now: float) -> None:
        """Never raises over what an event says."""
        try:
            self._hear(event, now)
        except Refused as fault:
            self._effects.append(Refuse(getattr(event, "request", 0), fault.code, str(fault)))

    def _hear(self, event: Event, now: float) -> None:
        match event:
            case Members():
                self._members = event
                self._mover.replan()
            case Ended():
                self._end(event.node_id)
            case Muted():
                (self._mute.add if event.mute else self._mute.discard)(event.node_id)
            case Applied():
                self._apply(event.node_id, event.incarnation, event.version)
            case Gone():
                self._commands.forget(event.requests)
            case Tick():
                pass
            case _:
                self._ask(event, now)

    def _ask(self, event: Registered | Beat | AlterIsr | AllocateIds | TopicCommand, now: float) -> None:
        if self._lost or self._members is None:
            raise Refused(E.NOT_CONTROLLER, LOST if self._lost else "control is starting")
        match event:
            case Registered():
                self._reply(event.request, {"error_code": 0, "broker_epoch": self._register(event, self._members)})
            case Beat():
                self._reply(event.request, self._beat(event))
            case AlterIsr():
                self._reply(event.request, self._alter_isr(event))
            case AllocateIds():
                self._reply(event.request, self._allocate(event))
            case CreateTopics() | DeleteTopics() | CreatePartitions() | AlterConfigs() | ElectLeaders():
                self._effects += self._commands.hear(event, now, self._hosts(), self._awaited())
                self._mover.replan()

    def _reply(self, request: int, values: Mapping[str, Any]) -> None:
        self._effects.append(Reply(request, values))

    def _hosts(self) -> frozenset[int]:
        """Where partitions may be placed now."""
        return self._members.wanted & self._ledger.live() if self._members else frozenset()

    def _awaited(self) -> frozenset[int]:
        """Wanted nodes that aren't there yet."""
        return self._members.wanted - self._ledger.live() if self._members else frozenset()

    def _settle(self, members: Members, now: float) -> None:
        for node_id in self._ended:
            self._fence(node_id)
        for node_id in self._mute:
            self._move_off(node_id, keep_min=True)
        self._mover.settle(members, now)
        gone = self._ledger.image.brokers.keys() - members.wanted - members.leaving - members.joining
        for node_id in sorted(gone - self.holders() if gone else gone):
            self._ledger.put([{"type": "broker_gone", "node_id": node_id}])
            self._ended.pop(node_id, None)

    # --- servers come (R3)

    def _register(self, event: Registered, members: Members) -> int:
        known = self._ledger.broker(event.node_id)
        self._check_registration(event, members, known)
        listeners = dict(event.listeners)
        if known is not None and known.incarnation == event.incarnation and known.directory == event.directory:
            self._ledger.put([replace(known, listeners=listeners).record()] if known.listeners != listeners else [])
            return known.epoch
        epoch = self._ledger.next_epoch
        self._granted.add(event.node_id)
        served, welcomed = (known.served, known.welcomed) if known else (-1, False)
        broker = Broker(
            event.node_id, event.incarnation, event.directory, epoch, True, listeners, event.rack, served, welcomed
        )
        self._ledger.put([broker.record()])
        lost = known is not None and self._distrusts(event, known)
        self._leave_isr(event.node_id, lost=lost)
        self._note_registration(event, epoch, lost)
        self._ended.pop(event.node_id, None)
        self._stopping.discard(event.node_id)
        self._mute.discard(event.node_id)
        self._mover.replan()
        return epoch

    def _check_registration(self, event: Registered, members: Members, known: Broker | None) -> None:
        forgotten = known is None and event.previous_epoch >= 0 and event.node_id not in self._granted
        if event.previous_epoch > self.image.version or (forgotten and self._founded):
            self._lose()
            raise Refused(E.NOT_CONTROLLER, LOST)
        if event.node_id not in members.wanted | members.leaving | members.joining:
            raise Refused(E.INVALID_REGISTRATION, f"node {event.node_id} is none of the fleet's")
        if self._ended.get(event.node_id) == event.incarnation:
            raise Refused(E.DUPLICATE_BROKER_REGISTRATION, "that incarnation is over")

    def _distrusts(self, event: Registered, known: Broker) -> bool:
        """Whether the disk may lack what it once acknowledged. An epoch that was granted but never served under may
        have failed to reach the disk; nothing was acknowledged in it."""
        copied = event.previous_epoch not in (known.epoch, known.served)
        return (
            event.directory != known.directory or copied or (event.stop is Stop.UNCLEAN and not self._settings.synced)
        )

    def _note_registration(self, event: Registered, epoch: int, lost: bool) -> None:
        about = f"node {event.node_id}"
        before = "for the first time" if event.previous_epoch < 0 else f"stopped {event.stop.replace('_', ' ')}"
        self._ledger.note("broker-registered", about, f"epoch {epoch}, {before}")
        if lost:
            reason = "a new directory, an old copy, or a crash with unsynced writes: out of every ISR and ELR"
            self._ledger.note("broker-disk-distrusted", about, reason)

    def _apply(self, node_id: int, incarnation: str, version: int) -> None:
        """A server has reached a version; when it has seen its own registration, it takes part."""
        if version > self.image.version:
            self._lose()
        broker = self._ledger.broker(node_id)
        if self._lost or broker is None or broker.incarnation != incarnation or self._is_over(broker):
            return
        self._applied[node_id] = version
        if broker.fenced and version >= broker.epoch:
            self._ledger.put([replace(broker, fenced=False, served=broker.epoch).record()])
            self._joined = self.image.version
            self._elect(self._ledger.on(node_id))
            self._mover.replan()

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self._ledger.note("queue-state-lost", "queue", LOST)

    # --- servers go (R6)

    def _end(self, node_id: int) -> None:
        broker = self._ledger.broker(node_id)
        self._ended[node_id] = broker.incarnation if broker else None
        self._mute.discard(node_id)

    def _is_over(self, broker: Broker) -> bool:
        return self._ended.get(broker.node_id) == broker.incarnation

    def _fence(self, node_id: int) -> None:
        broker = self._ledger.broker(node_id)
        if broker is None or broker.fenced or not self._is_over(broker):
            return
        self._ledger.put([replace(broker, fenced=True).record()])
        self._applied.pop(node_id, None)
        self._leave_isr(node_id)
        self._ledger.note("broker-fenced", f"node {node_id}", "its process has ended")
        self._mover.replan()

    def _leave_isr(self, node_id: int, *, lost: bool = False) -> None:
        """All of its partitions in one step; a leader's epoch is over even if the same one leads again (R3)."""
        ledger = self._ledger
        without = [
            elections.dethrone(elections.without(partition, node_id, ledger.min_isr(partition), lost=lost), node_id)
            for partition in ledger.on(node_id)
        ]
        self._elect(without)

    def _elect(self, partitions: list[Partition]) -> None:
        ledger = self._ledger
        ledger.put_partitions(
            elections.settle_elr(self._elected(partition), ledger.min_isr(partition)) for partition in partitions
        )

    def _elected(self, partition: Partition) -> Partition:
        """One that answers nobody leads on where nobody else can without a loss: it may only be slow."""
        unclean = self._ledger.unclean(partition)
        if not self._mute:
            return elections.elect(partition, self._can_lead(), unclean=unclean)
        elected = elections.elect(partition, self._can_lead())
        if elected.leader != NO_LEADER:
            return elected
        can_lead = self._ledger.live() - self._stopping
        return elections.elect(partition, can_lead.__contains__, unclean=unclean)

    def _can_lead(self) -> elections.IsLive:
        live = self._ledger.live() - self._stopping - self._mute
        return live.__contains__

    # --- what servers ask

    def _beat(self, event: Beat) -> dict[str, Any]:
        broker = self._current(event.node_id, event.epoch)
        self._apply(event.node_id, broker.incarnation, event.version)
        if event.wants_stop and event.node_id not in self._stopping:
            self._hand_over(event.node_id)
        fenced = not self.image.is_live(event.node_id)
        return {
            "error_code": 0,
            "is_caught_up": event.version >= broker.epoch,
            "is_fenced": fenced,
            "should_shut_down": event.node_id in self._stopping,
        }

    def _hand_over(self, node_id: int) -> None:
        """Before a server stops: whatever another in-sync replica can lead, it leads now."""
        self._stopping.add(node_id)
        self._move_off(node_id)

    def _move_off(self, node_id: int, *, keep_min: bool = False) -> None:
        """Always safe: who is in sync has everything, and a leader that is cut off acknowledges nothing alone (R1).
        `keep_min`: not where too few would be in sync then."""
        ledger, is_live = self._ledger, self._can_lead()
        shared = [
            partition for partition in ledger.on(node_id)
            if node_id in partition.isr and any(map(is_live, partition.isr))
            and not (keep_min and len(partition.isr) <= ledger.min_isr(partition))
        ]  # fmt: skip
        self._elect([elections.without(partition, node_id, ledger.min_isr(partition)) for partition in shared])

    def _current(self, node_id: int, epoch: int) -> Broker:
        broker = self._ledger.broker(node_id)
        if broker is None:
            raise Refused(E.BROKER_ID_NOT_REGISTERED, f"node {node_id} is not registered")
        if broker.epoch != epoch or self._is_over(broker):
            raise Refused(E.STALE_BROKER_EPOCH, f"epoch {epoch} of node {node_id} is over")
        return broker

    def _allocate(self, event: AllocateIds) -> dict[str, Any]:
        self._current(event.node_id, event.epoch)
        start = self.image.next_producer_id
        self._ledger.put([{"type": "producer_ids", "next": start + PRODUCER_IDS}])
        return {"error_code": 0, "producer_id_start": start, "producer_id_len": PRODUCER_IDS}

    def _alter_isr(self, event: AlterIsr) -> dict[str, Any]:
        self._current(event.node_id, event.epoch)
        topics: dict[str, list[dict[str, Any]]] = {}
        for wish in event.wishes:
            topics.setdefault(wish.topic, []).append(self._alter_one(event.node_id, wish))
        listed = [{"topic_id": bytes.fromhex(topic), "partitions": parts} for topic, parts in topics.items()]
        return {"error_code": 0, "topics": listed}

    def _alter_one(self, node_id: int, wish: IsrWish) -> dict[str, Any]:
        try:
            partition = self._check_isr(node_id, wish)
        except Refused as fault:
            return _isr_answer(wish.partition, fault.code, self.image.partitions.get((wish.topic, wish.partition)))
        isr = tuple(member for member, _ in wish.members)
        changed = elections.with_isr(partition, isr, self._ledger.min_isr(partition))
        is_live = self._can_lead()
        if elections.is_caught_up(changed, is_live):
            changed = elections.end_move(changed, is_live)
        self._ledger.put_partitions([changed])
        code = E.NONE if changed.leader == node_id else E.NEW_LEADER_ELECTED
        return _isr_answer(wish.partition, code, changed)

    def _check_isr(self, node_id: int, wish: IsrWish) -> Partition:
        """In the order of Kafka's ReplicationControlManager.validateAlterPartitionData."""
        partition = self.image.partitions.get((wish.topic, wish.partition))
        if partition is None:
            known = wish.topic in self.image.names
            raise Refused(E.UNKNOWN_TOPIC_OR_PARTITION if known else E.UNKNOWN_TOPIC_ID, "no such partition")
        if wish.leader_epoch > partition.leader_epoch or wish.partition_epoch > partition.partition_epoch:
            raise Refused(E.NOT_CONTROLLER, "an epoch that was never given out")
        if wish.leader_epoch < partition.leader_epoch or partition.leader != node_id:
            raise Refused(E.FENCED_LEADER_EPOCH, "another leader epoch")
        if wish.partition_epoch < partition.partition_epoch:
            raise Refused(E.INVALID_UPDATE_VERSION, "the partition has changed meanwhile")
        members = [member for member, _ in wish.members]
        if node_id not in members or not set(members) <= set(partition.replicas) or len(set(members)) != len(members):
            raise Refused(E.INVALID_REQUEST, "an ISR without the leader, or of others than the replicas")
        for member, epoch in wish.members:
            self._check_member(member, epoch, member in partition.isr)
        return partition

    def _check_member(self, node_id: int, epoch: int, already: bool) -> None:
        broker = self._ledger.broker(node_id)
        if broker is None or (epoch not in (-1, broker.epoch) and not already):
            raise Refused(E.INELIGIBLE_REPLICA, f"epoch {epoch} of node {node_id} is not the current one")
        if not already and (broker.fenced or self._is_over(broker) or node_id in self._stopping | self._mute):
            raise Refused(E.INELIGIBLE_REPLICA, f"node {node_id} is fenced, stops, or answers nobody")


def _isr_answer(number: int, code: E, partition: Partition | None) -> dict[str, Any]:
    empty = {"leader_id": NO_LEADER, "leader_epoch": 0, "isr": (), "partition_epoch": 0}
    state = empty if partition is None else {
        "leader_id": partition.leader,
        "leader_epoch": partition.leader_epoch,
        "isr": partition.isr,
        "partition_epoch": partition.partition_epoch,
    }  # fmt: skip
    return {"partition_index": number, "error_code": code, **state}
