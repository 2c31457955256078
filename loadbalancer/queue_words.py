"""The queue's language: what its controller hears, and what it asks for.

`request` is the asker's ticket (the shell's): the one Reply that belongs to it carries it back. A Reply's `values` are
a Kafka answer's fields by kio's names, for `wire.messages.build`; throttle times are left to the shell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from wire.cluster_link import Stop
from wire.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """`synced`: servers sync before they acknowledge (fsync=always), so an unclean stop loses nothing (R3)."""

    partitions: int = 4
    replication: int = 1
    offsets_partitions: int = 50
    synced: bool = True
    max_moves: int = 8
    """Partitions on the move at once. Each is copied at full speed; more only share the same disks."""


# --- events


@dataclass(frozen=True, slots=True)
class Members:
    """The fleet's nodes: `wanted` ones may be given partitions, `leaving` ones give theirs away, `joining` ones are on
    trial. The shell's first word, and told again when it changes."""

    wanted: frozenset[int]
    leaving: frozenset[int] = frozenset()
    joining: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing of this node serves any more: its process is proven gone, or is about to be killed."""

    node_id: int


@dataclass(frozen=True, slots=True)
class Muted:
    """This node answers nobody, though it may live: what others can lead, they lead (R7). Not `mute`: it answers
    again."""

    node_id: int
    mute: bool


@dataclass(frozen=True, slots=True)
class Registered:
    """BrokerRegistration. `previous_epoch`: the last one granted that its disk knows, -1 for an empty disk."""

    request: int
    node_id: int
    incarnation: str
    directory: str
    previous_epoch: int
    stop: Stop
    listeners: Mapping[str, tuple[str, int]]
    rack: str | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """A server of that incarnation has applied the records up to `version`, durably (its poll or heartbeat says so)."""

    node_id: int
    incarnation: str
    version: int


@dataclass(frozen=True, slots=True)
class Beat:
    """BrokerHeartbeat."""

    request: int
    node_id: int
    epoch: int
    version: int
    wants_fence: bool = False
    wants_stop: bool = False


@dataclass(frozen=True, slots=True)
class IsrWish:
    """One partition of AlterPartition; `members`: node id and broker epoch of each (-1: not checked)."""

    topic: str
    partition: int
    leader_epoch: int
    partition_epoch: int
    members: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class AlterIsr:
    """AlterPartition."""

    request: int
    node_id: int
    epoch: int
    wishes: tuple[IsrWish, ...]


@dataclass(frozen=True, slots=True)
class AllocateIds:
    """AllocateProducerIds."""

    request: int
    node_id: int
    epoch: int


@dataclass(frozen=True, slots=True)
class NewTopic:
    """-1: the default. `assignments`: (partition, node ids) in any order; empty: control places them."""

    name: str
    partitions: int = -1
    replication: int = -1
    assignments: tuple[tuple[int, tuple[int, ...]], ...] = ()
    configs: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class CreateTopics:
    request: int
    topics: tuple[NewTopic, ...]
    timeout_s: float
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class DeleteTopics:
    """Each by (name, None) or (None, id)."""

    request: int
    topics: tuple[tuple[str | None, str | None], ...]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class MorePartitions:
    """`count` in all; `assignments` of the new ones, None: control places them."""

    name: str
    count: int
    assignments: tuple[tuple[int, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class CreatePartitions:
    request: int
    topics: tuple[MorePartitions, ...]
    timeout_s: float
    validate_only: bool = False


class ConfigOp(StrEnum):
    """IncrementalAlterConfigs' operations by their order there."""

    SET = "set"
    DELETE = "delete"
    APPEND = "append"
    SUBTRACT = "subtract"


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One resource. `kind` is Kafka's resource type: 2 a topic, 4 a broker ("": all of them).

    `replaces`: what isn't named goes back to its default (AlterConfigs).
    """

    kind: int
    name: str
    changes: tuple[tuple[str, ConfigOp, str | None], ...]
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class AlterConfigs:
    """AlterConfigs and IncrementalAlterConfigs."""

    request: int
    resources: tuple[ConfigChange, ...]
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class ElectLeaders:
    """`partitions`: (topic name, number); None: all."""

    request: int
    unclean: bool
    partitions: tuple[tuple[str, int], ...] | None


@dataclass(frozen=True, slots=True)
class Gone:
    """Who asked has gone: its waiting requests are forgotten."""

    requests: frozenset[int]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; due at `Queue.deadline()`."""


TopicCommand = CreateTopics | DeleteTopics | CreatePartitions | AlterConfigs | ElectLeaders
Request = Registered | Beat | AlterIsr | AllocateIds | TopicCommand
Event = Members | Ended | Muted | Applied | Gone | Tick | Request

# --- effects


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request, after the commit and the push."""

    request: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refuse:
    """The answer to a request of any kind, as a whole: nothing was done. The shell builds it by the API's shape."""

    request: int
    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the event log: a kind, about whom (a topic, or node 3), and why."""

    kind: str
    about: str
    reason: str


Effect = Reply | Refuse | Note


class Refused(Exception):
    """A part of a command can't be done. `code` for clients, the text for people."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code
