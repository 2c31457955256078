"""Metadata (3), versions 0 to 13: who leads which partition, and where the servers are reached on this listener.

1 brings the controller, racks, and null for all topics (in 0 the empty list was that); 4 says whether topics may be
created; 5 offline replicas, 7 leader epochs, 8 (to 10) authorized operations, 9 is flexible, 10 has topic ids, 12 asks
by id. Any server answers, from its image; the bytes are packed once for each question and image.

A topic that doesn't exist is created, where client and setting allow it, and the answer waits for that up to
CREATION_WAIT (auto_creation); not there by then, it is LEADER_NOT_AVAILABLE, as right after a creation in Kafka: ask
again. The road not taken, Kafka's own, is to answer at once, which costs each first message a client's retry backoff.
"""

from typing import Any, Final
from uuid import UUID

from server.api.cluster_context import ClusterContext
from server.api.shape import Answer, Call, Later
from server.cluster_view import endpoints, partition_answer
from wire.cluster import Image, Topic
from wire.errors import ErrorCode
from wire.frames import response_frame
from wire.metadata_answers import NO_OPERATIONS, MetadataAnswer, TopicAnswer, pack_metadata
from wire.topic_names import why_not_a_name
from wire.versions import response_header

KEY: Final = 3
IDS_ASKED_FROM: Final = 12

MAX_CREATED: Final = 1_000
"""Topics that one request makes; who asks for more of them asks again. Control is busy with 1 000 for a second."""

TOPIC_OPERATIONS: Final = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11
"""Bits of AclOperation: READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: there are no
ACLs, so all that exist for a topic (AclEntry.supportedOperations)."""
CLUSTER_OPERATIONS: Final = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12
"""CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE."""

Asked = tuple[str | None, UUID | None]
"""A topic by name or by id."""


def handle(call: Call, request: Any, context: ClusterContext) -> Answer | Later:
    asked = _asked(call.version, request)
    missing = _to_create(asked, request, context)
    if not missing:
        return _answer(call, request, asked, context, missing)
    context.create_topics(missing, lambda: call.reply(_answer(call, request, asked, context, missing)))
    return Later.PARKED


def _asked(version: int, request: Any) -> tuple[Asked, ...] | None:
    """None: all topics."""
    if request.topics is None or (version == 0 and not request.topics):
        return None
    return tuple(dict.fromkeys([(topic.name, getattr(topic, "topic_id", None)) for topic in request.topics]))


def _to_create(asked: tuple[Asked, ...] | None, request: Any, context: ClusterContext) -> tuple[str, ...]:
    if asked is None or not context.auto_creates_topics or not getattr(request, "allow_auto_topic_creation", True):
        return ()
    topics = context.image.topics
    missing = [
        name
        for name, topic_id in asked
        if topic_id is None and name not in topics and name and not why_not_a_name(name)
    ]
    return tuple(missing[:MAX_CREATED])


def _answer(
    call: Call, request: Any, asked: tuple[Asked, ...] | None, context: ClusterContext, created: tuple[str, ...]
) -> bytes:
    image, listener, version = context.image, call.listener, call.version
    wants_cluster = getattr(request, "include_cluster_authorized_operations", False)
    operations = TOPIC_OPERATIONS if getattr(request, "include_topic_authorized_operations", False) else NO_OPERATIONS

    def make() -> bytes:
        brokers = endpoints(image, listener)
        reachable = frozenset([broker.node_id for broker in brokers])
        topics = [_topic(image, version, one, reachable, operations, created) for one in _wanted(image, asked)]
        controller = brokers[0].node_id if brokers else -1
        cluster = CLUSTER_OPERATIONS if wants_cluster else NO_OPERATIONS
        return pack_metadata(version, MetadataAnswer(brokers, context.cluster_id, controller, topics, cluster))

    body = context.answers.get(image, (KEY, version, listener, asked, operations, wants_cluster, created), make)
    return response_frame(call.correlation_id, response_header(KEY, version), body)


def _wanted(image: Image, asked: tuple[Asked, ...] | None) -> tuple[Asked, ...]:
    return tuple([(name, None) for name in image.topics]) if asked is None else asked


def _topic(
    image: Image, version: int, asked: Asked, reachable: frozenset[int], operations: int, created: tuple[str, ...]
) -> TopicAnswer:
    name, topic_id = asked
    if topic_id is None:
        topic = image.topics.get(name or "")
        if topic is None:
            return TopicAnswer(_why_missing(name, created), name or "")
    elif version < IDS_ASKED_FROM:
        return TopicAnswer(ErrorCode.INVALID_REQUEST, name or "", topic_id.bytes)
    else:
        topic = image.topic_of(topic_id.hex)
        if topic is None:
            return TopicAnswer(ErrorCode.UNKNOWN_TOPIC_ID, None, topic_id.bytes)
    return _known(image, topic, reachable, operations)


def _known(image: Image, topic: Topic, reachable: frozenset[int], operations: int) -> TopicAnswer:
    partitions = [partition_answer(partition, reachable) for partition in image.partitions_of(topic.id)]
    topic_id = bytes.fromhex(topic.id)
    code = ErrorCode.NONE if partitions else ErrorCode.LEADER_NOT_AVAILABLE
    return TopicAnswer(code, topic.name, topic_id, topic.internal, partitions, operations)


def _why_missing(name: str | None, created: tuple[str, ...]) -> ErrorCode:
    if name in created:
        return ErrorCode.LEADER_NOT_AVAILABLE
    return ErrorCode.INVALID_TOPIC_EXCEPTION if why_not_a_name(name or "") else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
