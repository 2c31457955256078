"""One server's share of the queue: the partitions that it holds, and what its APIs ask of them. Pure.

The image says which partitions are here and who leads them; this makes them so, and is the one owner of all of it. What
needs a disk, a thread, a timer or control is done by a `World` (`server.aio.queue`), which comes back with the outcome.

What holds: a partition is served from the moment its log is open until its log is taken from it. Fetches that have
something to look at are looked at once for each turn of the loop, behind the answers to those who wrote. The group
coordinator of a partition is told of the end of its leadership before the partition is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, cast
from uuid import UUID

from server.api.broker_context import ParkedFetch
from server.api.cluster_context import Control, Outcome
from server.api.shape import Call
from server.auto_creation import SERVED_WAIT_S, AutoCreation
from server.cluster_view import Answers, endpoint_of
from server.control_requests import (
    ALLOCATE_VERSION,
    ALTER_PARTITION_VERSION,
    UNKNOWN_EPOCH,
    Proposal,
    allocate_producer_ids,
    allocated,
    alter_partition,
    altered,
)
from server.fetch_sessions import FetchSessions
from server.group_words import GroupSettings
from server.groups import Groups
from server.log import Log, OffsetOutOfRange
from server.now import Now
from server.partition import NEVER_MS, Done, Partition, Refused, Role, Watcher
from server.storage import StorageError
from server.topic_rules import TopicRules, topic_rules
from server.traffic import TopicTraffic
from server.waiting import Deadlines, Waiter
from wire.answer_parts import CurrentLeader, Endpoint, Topic
from wire.batches import LENGTH_END, BatchError, read_header, walk, whole_end
from wire.cluster import NO_LEADER, Image
from wire.cluster import Partition as PartitionState
from wire.errors import ErrorCode
from wire.primitives import WireError
from wire.topic_names import OFFSETS_TOPIC
from wire.versions import ALLOCATE_PRODUCER_IDS, ALTER_PARTITION

INTERNAL_LISTENER: Final = "INTERNAL"

CONTROL_TIMEOUT_S: Final = 5.0

REPLAYED_BYTES: Final = 256 * 1024
"""Read at once while a group coordinator loads: about a millisecond of the loop's time."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Kafka's names stand behind each."""

    log_dir: str = ""
    lag_ms: int = 30_000  # replica.lag.time.max.ms
    producer_expiry_ms: int = 86_400_000  # producer.id.expiration.ms
    auto_create: bool = True  # auto.create.topics.enable
    cleaner_backoff_ms: int = 15_000  # log.cleaner.backoff.ms
    groups: GroupSettings = field(default_factory=GroupSettings)


class World(Protocol):
    """Who carries out what a broker can't."""

    def open(self, partition: Partition) -> None:
        """Open or create its log, then call `opened` or `open_failed`."""
        ...

    def retire(self, partition: Partition, log: Log | None, is_deleted: bool) -> None:
        """It isn't held any more: close the log, and put its directory away."""
        ...

    def sync(self, partition: Partition) -> None:
        """Have its log's sync job run, unless one is under way, then call `Partition.synced` or `disk_failed`."""
        ...

    def disk_failed(self, partition: Partition, error: StorageError) -> None:
        """Its log has failed, because the disk has, while others count on this server (R8: resign). What is merely
        damaged is none of this: the next life would find it just so. Maybe told more than once."""
        ...

    def run_soon(self) -> None:
        """Call `run` when this turn of the loop is over."""
        ...

    def deadline_is_earlier(self) -> None:
        """`Broker.deadlines` has something before all else."""
        ...

    def leaders_changed(self) -> None:
        """What `followed` yields may have changed."""
        ...

    def disk_bytes(self) -> tuple[int, int]: ...


class Broker:
    """See the module. `new_id`: random text for member ids; `new_number`: random positive int32s."""

    def __init__(
        self,
        node_id: int,
        cluster_id: str,
        settings: BrokerSettings,
        world: World,
        control: Control,
        clock: Callable[[], Now],
        new_id: Callable[[], str],
        new_number: Callable[[], int],
    ) -> None:
        self.node_id = node_id
        self.cluster_id = cluster_id
        self.settings = settings
        self.started_with: Mapping[str, str] = {}
        """What the server was told at its start, in Kafka's names: as DescribeConfigs shows it."""
        self.image = Image()
        self.answers = Answers()
        self.control = control
        self.sessions = FetchSessions(new_number)
        self.deadlines = Deadlines()
        self.traffic: dict[str, TopicTraffic] = {}
        """By topic, of all that were ever held here and still exist."""
        self.traffic_gone = TopicTraffic()
        """Of all that were deleted: totals don't go down."""
        self.opening: set[Partition] = set()
        """Whose logs are being opened."""
        self._world = world
        self._clock = clock
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._by_topic: dict[Topic, dict[int, Partition]] = {}
        self._creation = AutoCreation(control)
        self._proposals: dict[Partition, tuple[int, ...]] = {}
        self._unanswered: dict[Partition, tuple[int, ...]] = {}
        """Proposals that control may or may not have seen."""
        self._woken: list[ParkedFetch] = []
        self._loading: dict[int, Iterator[None]] = {}
        self._producer_ids = range(0)
        self._next_ids = range(0)
        self._has_asked_ids = False
        self.groups = Groups(settings.groups, new_id, self.append_for_group, self._is_confirmed)
        self.topics = ImageTopics(self)

    # --- the image -------------------------------------------------------------------------------------------------

    def apply(self, image: Image, now: Now) -> None:
        """Hold what this image says. Logs of new partitions come later (`opening`)."""
        old, self.image = self.image, image
        for key in [key for key in self._partitions if not self._is_mine(image.partitions.get(key))]:
            self._leave(key, is_deleted=key not in image.partitions, now=now)
        for key, state in image.partitions.items():
            if state is not old.partitions.get(key) and self._is_mine(state):
                self._hold(state, now)
        if image.topics is not old.topics or image.configs is not old.configs:
            self._set_rules(now)
        for topic_id, name in old.names.items():
            if topic_id not in image.names:
                self.groups.topic_deleted(name, now)
                self.traffic_gone.add(self.traffic.pop(name, TopicTraffic()))
        offsets = image.topics.get(OFFSETS_TOPIC)
        self.groups.partitions = len(image.partitions_of(offsets.id)) if offsets is not None else None
        if offsets is not None and old.version and OFFSETS_TOPIC not in old.topics:
            self._create_offsets()  # somebody's creation: learn when its leaders serve
        self._world.leaders_changed()

    def _is_mine(self, state: PartitionState | None) -> bool:
        return state is not None and self.node_id in state.replicas

    def _hold(self, state: PartitionState, now: Now) -> None:
        partition = self._partitions.get(state.key)
        if partition is not None:
            self._change(partition, state, now)
            return
        topic = self.image.names[state.topic]
        traffic = self.traffic.setdefault(topic, TopicTraffic())
        partition = Partition(self.node_id, topic, state, self._rules_of(topic), self, traffic)
        self._partitions[state.key] = partition
        for name in (topic, partition.raw_id):
            self._by_topic.setdefault(name, {})[state.partition] = partition
        self.opening.add(partition)
        self._world.open(partition)

    def _change(self, partition: Partition, state: PartitionState, now: Now) -> None:
        led, epoch = partition.role is Role.LEADER, partition.leader_epoch
        is_groups = partition.topic == OFFSETS_TOPIC
        if is_groups and led and (state.leader != self.node_id or state.leader_epoch > epoch):
            self._loading.pop(partition.number, None)
            self.groups.resign(partition.number, now)
        partition.apply(state, now)
        leads = partition.role is Role.LEADER
        if is_groups and leads and (not led or partition.leader_epoch > epoch):
            self._load_groups(partition, now)
        if partition.open_error is not None and partition.may_be_rebuilt:
            self.open_again(partition)

    def _leave(self, key: tuple[str, int], is_deleted: bool, now: Now) -> None:
        partition = self._partitions.pop(key)
        for name in (partition.topic, partition.raw_id):
            numbers = self._by_topic.get(name, {})
            if numbers.get(partition.number) is partition:
                del numbers[partition.number]
            if not numbers:
                self._by_topic.pop(name, None)
        if partition.topic == OFFSETS_TOPIC:
            self._loading.pop(partition.number, None)
            self.groups.resign(partition.number, now)
        self.opening.discard(partition)
        self._world.retire(partition, partition.close(now), is_deleted)

    def opened(self, partition: Partition, log: Log, now: Now) -> bool:
        """Its log is open. False if it isn't held any more: the caller retires it."""
        self.opening.discard(partition)
        if self._partitions.get(partition.state.key) is not partition:
            return False
        log.settings = partition.rules.log
        partition.opened(log, now)
        if partition.topic == OFFSETS_TOPIC and partition.role is Role.LEADER:
            self._load_groups(partition, now)
        self._world.leaders_changed()
        return True

    def open_failed(self, partition: Partition, error: StorageError) -> None:
        """It stays offline: KAFKA_STORAGE_ERROR until another replica or the operator helps. As a leader it makes room
        for one that is in sync."""
        self.opening.discard(partition)
        partition.open_error = error
        state = partition.state
        if error.final and error.is_io and state.leader == self.node_id and len(state.isr) > 1:
            self._world.disk_failed(partition, error)

    def open_again(self, partition: Partition) -> None:
        """What kept its log from being opened may be over: the disk was full, or others have all that it had."""
        if partition not in self.opening and self._partitions.get(partition.state.key) is partition:
            self.opening.add(partition)
            self._world.open(partition)

    def retry_opening(self) -> None:
        """Now and then: what may have been a full disk."""
        for partition in self.held():
            if partition.open_error is not None and not partition.open_error.final:
                self.open_again(partition)

    def _set_rules(self, now: Now) -> None:
        rules: dict[str, TopicRules] = {}
        for partition in self._partitions.values():
            if partition.topic not in rules:
                rules[partition.topic] = self._rules_of(partition.topic)
            partition.rules = rules[partition.topic]
            if partition.log is not None:
                partition.log.settings = partition.rules.log
            partition.advance(now)

    def _rules_of(self, topic: str) -> TopicRules:
        configs = {**self.image.configs.get(None, {}), **self.image.configs.get(self.node_id, {})}
        return topic_rules(self.image.topics[topic].configs, configs)

    # --- what APIs ask (server.api.broker_context) -----------------------------------------------------------------

    def find(self, topic: Topic, number: int) -> Partition | None:
        numbers = self._by_topic.get(topic)
        return None if numbers is None else numbers.get(number)

    def why_not(self, topic: Topic, number: int) -> ErrorCode:
        is_known = self._state_of(topic, number) is not None
        if is_known:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        if isinstance(topic, str) or topic.hex() in self.image.names:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return ErrorCode.UNKNOWN_TOPIC_ID

    def _state_of(self, topic: Topic, number: int) -> PartitionState | None:
        if isinstance(topic, bytes):
            return self.image.partitions.get((topic.hex(), number))
        found = self.image.topics.get(topic)
        return None if found is None else self.image.partitions.get((found.id, number))

    def leader_of(self, topic: Topic, number: int) -> CurrentLeader | None:
        state = self._state_of(topic, number)
        return None if state is None else CurrentLeader(state.leader, state.leader_epoch)

    def endpoint_of(self, node_id: int, listener: str) -> Endpoint | None:
        return endpoint_of(self.image, node_id, listener)

    def held(self) -> list[Partition]:
        return sorted(self._partitions.values(), key=lambda partition: (partition.topic, partition.number))

    def followed(self) -> Iterator[Partition]:
        """Which partitions this server follows another in."""
        for partition in self._partitions.values():
            if partition.role is Role.FOLLOWER and partition.log is not None and partition.log.failure is None:
                yield partition

    @property
    def log_dir(self) -> str:
        return self.settings.log_dir

    def disk_bytes(self) -> tuple[int, int]:
        return self._world.disk_bytes()

    def disk_failed(self, partition: Partition, error: StorageError, now: Now) -> None:
        """Something that its log was to do failed: for good, or (a full disk) for now."""
        log = partition.log
        if error.final or (log is not None and log.failure is not None):
            if partition.topic == OFFSETS_TOPIC:
                self._loading.pop(partition.number, None)
                self.groups.resign(partition.number, now)
            partition.failed(error, now)
            if error.is_io:
                self._world.disk_failed(partition, error)

    @property
    def auto_creates_topics(self) -> bool:
        return self.settings.auto_create

    def create_topics(self, names: Sequence[str], done: Callable[[], None]) -> None:
        """See `server.api.cluster_context`."""
        self._creation.create(names, done)

    def check_replica(self, call: Call, replica_id: int, replica_epoch: int) -> ErrorCode:
        """R9. Who has logged in speaks for itself only, by its current life."""
        if call.listener != INTERNAL_LISTENER or call.node_id != replica_id:
            return ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        broker = self.image.brokers.get(replica_id)
        if broker is None or broker.fenced or broker.epoch != replica_epoch:
            return ErrorCode.STALE_BROKER_EPOCH
        return ErrorCode.NONE

    # --- producers' numbers ----------------------------------------------------------------------------------------

    def next_producer_id(self) -> int | ErrorCode:
        """A new block is asked for while the last one is in use, so that nobody waits for it."""
        self._producer_ids = self._producer_ids or self._next_ids
        if self._producer_ids is self._next_ids:
            self._next_ids = range(0)
        if not self._next_ids:
            self.ask_producer_ids()
        if not self._producer_ids:
            return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        found, self._producer_ids = self._producer_ids[0], self._producer_ids[1:]
        return found

    def ask_producer_ids(self) -> None:
        """Also once at the start. At most one question is under way."""
        if not self._has_asked_ids:
            self._has_asked_ids = True
            body = allocate_producer_ids(self.node_id, self._broker_epochs())
            self.control.ask(ALLOCATE_PRODUCER_IDS, ALLOCATE_VERSION, body, CONTROL_TIMEOUT_S, self._given_producer_ids)

    def _given_producer_ids(self, outcome: Outcome) -> None:
        """Where there is no answer it is asked again when the next one is needed."""
        self._has_asked_ids = False
        if isinstance(outcome, memoryview):
            self._next_ids = allocated(outcome) or self._next_ids

    def _broker_epochs(self) -> dict[int, int]:
        return {node: broker.epoch for node, broker in self.image.brokers.items()}

    # --- partitions' host ------------------------------------------------------------------------------------------

    def wake(self, watcher: Watcher) -> None:
        watcher.is_woken = True
        if not self._woken:
            self._world.run_soon()
        self._woken.append(cast("ParkedFetch", watcher))

    def park(self, watcher: Waiter, deadline_ms: int) -> None:
        if self.deadlines.add(deadline_ms, watcher):
            self._world.deadline_is_earlier()

    def watch_time(self, partition: Waiter, deadline_ms: int) -> None:
        self.park(partition, deadline_ms)

    def sync(self, partition: Partition) -> None:
        self._world.sync(partition)

    def propose_isr(self, partition: Partition, isr: tuple[int, ...]) -> None:
        """All of one turn go with one request. At most one is under way for a partition: what control says of an older
        one must not be taken for its word on a newer one."""
        self._unanswered.pop(partition, None)
        self._proposals[partition] = isr
        self._world.run_soon()

    def _send_proposals(self) -> None:
        sent, self._proposals = self._proposals, {}
        proposals = [
            Proposal(
                partition.topic_id,
                partition.number,
                partition.leader_epoch,
                partition.partition_epoch,
                tuple([(node, partition.proposed_epochs.get(node, UNKNOWN_EPOCH)) for node in isr]),
            )
            for partition, isr in sent.items()
        ]
        body = alter_partition(self.node_id, self._broker_epochs(), proposals)
        answered = partial(self._altered, sent, {partition: partition.partition_epoch for partition in sent})
        self.control.ask(ALTER_PARTITION, ALTER_PARTITION_VERSION, body, CONTROL_TIMEOUT_S, answered)

    def _altered(self, sent: dict[Partition, tuple[int, ...]], epochs: dict[Partition, int], outcome: Outcome) -> None:
        """R1: what control said. Nothing said isn't "no": it counts as proposed, and is asked again. A word on a state
        that is over says nothing about what was proposed since."""
        now = self._clock()
        told = list(altered(outcome)) if isinstance(outcome, memoryview) else []
        again = {partition: isr for partition, isr in sent.items() if partition.partition_epoch == epochs[partition]}
        for one in told:
            partition = self._partitions.get((one.topic, one.partition))
            if partition is None or partition not in again:
                continue
            if not partition.altered(one.code, one.isr, one.partition_epoch, now):
                del again[partition]
        self._unanswered |= again

    def ask_again(self) -> None:
        """Every second or so: proposals without an answer that are still wanted."""
        unanswered, self._unanswered = self._unanswered, {}
        for partition, isr in unanswered.items():
            if partition.proposed == isr and partition.role is Role.LEADER:
                self.propose_isr(partition, isr)

    # --- time ------------------------------------------------------------------------------------------------------

    def run(self, now: Now) -> None:
        """What was put off to the end of the turn: woken fetches, and a slice of each log that is being replayed."""
        woken, self._woken = self._woken, []
        for fetch in woken:
            fetch.look(now)
        if self._proposals:
            self._send_proposals()
        for number, steps in list(self._loading.items()):
            if next(steps, self) is self:  # the end: `self` stands for "nothing more"
                self._loading.pop(number, None)
        if self._loading:
            self._world.run_soon()

    def tick_groups(self, now: Now) -> None:
        """Every tenth of a second: sessions and rebalances, which are measured in seconds."""
        deadline = self.groups.next_deadline()
        if deadline is not None and deadline <= now.steady_ms:
            self.groups.tick(now)

    def keep_house(self, now: Now) -> None:
        """Every few minutes: retention, silent producers, and followers that lag."""
        for partition in self._partitions.values():
            log = partition.log
            if log is None or log.failure is not None:
                continue
            try:
                log.producers.expire(now.wall_ms, self.settings.producer_expiry_ms)
                if partition.role is Role.LEADER:
                    log.retain(now.wall_ms, partition.high_watermark)
                if log.wants_sync:
                    self._world.sync(partition)
            except StorageError as error:
                self.disk_failed(partition, error, now)

    def shrink_isrs(self, now: Now) -> None:
        """Every `lag_ms` / 2, as Kafka does."""
        for partition in self._partitions.values():
            partition.shrink(self.settings.lag_ms, now)

    # --- group coordinators ----------------------------------------------------------------------------------------

    def append_for_group(self, number: int, batch: bytearray, done: Done) -> None:
        """See `server.groups.AppendBatch`."""
        now = self._clock()
        partition = self.find(OFFSETS_TOPIC, number)
        try:
            if partition is None:
                raise Refused(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            # A group's record has what its clients put into it. A batch that no Fetch can carry would be the end of its
            # followers, in everything that they follow here.
            if len(batch) > partition.rules.max_message_bytes + LENGTH_END:
                raise Refused(ErrorCode.MESSAGE_TOO_LARGE)
            stored = partition.append(memoryview(batch), read_header(batch), now)
            partition.appended(now)
        except Refused as error:
            done(error.code, now)
            return
        except StorageError as error:
            assert partition is not None
            done(error.code, now)
            self.disk_failed(partition, error, now)
            return
        if stored.last_offset < partition.high_watermark:
            done(ErrorCode.NONE, now)
        else:
            partition.wait(stored.last_offset, NEVER_MS, done)

    def locate_group(self, group_id: str, listener: str) -> Endpoint | ErrorCode:
        """See `server.api.context`."""
        number = self.groups.partition_of(group_id)
        if number is None:
            self._create_offsets()
        if number is None or self._creation.is_under_way(OFFSETS_TOPIC):  # its leaders may not know that they are
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        leader = self.leader_of(OFFSETS_TOPIC, number)
        if leader is None or leader.leader_id == NO_LEADER:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        return self.endpoint_of(leader.leader_id, listener) or ErrorCode.COORDINATOR_NOT_AVAILABLE

    def _create_offsets(self) -> None:
        if not self._creation.is_under_way(OFFSETS_TOPIC):
            self._creation.create((OFFSETS_TOPIC,), lambda: None, SERVED_WAIT_S)

    def _is_confirmed(self, number: int) -> bool:
        partition = self.find(OFFSETS_TOPIC, number)
        return partition is not None and partition.is_confirmed(self._clock())

    def _load_groups(self, partition: Partition, now: Now) -> None:
        self.groups.lead(partition.number, now)
        self._loading[partition.number] = self._replay(partition)
        self._world.run_soon()

    def _replay(self, partition: Partition) -> Iterator[None]:
        """Slice by slice up to the end found at the election; then until HW has reached that."""
        log, epoch, end = partition.log, partition.leader_epoch, partition.epoch_start
        assert log is not None
        at = log.log_start
        try:
            while at < end:
                data = log.read(at, REPLAYED_BYTES)
                data = data[: whole_end(data, len(data))]
                if not data:
                    break
                self.groups.replay(partition.number, [data])
                at = _next_offset(data)
                yield
        except (WireError, BatchError, StorageError, OffsetOutOfRange):
            return  # it goes on loading for ever: better no answer than a wrong one
        finish = partial(self._finish_loading, partition.number)
        if partition.high_watermark >= end:
            finish(ErrorCode.NONE, self._clock())
        elif epoch == partition.leader_epoch:
            partition.wait(end - 1, NEVER_MS, finish)

    def _finish_loading(self, number: int, code: ErrorCode, now: Now) -> None:
        if not code:
            self.groups.finish_loading(number, now)


def _next_offset(data: bytes) -> int:
    """Behind the last of some whole batches."""
    *_, (_, last) = walk(data)
    return last.next_offset


class ImageTopics:
    """The topics as group APIs see them."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def has(self, name: str, partition: int) -> bool:
        topic = self._broker.image.topics.get(name)
        return topic is not None and (topic.id, partition) in self._broker.image.partitions

    def name_of(self, topic_id: UUID) -> str | None:
        return self._broker.image.names.get(topic_id.hex)

    def id_of(self, name: str) -> UUID | None:
        topic = self._broker.image.topics.get(name)
        return None if topic is None else UUID(topic.id)
