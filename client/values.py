"""What goes in and comes out: messages, and the cluster as an admin sees it. Values all, safe to share."""

from dataclasses import dataclass
from typing import Any

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """Where an acknowledged message lies. `timestamp_ms` is the log's; -1 where the topic keeps none."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message as consumed. `value` is what the deserializer made, or None for a tombstone; `key` stays bytes."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: Any
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """`leader`: the node id, or -1 while there is none. `isr`: the replicas in sync."""

    partition: int
    leader: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """`partitions` are in order, from 0 on. `internal`: kept by the queue for itself (`__…`)."""

    name: str
    partitions: tuple[PartitionInfo, ...]
    internal: bool


@dataclass(frozen=True, slots=True)
class Offsets:
    """The first offset kept in a partition, and the one that the next message gets."""

    first: int
    next: int


@dataclass(frozen=True, slots=True)
class Member:
    """One consumer of a group, and the (topic, partition) pairs that it reads."""

    member_id: str
    client_id: str
    host: str
    assignment: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """`state` in Kafka's words, small (`stable`, `empty`, `preparing rebalance`). `coordinator`: a node id, -1 unknown.
    `members` is empty in a listing."""

    name: str
    state: str
    coordinator: int
    assignor: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is behind in one partition. `committed` is None where it committed nothing yet; then `lag`
    counts everything that is kept."""

    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int


@dataclass(frozen=True, slots=True)
class ConfigValue:
    """A config of a topic. `value` is None where the server hides it. `default`: nobody set it for this topic."""

    value: str | None
    default: bool
    read_only: bool
