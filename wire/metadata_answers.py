"""Answers of Metadata by hand, versions 0 to 13. Every client asks again every few minutes and after each change of a
leader, all of them at once; kio's writer takes 1 to 3 ms for a hundred topics, this a tenth. A property test holds it
to kio for every version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from wire.answer_parts import Endpoint
from wire.packing import array_head, compact_string, legacy_string, packed_name
from wire.primitives import NO_UUID

CONTROLLER_FROM: Final = 1
CLUSTER_ID_FROM: Final = 2
THROTTLE_FROM: Final = 3
OFFLINE_FROM: Final = 5
LEADER_EPOCH_FROM: Final = 7
OPERATIONS_FROM: Final = 8
FLEXIBLE_FROM: Final = 9
IDS_FROM: Final = 10
CLUSTER_OPERATIONS_UNTIL: Final = 10
NULL_NAME_FROM: Final = 12
ERROR_FROM: Final = 13

NO_OPERATIONS: Final = -(1 << 31)
"""Nobody asked which operations are allowed."""


@dataclass(frozen=True, slots=True)
class PartitionAnswer:
    """One partition; `leader` is -1 while there is none."""

    error_code: int
    partition: int
    leader: int
    leader_epoch: int
    replicas: Sequence[int]
    isr: Sequence[int]
    offline: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class TopicAnswer:
    """One topic. `name` None: asked by an id that isn't known; before version 12 that can't be said, and is empty."""

    error_code: int
    name: str | None
    topic_id: bytes = NO_UUID
    is_internal: bool = False
    partitions: Sequence[PartitionAnswer] = ()
    operations: int = NO_OPERATIONS


@dataclass(frozen=True, slots=True)
class MetadataAnswer:
    """A whole answer, but for its head."""

    brokers: Sequence[Endpoint]
    cluster_id: str
    controller_id: int
    topics: Sequence[TopicAnswer]
    cluster_operations: int = NO_OPERATIONS


def pack_metadata(version: int, answer: MetadataAnswer) -> bytes:
    """The body: what stands behind the response's header."""
    compact = version >= FLEXIBLE_FROM
    parts = [_NO_THROTTLE if version >= THROTTLE_FROM else b"", array_head(len(answer.brokers), compact)]
    parts += [_broker(version, broker) for broker in answer.brokers]
    if version >= CLUSTER_ID_FROM:
        parts.append(packed_name(answer.cluster_id, compact))
    if version >= CONTROLLER_FROM:
        parts.append(_INT32.pack(answer.controller_id))
    parts.append(array_head(len(answer.topics), compact))
    for topic in answer.topics:
        _add_topic(parts, version, topic)
    if OPERATIONS_FROM <= version <= CLUSTER_OPERATIONS_UNTIL:
        parts.append(_INT32.pack(answer.cluster_operations))
    if version >= ERROR_FROM:
        parts.append(_NO_ERROR)
    if compact:
        parts.append(_NO_TAGS)
    return b"".join(parts)


def _broker(version: int, broker: Endpoint) -> bytes:
    node, host, port, rack = broker
    if version >= FLEXIBLE_FROM:
        return b"".join((_INT32.pack(node), packed_name(host, True), _INT32.pack(port), compact_string(rack), _NO_TAGS))
    tail = legacy_string(rack) if version >= CONTROLLER_FROM else b""  # 1 brought the rack too
    return b"".join((_INT32.pack(node), packed_name(host, False), _INT32.pack(port), tail))


def _add_topic(parts: list[bytes], version: int, topic: TopicAnswer) -> None:
    compact = version >= FLEXIBLE_FROM
    parts.append(_INT16.pack(topic.error_code))
    if topic.name is None and version >= NULL_NAME_FROM:
        parts.append(compact_string(None))
    else:
        parts.append(packed_name(topic.name or "", compact))
    if version >= IDS_FROM:
        parts.append(topic.topic_id)
    if version >= CONTROLLER_FROM:
        parts.append(_TRUE if topic.is_internal else _FALSE)
    parts.append(array_head(len(topic.partitions), compact))
    pack = _flexible_partition if compact else _rigid_partition
    parts += [pack(version, partition) for partition in topic.partitions]
    if version >= OPERATIONS_FROM:
        parts.append(_INT32.pack(topic.operations))
    if compact:
        parts.append(_NO_TAGS)


def _flexible_partition(version: int, partition: PartitionAnswer) -> bytes:
    head = _PARTITION_7.pack(partition.error_code, partition.partition, partition.leader, partition.leader_epoch)
    lists = (partition.replicas, partition.isr, partition.offline)
    return b"".join((head, *[_nodes(nodes, True) for nodes in lists], _NO_TAGS))


def _rigid_partition(version: int, partition: PartitionAnswer) -> bytes:
    if version >= LEADER_EPOCH_FROM:
        head = _PARTITION_7.pack(partition.error_code, partition.partition, partition.leader, partition.leader_epoch)
    else:
        head = _PARTITION_0.pack(partition.error_code, partition.partition, partition.leader)
    offline = _nodes(partition.offline, False) if version >= OFFLINE_FROM else b""
    return b"".join((head, _nodes(partition.replicas, False), _nodes(partition.isr, False), offline))


def _nodes(nodes: Sequence[int], compact: bool) -> bytes:
    return array_head(len(nodes), compact) + b"".join([_INT32.pack(node) for node in nodes])


_INT16: Final = Struct(">h")
_INT32: Final = Struct(">i")
_PARTITION_0: Final = Struct(">hii")
_PARTITION_7: Final = Struct(">hiii")
_NO_THROTTLE: Final = _INT32.pack(0)
_NO_ERROR: Final = _INT16.pack(0)
_NO_TAGS: Final = b"\x00"
_FALSE: Final = b"\x00"
_TRUE: Final = b"\x01"
