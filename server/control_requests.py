"""What a leader and a producer's server ask of control: AlterPartition (56) and AllocateProducerIds (67). Pure.

Kafka's own messages (cluster-rules R9). Each AlterPartition names the broker epoch of every member, so that a server
that was restarted meanwhile doesn't come into an ISR by what its former life had (KIP-903).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from wire import messages
from wire.errors import ErrorCode
from wire.frames import read_response_head
from wire.versions import ALLOCATE_PRODUCER_IDS, ALTER_PARTITION, response_header

ALTER_PARTITION_VERSION: Final = 3
ALLOCATE_VERSION: Final = 0
UNKNOWN_EPOCH: Final = -1


class Proposal(NamedTuple):
    """An ISR that a leader wants; `topic` is the topic's id in hex, `members` are node ids with their broker epochs as
    of what speaks for them, -1 where nothing was heard."""

    topic: str
    partition: int
    leader_epoch: int
    partition_epoch: int
    members: tuple[tuple[int, int], ...]


class Altered(NamedTuple):
    """Control's answer about one partition."""

    topic: str
    partition: int
    code: ErrorCode
    isr: tuple[int, ...]
    partition_epoch: int


def alter_partition(node_id: int, epochs: Mapping[int, int], proposals: Sequence[Proposal]) -> bytes:
    """A request's body. `epochs`: broker epochs by node, of which this one's is told."""
    topics: dict[str, list[Any]] = {}
    for proposal in proposals:
        topics.setdefault(proposal.topic, []).append({
            "partition_index": proposal.partition,
            "leader_epoch": proposal.leader_epoch,
            "new_isr_with_epochs": [
                {"broker_id": node, "broker_epoch": epoch} for node, epoch in proposal.members
            ],
            "leader_recovery_state": 0,
            "partition_epoch": proposal.partition_epoch,
        })  # fmt: skip
    values = {
        "broker_id": node_id,
        "broker_epoch": epochs.get(node_id, UNKNOWN_EPOCH),
        "topics": [{"topic_id": UUID(topic), "partitions": partitions} for topic, partitions in topics.items()],
    }
    return messages.encode(messages.build(ALTER_PARTITION, ALTER_PARTITION_VERSION, values, "request"))


def altered(frame: memoryview) -> Iterable[Altered]:
    """What its answer says; nothing if it refuses the whole. Raises WireError."""
    answer = _decode(ALTER_PARTITION, ALTER_PARTITION_VERSION, frame)
    for topic in answer.topics:
        for one in topic.partitions:
            yield Altered(
                topic.topic_id.hex,
                one.partition_index,
                ErrorCode(int(one.error_code)),
                tuple(one.isr),
                one.partition_epoch,
            )


def allocate_producer_ids(node_id: int, epochs: Mapping[int, int]) -> bytes:
    """A request's body."""
    values = {"broker_id": node_id, "broker_epoch": epochs.get(node_id, UNKNOWN_EPOCH)}
    return messages.encode(messages.build(ALLOCATE_PRODUCER_IDS, ALLOCATE_VERSION, values, "request"))


def allocated(frame: memoryview) -> range:
    """The block of its answer; empty if it was refused. Raises WireError."""
    answer = _decode(ALLOCATE_PRODUCER_IDS, ALLOCATE_VERSION, frame)
    if answer.error_code:
        return range(0)
    return range(answer.producer_id_start, answer.producer_id_start + answer.producer_id_len)


def _decode(key: int, version: int, frame: memoryview) -> Any:
    _, at = read_response_head(frame, response_header(key, version))
    return messages.decode_response(key, version, frame, at)
