"""One replica of one partition: what it may append, acknowledge and show, as leader or follower. Pure.

The problem: a leader answers thousands of times a second without asking anyone, and yet nothing that it acknowledged
may be lost, nor anything that it showed vanish, whoever leads next. Cluster-rules R1 and R2 say how; here they are:

- HW is the smallest synced end over the *maximal* ISR (committed members and proposed ones). It stands still while the
  committed ISR is below `min.insync.replicas`, and never goes back.
- acks=all is answered when HW has passed the batch; a duplicate's too.
- A member counts from the moment its AlterPartition is sent, and stops counting only when the answer is in hand.
- What needs no replication (acks=1, the latest offset) is answered by a *confirmed* leader only.

What holds: waiting produces are told in the order of their offsets, each once. Nobody here looks at a clock or a disk;
the log is told what to do, and `host` carries out the rest.
"""

from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, NamedTuple, Protocol

from server.log import Log
from server.now import Now
from server.storage import StorageError
from server.topic_rules import TopicRules
from server.traffic import TopicTraffic
from wire.batches import BatchHeader, read_header, stamp_append_time
from wire.cluster import NO_LEADER
from wire.cluster import Partition as PartitionState
from wire.errors import ErrorCode

ANY_EPOCH: Final = -1
"""A request that doesn't tell which leader epoch it means (KIP-320)."""

CONFIRM_MS: Final = 2_000
"""`leader.confirm.ms` of R2: after how long without a sign from the others a leader answers nothing unreplicated."""

NEVER_MS: Final = 2**62
"""The deadline of who waits without one."""

Done = Callable[[ErrorCode, Now], None]


class Role(Enum):
    OFFLINE = "offline"
    FOLLOWER = "follower"
    LEADER = "leader"


class Refused(Exception):
    """A request that this replica can't or may not carry out. `code` is the answer to it."""

    def __init__(self, code: ErrorCode, reason: str | None = None) -> None:
        super().__init__(reason or code.name)
        self.code = code
        self.reason = reason


class Stored(NamedTuple):
    """A batch that is in the log. `append_time_ms` is -1 unless the topic has LogAppendTime."""

    base_offset: int
    last_offset: int
    append_time_ms: int


class Watcher(Protocol):
    """A parked fetch."""

    is_woken: bool


class Host(Protocol):
    """What a partition has done for it."""

    def wake(self, watcher: Watcher) -> None:
        """There may be something for it now."""
        ...

    def sync(self, partition: "Partition") -> None:
        """Its log has something for the disk."""
        ...

    def propose_isr(self, partition: "Partition", isr: tuple[int, ...]) -> None:
        """Ask control (AlterPartition); what it says comes by `altered`, or by the next image."""
        ...

    def watch_time(self, partition: "Partition", deadline_ms: int) -> None:
        """Call `expire` then."""
        ...


UNDONE: Final = frozenset({ErrorCode.INELIGIBLE_REPLICA, ErrorCode.INVALID_REQUEST, ErrorCode.OPERATION_NOT_ATTEMPTED})
"""Control's answers by which a proposed ISR has not come to be."""

OUTDATED: Final = frozenset({
    ErrorCode.NEW_LEADER_ELECTED, ErrorCode.FENCED_LEADER_EPOCH, ErrorCode.INVALID_UPDATE_VERSION,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID,
})  # fmt: skip
"""Those by which control knows more than is known here, and the next image says it. Any other is asked again."""

REFUSED_MS: Final = 1_000
"""Who was refused isn't proposed again at its every Fetch: it stops, or comes back as another."""


class Waiting(NamedTuple):
    """Somebody who waits for HW to pass an offset."""

    last_offset: int
    deadline_ms: int
    done: Done


class Follower:
    """What the leader knows of another replica. Offsets are -1 before its first Fetch in this epoch."""

    __slots__ = (
        "answered_ms",
        "broker_epoch",
        "caught_up_ms",
        "confirmed_ms",
        "end",
        "end_at_fetch",
        "refused_ms",
        "synced_end",
    )

    def __init__(self, now_ms: int) -> None:
        self.end = -1
        self.synced_end = -1
        self.broker_epoch = -1
        """Of the life that these Fetches came from (KIP-903)."""
        self.refused_ms = -REFUSED_MS
        """When control has refused to take it into the ISR."""
        self.caught_up_ms = now_ms
        """When it last had all that the leader had at the time of its Fetch before (Kafka's lastCaughtUpTimeMs)."""
        self.end_at_fetch = -1
        self.answered_ms = -1
        """When its last Fetch was answered."""
        self.confirmed_ms = -1
        """The time of the newest answer that it has surely seen."""


class Partition:
    """See the module. `log` is None until it is opened, and while it can't be."""

    __slots__ = (
        "_timed_to_ms",
        "elr",
        "epoch_start",
        "followers",
        "high_watermark",
        "host",
        "isr",
        "leader",
        "leader_epoch",
        "log",
        "node_id",
        "number",
        "open_error",
        "partition_epoch",
        "proposed",
        "proposed_epochs",
        "raw_id",
        "replicas",
        "role",
        "rules",
        "serves_from_ms",
        "settled_size",
        "state",
        "topic",
        "topic_id",
        "traffic",
        "waiting",
        "watchers",
    )

    def __init__(
        self,
        node_id: int,
        topic: str,
        state: PartitionState,
        rules: TopicRules,
        host: Host,
        traffic: TopicTraffic | None = None,
    ) -> None:
        self.node_id = node_id
        self.topic = topic
        self.topic_id = state.topic
        self.raw_id = bytes.fromhex(state.topic)
        self.number = state.partition
        self.rules = rules
        self.host = host
        self.traffic = traffic or TopicTraffic()
        """Its topic's."""
        self.log: Log | None = None
        self.open_error: StorageError | None = None
        """Why there is no log, for now or for good."""
        self.role = Role.OFFLINE
        self.state = state
        """As control wants it; it is acted on once there is a log."""
        self.leader = NO_LEADER
        self.leader_epoch = -1
        self.partition_epoch = -1
        self.replicas: tuple[int, ...] = ()
        self.isr: tuple[int, ...] = ()
        self.elr: tuple[int, ...] = ()
        self.proposed: tuple[int, ...] | None = None
        self.proposed_epochs: dict[int, int] = {}
        """The broker epochs of its members, as of the Fetch by which they were proposed."""
        self.settled_size = 1
        """How many replicas there are while or once no move is under way."""
        self.high_watermark = 0
        self.epoch_start = 0
        self.serves_from_ms = 0
        self.followers: dict[int, Follower] = {}
        self.waiting: deque[Waiting] = deque()
        self.watchers: dict[Watcher, None] = {}
        self._timed_to_ms: int | None = None

    def __repr__(self) -> str:
        return f"<{self.topic}-{self.number} {self.role.value} epoch {self.leader_epoch}>"

    @property
    def name(self) -> str:
        """Of its directory, as in Kafka."""
        return f"{self.topic}-{self.number}"

    @property
    def may_be_rebuilt(self) -> bool:
        """R8: somebody else leads, and nobody counts on what is here, nor could: it is in neither ISR nor ELR."""
        state = self.state
        others = state.leader not in (NO_LEADER, self.node_id)
        return others and self.node_id not in state.isr and self.node_id not in state.elr

    # --- its role ------------------------------------------------------------------------------------------------

    def opened(self, log: Log, now: Now) -> None:
        """There is a log: from now on it is what control wants it to be."""
        assert self.log is None
        self.log, self.open_error = log, None
        self.high_watermark = log.log_start
        self.apply(self.state, now)

    def apply(self, state: PartitionState, now: Now) -> None:
        """Be what the image says. An older partition epoch than the one known changes nothing."""
        self.state = state
        if self.log is None or state.partition_epoch < self.partition_epoch:
            return
        old_epoch, was, before = self.leader_epoch, self.role, self.replicas
        self.leader, self.leader_epoch = state.leader, state.leader_epoch
        self._commit_isr(state.isr, state.partition_epoch)
        self.elr, self.replicas = state.elr, state.replicas
        self.settled_size = len(state.replicas) - max(len(state.adding), len(state.removing))
        leads = state.leader == self.node_id
        if leads and (was is not Role.LEADER or state.leader_epoch > old_epoch):
            self._lead(now, before)
        elif not leads:
            self._follow(was, old_epoch, now)
        if leads:
            self._keep_followers(now)
            self.advance(now)

    def _lead(self, now: Now, before: tuple[int, ...]) -> None:
        """R2: a new leader waits until the one before must have stopped, if there can be another one at all: at the end
        of a move it is no replica any more (`before` were), and may not know it yet. In epoch 0, which a registration
        ends (R3), there was none."""
        assert self.log is not None
        self.role = Role.LEADER
        self._refuse_waiting(ErrorCode.NOT_LEADER_OR_FOLLOWER, now)
        self.epoch_start = self.log.end_offset
        self.log.begin_epoch(self.leader_epoch)
        self.followers = {}
        self.proposed = None
        may_be_another = self.leader_epoch > 0 and bool({*self.replicas, *before} - {self.node_id})
        self.serves_from_ms = now.steady_ms + CONFIRM_MS if may_be_another else now.steady_ms
        self.host.sync(self)

    def _follow(self, was: Role, old_epoch: int, now: Now) -> None:
        self.role = Role.OFFLINE if self.leader == NO_LEADER else Role.FOLLOWER
        if was is Role.LEADER or old_epoch != self.leader_epoch:
            self.followers = {}
            self.proposed = None
            self._refuse_waiting(ErrorCode.NOT_LEADER_OR_FOLLOWER, now)
            self._wake()

    def _keep_followers(self, now: Now) -> None:
        others = [node for node in self.replicas if node != self.node_id]
        self.followers = {node: self.followers.get(node) or Follower(now.steady_ms) for node in others}

    def close(self, now: Now) -> Log | None:
        """It isn't held here any more, or can't be. The log, for who closes it."""
        log, self.log = self.log, None
        self.role = Role.OFFLINE
        self._refuse_waiting(ErrorCode.NOT_LEADER_OR_FOLLOWER, now)
        self._wake()
        return log

    def failed(self, error: StorageError, now: Now) -> None:
        """The disk failed: nothing is acknowledged or tried again (R8)."""
        if self.log is not None and self.log.failure is None:
            self.log.fail(error)
        self._refuse_waiting(ErrorCode.KAFKA_STORAGE_ERROR, now)
        self._wake()

    def led(self, epoch: int = ANY_EPOCH) -> Log:
        """The log, if this replica leads in `epoch`. Raises Refused, as KIP-320 has it."""
        log = self.log
        if self.role is not Role.LEADER or log is None:
            raise Refused(
                ErrorCode.NOT_LEADER_OR_FOLLOWER if self.open_error is None else ErrorCode.KAFKA_STORAGE_ERROR
            )
        if epoch not in (ANY_EPOCH, self.leader_epoch):
            raise Refused(
                ErrorCode.FENCED_LEADER_EPOCH if epoch < self.leader_epoch else ErrorCode.UNKNOWN_LEADER_EPOCH
            )
        if log.failure is not None:
            raise Refused(ErrorCode.KAFKA_STORAGE_ERROR)
        return log

    def is_confirmed(self, now: Now) -> bool:
        """R2: surely nobody else leads."""
        if self.role is not Role.LEADER or now.steady_ms < self.serves_from_ms:
            return False
        others = [node for node in self.isr if node != self.node_id]
        if not others:
            return not self.elr
        since = now.steady_ms - CONFIRM_MS
        return all((known := self.followers.get(node)) is not None and known.confirmed_ms > since for node in others)

    # --- appending -------------------------------------------------------------------------------------------------

    def append(self, batch: bytearray | memoryview, header: BatchHeader, now: Now, acks: int = -1) -> Stored:
        """Put one checked batch into the log, or find it there. Raises Refused, ProducerError or StorageError.

        With acks=-1 the caller waits (`wait`) for the last offset.
        """
        log = self.led()
        if acks < 0:
            if self.is_short():
                raise Refused(ErrorCode.NOT_ENOUGH_REPLICAS)
        elif acks and not self.is_confirmed(now):
            raise Refused(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        again = log.producers.check(header)
        if again is not None:
            return Stored(
                again.base_offset, again.last_offset, again.timestamp_ms if self.rules.has_append_time else -1
            )
        append_time_ms = -1
        if self.rules.has_append_time:
            append_time_ms = now.wall_ms
            stamp_append_time(batch, 0, append_time_ms)
            header = read_header(batch)
        base = log.append(batch, header, self.leader_epoch)
        traffic = self.traffic
        traffic.messages_in += header.records_count
        traffic.bytes_in += len(batch)
        return Stored(base, base + header.last_offset_delta, append_time_ms)

    def appended(self, now: Now) -> None:
        """After one or more appends: what follows from them."""
        log = self.log
        if log is None:
            return
        if log.wants_sync:
            self.host.sync(self)
        self.advance(now)
        if self.followers:
            self._wake()

    def wait(self, last_offset: int, deadline_ms: int, done: Done) -> None:
        """Call `done` when HW has passed `last_offset`, or it can't any more, or time is over: always later."""
        self.waiting.append(Waiting(last_offset, deadline_ms, done))
        if deadline_ms == NEVER_MS:
            return
        if self._timed_to_ms is None or deadline_ms < self._timed_to_ms:
            self._timed_to_ms = deadline_ms
            self.host.watch_time(self, deadline_ms)

    def expire(self, now: Now) -> None:
        """Time is over for some who wait. They may have been appended all the same (REQUEST_TIMED_OUT)."""
        self._timed_to_ms = None
        code = ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND if self.is_short() else ErrorCode.REQUEST_TIMED_OUT
        late = [waiting for waiting in self.waiting if waiting.deadline_ms <= now.steady_ms]
        self.waiting = deque(waiting for waiting in self.waiting if waiting.deadline_ms > now.steady_ms)
        next_ms = min((waiting.deadline_ms for waiting in self.waiting), default=NEVER_MS)
        if next_ms != NEVER_MS:
            self._timed_to_ms = next_ms
            self.host.watch_time(self, next_ms)
        for waiting in late:
            waiting.done(code, now)

    def synced(self, now: Now) -> None:
        """A sync job is done and told to the log."""
        log = self.log
        if log is None:
            return
        if log.wants_sync:
            self.host.sync(self)
        if self.role is Role.LEADER:
            self.advance(now)

    # --- R1 --------------------------------------------------------------------------------------------------------

    def is_short(self) -> bool:
        """The committed ISR is below `min.insync.replicas`, of which no more count than the topic has replicas: with
        one replica, 2 is as good as 1 (Kafka's Partition.effectiveMinIsr, and what control counts for the ELR)."""
        wanted = self.rules.min_insync_replicas
        return len(self.isr) < wanted and len(self.isr) < min(wanted, self.settled_size)

    def maximal_isr(self) -> Iterable[int]:
        """Committed members and proposed ones."""
        return self.isr if self.proposed is None else {*self.isr, *self.proposed}

    def advance(self, now: Now) -> None:
        """Move HW as far as R1 lets it, and tell who waited for that."""
        log = self.log
        if log is None or self.role is not Role.LEADER or self.is_short():
            return
        end = log.safe_end
        if self.followers:
            for node in self.maximal_isr():
                if node != self.node_id:
                    known = self.followers.get(node)
                    end = min(end, -1 if known is None else known.synced_end)
        if end > self.high_watermark:
            self.high_watermark = end
            self._tell_waiting(now)
            self._wake()

    def _tell_waiting(self, now: Now) -> None:
        """Who is told may append, and so come back here; the order stays, as each is taken out before it is told."""
        while self.waiting and self.waiting[0].last_offset < self.high_watermark:
            self.waiting.popleft().done(ErrorCode.NONE, now)

    def _refuse_waiting(self, code: ErrorCode, now: Now) -> None:
        refused, self.waiting = self.waiting, deque()
        for waiting in refused:
            waiting.done(code, now)

    def _wake(self) -> None:
        for watcher in self.watchers:
            if not watcher.is_woken:
                self.host.wake(watcher)

    # --- followers ---------------------------------------------------------------------------------------------------

    def fetched(self, node: int, broker_epoch: int, end: int, synced_end: int, now: Now) -> None:
        """Replica `node` has all below `end`, of which it has synced what is below `synced_end`. Raises Refused."""
        known = self.followers.get(node)
        if known is None:
            raise Refused(ErrorCode.UNKNOWN_LEADER_EPOCH)  # not a replica yet, as far as is known here: ask again
        log = self.led()
        if end >= log.end_offset:
            known.caught_up_ms = now.steady_ms
        elif end >= known.end_at_fetch >= 0 and known.answered_ms >= 0:
            known.caught_up_ms = max(known.caught_up_ms, known.answered_ms)
        known.end_at_fetch = log.end_offset
        if broker_epoch != known.broker_epoch:
            known.refused_ms = -REFUSED_MS
        known.end, known.synced_end, known.broker_epoch = end, min(end, synced_end), broker_epoch
        known.confirmed_ms = known.answered_ms
        self._consider(node, known, now)
        self.advance(now)

    def answered(self, node: int, now: Now) -> None:
        """A Fetch of replica `node` is being answered (R2)."""
        known = self.followers.get(node)
        if known is not None:
            known.answered_ms = now.steady_ms

    def _consider(self, node: int, known: Follower, now: Now) -> None:
        """R6: who has all up to HW and to the start of this epoch, synced, belongs into the ISR: a move may end with it
        as the only replica."""
        if node in self.isr or self.proposed is not None or now.steady_ms - known.refused_ms < REFUSED_MS:
            return
        if known.synced_end >= self.high_watermark and known.synced_end >= self.epoch_start:
            self._propose((*self.isr, node))

    def shrink(self, lag_ms: int, now: Now) -> None:
        """Propose an ISR without those who were not caught up for `lag_ms` (`replica.lag.time.max.ms`)."""
        if self.role is not Role.LEADER or self.proposed is not None:
            return
        late = {node for node, known in self.followers.items() if now.steady_ms - known.caught_up_ms > lag_ms}
        if late & set(self.isr):
            self._propose(tuple(node for node in self.isr if node not in late))

    def _propose(self, isr: tuple[int, ...]) -> None:
        """Epochs are told as they are now, whenever it is asked again: a follower that comes back with another disk
        meanwhile has not what it was proposed for."""
        self.proposed = isr
        self.proposed_epochs = {node: known.broker_epoch for node, known in self.followers.items() if node in isr}
        self.host.propose_isr(self, isr)

    def altered(self, code: ErrorCode, isr: tuple[int, ...], partition_epoch: int, now: Now) -> bool:
        """Control's committed answer to the proposal; whether it is to be asked again, as without an answer (R1).

        Only where control says that it wasn't done, and nothing else was, is it as if never proposed. Every other error
        means that control knows more than is known here: the proposed members count until the image says what is so.
        NEW_LEADER_ELECTED above all: it was done, and a move ended by it, so one of those members leads by now; what HW
        passed without them would be acknowledged here and lost there (as Kafka's Partition.handleAlterPartitionError).
        """
        if code in UNDONE:
            self._refused(now)
        elif not code and partition_epoch > self.partition_epoch:
            self._commit_isr(isr, partition_epoch)
        self.advance(now)
        return bool(code) and code not in UNDONE and code not in OUTDATED

    def _refused(self, now: Now) -> None:
        for node in self.proposed or ():
            if node not in self.isr and node in self.followers:
                self.followers[node].refused_ms = now.steady_ms
        self.proposed = None

    def _commit_isr(self, isr: tuple[int, ...], partition_epoch: int) -> None:
        if partition_epoch != self.partition_epoch:
            self.isr, self.partition_epoch, self.proposed = isr, partition_epoch, None

    def rewound(self, log: Log) -> None:
        """Its log was cut, or begun anew, as its leader wants it. HW is never above the end: after an unclean election
        it would be, and what this replica appends there, once it leads, would be acknowledged before anyone has it."""
        self.log = log
        self.high_watermark = max(log.log_start, min(self.high_watermark, log.end_offset))

    def follow_high_watermark(self, high_watermark: int) -> None:
        """What a leader says; as far as this log goes."""
        assert self.log is not None
        self.high_watermark = max(self.high_watermark, min(high_watermark, self.log.end_offset))
