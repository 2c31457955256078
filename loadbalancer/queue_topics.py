"""Topics: what a command makes of the cluster, one topic at a time. Pure functions that raise Refused.

The checks are those of Kafka's ReplicationControlManager, in its order, with its error codes. What needs no cluster
(a config's name and value) the server has checked before it passed the command on.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from loadbalancer.placement import place
from loadbalancer.queue_words import MorePartitions, NewTopic, QueueSettings, Refused
from wire.cluster import Image, Partition, Topic
from wire.errors import ErrorCode as E

MAX_PARTITIONS: Final = 10_000
"""Of one command: what Kafka's controller takes in one batch of records (MAX_RECORDS_PER_USER_OP)."""

OFFSETS: Final = "__consumer_offsets"
TRANSACTIONS: Final = "__transaction_state"
INTERNAL: Final[Mapping[str, Mapping[str, str]]] = {
    OFFSETS: {"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": "104857600"},
    TRANSACTIONS: {"cleanup.policy": "compact", "compression.type": "uncompressed", "segment.bytes": "104857600"},
}
"""Kafka's own topics with Kafka's configs for them (GroupCoordinatorConfig, TransactionLogConfig)."""

NAME: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def new_topic(
    image: Image,
    wish: NewTopic,
    nodes: Collection[int],
    settings: QueueSettings,
    topic_id: str,
    room: int = MAX_PARTITIONS,
) -> tuple[Topic, list[Partition]]:
    """The topic and its partitions, at most `room`, each led by its first replica; `nodes` may hold some."""
    _check_name(image, wish.name)
    internal = wish.name in INTERNAL
    configs = dict(INTERNAL.get(wish.name, {}))
    configs |= {name: value for name, value in wish.configs if value is not None}
    if wish.assignments and not internal:
        _check_room(len(wish.assignments), room)
        lists = _assigned(wish, nodes)
        replication = len(lists[0])
    else:
        lists, replication = _placed(wish, nodes, settings, internal, room)
    topic = Topic(wish.name, topic_id, internal, configs, replication)
    return topic, [_partition(topic_id, number, replicas) for number, replicas in enumerate(lists)]


def more_partitions(
    image: Image, wish: MorePartitions, nodes: Collection[int], room: int = MAX_PARTITIONS
) -> list[Partition]:
    """The partitions that the topic lacks, at most `room`."""
    topic = image.topics.get(wish.name)
    if topic is None:
        raise Refused(E.UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition.")
    have = len(image.partitions_of(topic.id))
    added = wish.count - have
    if added <= 0 or added > MAX_PARTITIONS:
        raise Refused(E.INVALID_PARTITIONS, f"The topic {topic.name} has {have} partitions; {wish.count} is not more.")
    _check_room(added, room)
    if wish.assignments is None:
        _check_nodes(nodes)
        lists = [place(topic.name, number, nodes, topic.replication) for number in range(have, wish.count)]
    else:
        if len(wish.assignments) != added:
            text = f"{added} partitions are added, but {len(wish.assignments)} assignments are given."
            raise Refused(E.INVALID_REPLICA_ASSIGNMENT, text)
        lists = [_checked(replicas, topic.replication, nodes) for replicas in wish.assignments]
    return [_partition(topic.id, number, replicas) for number, replicas in enumerate(lists, start=have)]


def find_topic(image: Image, name: str | None, topic_id: str | None) -> Topic:
    """A topic to be deleted, by either."""
    if name is not None and topic_id is not None:
        raise Refused(E.INVALID_REQUEST, "A topic is named by its name or by its id, not by both.")
    if name is None and topic_id is None:
        raise Refused(E.INVALID_REQUEST, "Neither a name nor an id is given.")
    topic = image.topics.get(name) if name is not None else image.topic_of(topic_id or "")
    if topic is None:
        code = E.UNKNOWN_TOPIC_OR_PARTITION if name is not None else E.UNKNOWN_TOPIC_ID
        raise Refused(code, "There is no such topic.")
    if topic.internal:
        raise Refused(E.INVALID_REQUEST, f"{topic.name} is an internal topic.")
    return topic


def _check_name(image: Image, name: str) -> None:
    if name in image.topics:
        raise Refused(E.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
    if not NAME.fullmatch(name) or name in (".", ".."):
        raise Refused(E.INVALID_TOPIC_EXCEPTION, f"{name[:80]!r} is not of 1 to 249 letters, digits, '.', '_' and '-'.")
    if "." in name or "_" in name:
        folded = name.replace(".", "_")
        same = next((other for other in image.topics if other.replace(".", "_") == folded), None)
        if same is not None:
            raise Refused(E.INVALID_TOPIC_EXCEPTION, f"Topic '{name}' collides with existing topic: {same}")


def _placed(
    wish: NewTopic, nodes: Collection[int], settings: QueueSettings, internal: bool, room: int
) -> tuple[list[tuple[int, ...]], int]:
    """Replicas by partition, and the wish: a default may be granted later (R11), a number that is given may not."""
    count, replication = (-1, -1) if internal else (wish.partitions, wish.replication)
    asked = replication != -1
    if count == -1:
        count = settings.offsets_partitions if internal else settings.partitions
    if replication == -1:
        replication = settings.replication
    if count <= 0 or count > MAX_PARTITIONS:
        raise Refused(E.INVALID_PARTITIONS, f"Number of partitions must be from 1 to {MAX_PARTITIONS}, not {count}.")
    _check_room(count, room)
    if replication <= 0:
        raise Refused(E.INVALID_REPLICATION_FACTOR, "Replication factor must be larger than 0, or -1.")
    _check_nodes(nodes)
    if asked and replication > len(nodes):
        text = f"Unable to replicate the partition {replication} time(s): only {len(nodes)} broker(s) are registered."
        raise Refused(E.INVALID_REPLICATION_FACTOR, text)
    return [place(wish.name, number, nodes, replication) for number in range(count)], replication


def _check_room(count: int, room: int) -> None:
    """Before they are placed: a command of ten thousand topics with as many partitions each takes an hour."""
    if count > room:
        raise Refused(E.POLICY_VIOLATION, f"One command may make {MAX_PARTITIONS} partitions.")


def _check_nodes(nodes: Collection[int]) -> None:
    if not nodes:
        raise Refused(E.INVALID_REPLICATION_FACTOR, "No broker is registered.")


def _assigned(wish: NewTopic, nodes: Collection[int]) -> list[tuple[int, ...]]:
    if wish.partitions != -1 or wish.replication != -1:
        text = "With an assignment, the numbers of partitions and of replicas must be -1."
        raise Refused(E.INVALID_REQUEST, text)
    by_number = dict(wish.assignments)
    if len(by_number) != len(wish.assignments) or set(by_number) != set(range(len(by_number))):
        text = "Partitions must be a consecutive 0-based integer sequence."
        raise Refused(E.INVALID_REPLICA_ASSIGNMENT, text)
    return [_checked(by_number[number], len(by_number[0]), nodes) for number in range(len(by_number))]


def _checked(replicas: tuple[int, ...], size: int, nodes: Collection[int]) -> tuple[int, ...]:
    if not replicas or len(replicas) != size:
        raise Refused(E.INVALID_REPLICA_ASSIGNMENT, f"Each partition needs {size or 'some'} replicas.")
    if len(set(replicas)) != len(replicas):
        raise Refused(E.INVALID_REPLICA_ASSIGNMENT, f"{list(replicas)} names a broker twice.")
    unknown = [node_id for node_id in replicas if node_id not in nodes]
    if unknown:
        raise Refused(E.INVALID_REPLICA_ASSIGNMENT, f"Brokers {unknown} are not registered.")
    return replicas


def _partition(topic_id: str, number: int, replicas: tuple[int, ...]) -> Partition:
    return Partition(topic_id, number, replicas, replicas, last_leader=replicas[0], leader=replicas[0])
