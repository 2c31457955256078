"""Clients' commands about topics, as they come to control: each part is done or refused for itself, as in Kafka.

A command that makes partitions is answered when their leaders serve: when every one of them has applied the version
that names it, or ANSWER_S later; and so is one that finds the topic being made. Kafka's own topics, and those that want
more servers than have registered, wait up to AWAIT_S for the ones that are still to come: right after a start the first
command must not depend on who was first (cluster-rules R11).
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from loadbalancer import elections
from loadbalancer.mover import AWAIT_S
from loadbalancer.queue_configs import TOPIC, altered
from loadbalancer.queue_ledger import Ledger
from loadbalancer.queue_topics import INTERNAL, MAX_PARTITIONS, find_topic, more_partitions, new_topic
from loadbalancer.queue_words import (
    AlterConfigs,
    ConfigChange,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    Effect,
    ElectLeaders,
    MorePartitions,
    NewTopic,
    QueueSettings,
    Refused,
    Reply,
    TopicCommand,
)
from wire.cluster import NO_LEADER, Partition, Topic
from wire.errors import ErrorCode as E

ANSWER_S: Final = 5.0
"""A leader that takes longer to apply a version is on its way out; the topic is there all the same."""

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An answer that waits until `nodes` have applied `version`, as they lead partitions of `topics`."""

    request: int
    values: Mapping[str, Any]
    version: int
    nodes: frozenset[int]
    deadline: float
    topics: frozenset[str]


class Commands:
    """Carries them out on the ledger."""

    def __init__(self, ledger: Ledger, settings: QueueSettings, new_id: Callable[[], str]) -> None:
        self._ledger = ledger
        self._settings = settings
        self._new_id = new_id
        self._answers: list[Waiting] = []
        self._parked: list[tuple[CreateTopics, float]] = []

    def hear(self, command: TopicCommand, now: float, hosts: frozenset[int], awaited: Collection[int]) -> list[Effect]:
        """What can be answered at once. `hosts` may be given partitions, `awaited` will be soon."""
        match command:
            case CreateTopics() if awaited and _lacks_hosts(command, hosts):
                self._parked.append((command, now + min(AWAIT_S, command.timeout_s)))
                return []
            case CreateTopics():
                return self._create(command, now, hosts)
            case CreatePartitions():
                return self._enlarge(command, now, hosts)
            case DeleteTopics():
                listed = [self._delete(*topic) for topic in command.topics]
                return [Reply(command.request, {"responses": listed})]
            case AlterConfigs():
                listed = [self._alter(change, command.validate_only) for change in command.resources]
                return [Reply(command.request, {"responses": listed})]
            case ElectLeaders():
                return [Reply(command.request, self._elect(command))]

    def settle(
        self, now: float, applied: Mapping[int, int], hosts: frozenset[int], awaited: Collection[int]
    ) -> list[Effect]:
        """What has become due, or possible."""
        parked, self._parked = self._parked, []
        effects: list[Effect] = []
        for command, deadline in parked:
            if awaited and now < deadline and _lacks_hosts(command, hosts):
                self._parked.append((command, deadline))
            else:
                effects += self._create(command, now, hosts)
        done = [waiting for waiting in self._answers if waiting.deadline <= now or self._is_served(waiting, applied)]
        self._answers = [waiting for waiting in self._answers if waiting not in done]
        return [*effects, *(Reply(waiting.request, waiting.values) for waiting in done)]

    def undo(self, version: int) -> list[int]:
        """All that came behind `version` was not committed; the requests that waited for it."""
        lost = [waiting.request for waiting in self._answers if waiting.version > version]
        self._answers = [waiting for waiting in self._answers if waiting.version <= version]
        return lost

    def forget(self, requests: frozenset[int]) -> None:
        """Nobody waits for these."""
        self._answers = [waiting for waiting in self._answers if waiting.request not in requests]
        self._parked = [(command, until) for command, until in self._parked if command.request not in requests]

    def deadline(self) -> float | None:
        times = [*(waiting.deadline for waiting in self._answers), *(deadline for _, deadline in self._parked)]
        return min(times, default=None)

    def _is_served(self, waiting: Waiting, applied: Mapping[int, int]) -> bool:
        live = self._ledger.live()
        return all(applied.get(node_id, -1) >= waiting.version for node_id in waiting.nodes if node_id in live)

    def _answer_when_served(
        self, request: int, values: Fields, names: Collection[str], made: list[Partition], now: float, timeout_s: float
    ) -> list[Effect]:
        same = [waiting for waiting in self._answers if not waiting.topics.isdisjoint(names)]
        if not made and not same:
            return [Reply(request, values)]
        nodes = frozenset(partition.leader for partition in made).union(*(waiting.nodes for waiting in same))
        version = self._ledger.image.version if made else max(waiting.version for waiting in same)
        until = now + min(ANSWER_S, max(timeout_s, 0.0))
        self._answers.append(Waiting(request, values, version, nodes, until, frozenset(names)))
        return []

    # --- topics

    def _create(self, command: CreateTopics, now: float, hosts: frozenset[int]) -> list[Effect]:
        names = Counter(topic.name for topic in command.topics)
        room = MAX_PARTITIONS
        made: list[Partition] = []
        listed: list[Fields] = []
        for wish in command.topics:
            try:
                if names[wish.name] > 1:
                    raise Refused(E.INVALID_REQUEST, "Duplicate topic name.")
                topic, partitions = self._make(wish, hosts, room, command.validate_only)
                room -= len(partitions)
                made += [] if command.validate_only else partitions
                listed.append(_created(topic, partitions))
            except Refused as fault:
                listed.append({"name": wish.name, **_fault(fault), "topic_id": None, "configs": None})
        return self._answer_when_served(command.request, {"topics": listed}, names, made, now, command.timeout_s)

    def _make(
        self, wish: NewTopic, hosts: frozenset[int], room: int, validate_only: bool
    ) -> tuple[Topic, list[Partition]]:
        topic, partitions = new_topic(self._ledger.image, wish, hosts, self._settings, self._new_id(), room)
        if not validate_only:
            self._ledger.put([topic.record()])
            self._ledger.put_partitions(partitions)
            self._ledger.note("topic-created", topic.name, f"{len(partitions)} partitions")
        return topic, partitions

    def _enlarge(self, command: CreatePartitions, now: float, hosts: frozenset[int]) -> list[Effect]:
        names = Counter(topic.name for topic in command.topics)
        room = MAX_PARTITIONS
        made: list[Partition] = []
        listed: list[Fields] = []
        for wish in command.topics:
            try:
                if names[wish.name] > 1:
                    raise Refused(E.INVALID_REQUEST, "Duplicate topic name.")
                partitions = self._enlarge_one(wish, hosts, room, command.validate_only)
                room -= len(partitions)
                made += [] if command.validate_only else partitions
                listed.append({"name": wish.name, "error_code": E.NONE, "error_message": None})
            except Refused as fault:
                listed.append({"name": wish.name, **_fault(fault)})
        return self._answer_when_served(command.request, {"results": listed}, names, made, now, command.timeout_s)

    def _enlarge_one(
        self, wish: MorePartitions, hosts: frozenset[int], room: int, validate_only: bool
    ) -> list[Partition]:
        partitions = more_partitions(self._ledger.image, wish, hosts, room)
        if not validate_only:
            self._ledger.put_partitions(partitions)
            self._ledger.note("topic-enlarged", wish.name, f"{wish.count} partitions")
        return partitions

    def _delete(self, name: str | None, topic_id: str | None) -> Fields:
        try:
            topic = find_topic(self._ledger.image, name, topic_id)
        except Refused as fault:
            return {"name": name, "topic_id": bytes.fromhex(topic_id) if topic_id else None, **_fault(fault)}
        self._ledger.remove_topic(topic)
        self._ledger.note("topic-deleted", topic.name, f"id {topic.id}")
        return {"name": topic.name, "topic_id": bytes.fromhex(topic.id), "error_code": E.NONE, "error_message": None}

    # --- configs

    def _alter(self, change: ConfigChange, validate_only: bool) -> Fields:
        about: Fields = {"resource_type": change.kind, "resource_name": change.name}
        try:
            record = altered(self._ledger.image, change)
        except Refused as fault:
            return {**_fault(fault), **about}
        if not validate_only:
            self._keep_configs(change, record)
        return {"error_code": E.NONE, "error_message": None, **about}

    def _keep_configs(self, change: ConfigChange, record: Mapping[str, Any]) -> None:
        """The ELR empties before min.insync.replicas changes (R6); who may lead may have changed, too."""
        ledger = self._ledger
        partitions = self._concerned(change)
        before = {partition.key: ledger.min_isr(partition) for partition in partitions}
        old = ledger.image
        ledger.put([record])
        differs = [p for p in partitions if before[p.key] != ledger.min_isr(p)]
        cleared = {p.key: elections.settle_elr(p, 0) for p in differs}
        live = ledger.live()
        ledger.put_partitions(
            elections.elect(cleared.get(p.key, p), live.__contains__, unclean=ledger.unclean(p)) for p in partitions
        )
        if ledger.image is not old:
            names = ", ".join(sorted(name for name, _, _ in change.changes))
            ledger.note("configs-altered", change.name or "all brokers", names or "all back to their defaults")

    def _concerned(self, change: ConfigChange) -> list[Partition]:
        image = self._ledger.image
        if change.kind == TOPIC:
            return image.partitions_of(image.topics[change.name].id)
        return list(image.partitions.values()) if not change.name else []

    # --- elections on demand

    def _elect(self, command: ElectLeaders) -> Fields:
        """Kafka's: with all partitions asked for, those that need nothing are left out of the answer."""
        image = self._ledger.image
        asked = command.partitions
        if asked is None:
            asked = tuple((image.names[p.topic], p.partition) for p in image.partitions.values())
        results: dict[str, list[Fields]] = {}
        for name, number in asked:
            code, text = self._elect_one(name, number, command.unclean)
            if command.partitions is not None or code is not E.ELECTION_NOT_NEEDED:
                row = {"partition_id": number, "error_code": code, "error_message": text}
                results.setdefault(name, []).append(row)
        listed = [{"topic": name, "partition_result": rows} for name, rows in results.items()]
        return {"error_code": E.NONE, "replica_election_results": listed}

    def _elect_one(self, name: str, number: int, unclean: bool) -> tuple[E, str | None]:
        ledger = self._ledger
        topic = ledger.image.topics.get(name)
        partition = ledger.image.partitions.get((topic.id, number)) if topic else None
        if partition is None:
            return E.UNKNOWN_TOPIC_OR_PARTITION, "No such partition."
        is_live = ledger.live().__contains__
        if (unclean and partition.leader != NO_LEADER) or (not unclean and partition.leader == partition.replicas[0]):
            return E.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition."
        elect = elections.elect(partition, is_live, unclean=True) if unclean else elections.prefer(partition, is_live)
        if elect is partition:
            code = E.ELIGIBLE_LEADERS_NOT_AVAILABLE if unclean else E.PREFERRED_LEADER_NOT_AVAILABLE
            return code, "No replica that may lead is available."
        ledger.put_partitions([elect])
        if unclean:
            ledger.note("unclean-election", f"{name}-{number}", f"node {elect.leader}: what only others had is lost")
        return E.NONE, None


def _lacks_hosts(command: CreateTopics, hosts: Collection[int]) -> bool:
    """Whether it would be done otherwise, or at all, if more servers had registered."""
    return not hosts or any(topic.name in INTERNAL or topic.replication > len(hosts) for topic in command.topics)


def _created(topic: Topic, partitions: list[Partition]) -> Fields:
    configs = [
        {"name": name, "value": value, "read_only": False, "config_source": 1, "is_sensitive": False}
        for name, value in sorted(topic.configs.items())
    ]
    return {
        "name": topic.name,
        "topic_id": bytes.fromhex(topic.id),
        "error_code": E.NONE,
        "error_message": None,
        "num_partitions": len(partitions),
        "replication_factor": len(partitions[0].replicas),
        "configs": configs,
    }


def _fault(fault: Refused) -> Fields:
    return {"error_code": fault.code, "error_message": str(fault)}
