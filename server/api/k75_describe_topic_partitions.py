"""DescribeTopicPartitions (75), version 0: topics page by page, with the replicas that may still be elected (KIP-966).

No topics named: all. Topics come by name; a cursor says from which topic and partition on, and the answer has the next
one when the limit was reached before the end.
"""

from collections.abc import Iterator
from typing import Any, Final

from server.api.cluster_context import ClusterContext
from server.api.k03_metadata import TOPIC_OPERATIONS
from server.api.shape import Answer, Call
from server.cluster_view import endpoints, partition_answer
from wire import messages
from wire.cluster import Image, Partition
from wire.errors import ErrorCode
from wire.metadata_answers import NO_OPERATIONS
from wire.topic_names import why_not_a_name

KEY: Final = 75
MAX_PARTITIONS: Final = 2_000
"""In one answer: Kafka's `max.request.partition.size.limit`."""


def handle(call: Call, request: Any, context: ClusterContext) -> Answer:
    reachable = frozenset([broker.node_id for broker in endpoints(context.image, call.listener)])
    page = _Page(context.image, reachable, max(1, min(MAX_PARTITIONS, request.response_partition_limit)))
    topics = list(page.topics(_names(request, context.image), request.cursor))
    values = {"throttle_time": 0, "topics": topics, "next_cursor": page.next}
    return messages.answer(call.correlation_id, messages.build(KEY, call.version, values))


def _names(request: Any, image: Image) -> list[str]:
    """In order, from the cursor on."""
    names = sorted({topic.name for topic in request.topics} or image.topics)
    return names if request.cursor is None else [name for name in names if name >= request.cursor.topic_name]


class _Page:
    """One answer in the making; `next` is the cursor behind it."""

    def __init__(self, image: Image, reachable: frozenset[int], limit: int) -> None:
        self.next: dict[str, Any] | None = None
        self._image = image
        self._reachable = reachable
        self._left = limit

    def topics(self, names: list[str], cursor: Any) -> Iterator[dict[str, Any]]:
        for name in names:
            start = cursor.partition_index if cursor is not None and cursor.topic_name == name else 0
            if not self._left:
                self.next = {"topic_name": name, "partition_index": start}
                return
            yield self._topic(name, max(0, start))
            if self.next is not None:
                return

    def _topic(self, name: str, start: int) -> dict[str, Any]:
        topic = self._image.topics.get(name)
        if topic is None:
            code = ErrorCode.INVALID_TOPIC_EXCEPTION if why_not_a_name(name) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return _told(code, name, None, False, [], NO_OPERATIONS)
        found = self._image.partitions_of(topic.id)[start:]
        if len(found) > self._left:
            self.next = {"topic_name": name, "partition_index": start + self._left}
        shown = [self._partition(partition) for partition in found[: self._left]]
        self._left -= len(shown)
        return _told(ErrorCode.NONE, name, bytes.fromhex(topic.id), topic.internal, shown, TOPIC_OPERATIONS)

    def _partition(self, partition: Partition) -> dict[str, Any]:
        seen = partition_answer(partition, self._reachable)
        return {
            "error_code": seen.error_code, "partition_index": seen.partition, "leader_id": seen.leader,
            "leader_epoch": seen.leader_epoch, "replica_nodes": seen.replicas, "isr_nodes": seen.isr,
            "eligible_leader_replicas": partition.elr, "last_known_elr": (), "offline_replicas": seen.offline,
        }  # fmt: skip


def _told(
    code: ErrorCode,
    name: str,
    topic_id: bytes | None,
    internal: bool,
    partitions: list[dict[str, Any]],
    operations: int,
) -> dict[str, Any]:
    return {
        "error_code": code, "name": name, "topic_id": topic_id, "is_internal": internal, "partitions": partitions,
        "topic_authorized_operations": operations,
    }  # fmt: skip
