"""Kafka's messages and the queue's words: a request's frame into an event, its answer into a frame. Pure.

Servers pass clients' admin requests on as they came, so each version that clients may use is read here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from loadbalancer import queue_words as q
from wire import messages, versions
from wire.cluster_link import read_registration
from wire.errors import ErrorCode
from wire.frames import RequestHead

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits for its answer: how it is built, and the request, of which a refusal names the parts."""

    api_key: int
    version: int
    correlation_id: int
    message: Any


def answer(asked: Asked, values: Values) -> bytes:
    """A whole answer frame."""
    message = messages.build(asked.api_key, asked.version, {"throttle_time": 0, **values})
    return messages.answer(asked.correlation_id, message)


def refusal(asked: Asked, code: ErrorCode, text: str) -> bytes:
    """A whole answer frame that refuses all of the request, in its API's shape."""
    fault = {"error_code": code, "error_message": text}
    return answer(asked, {**fault, **_REFUSED[asked.api_key](asked.message, fault)})


def event_of(request: int, head: RequestHead, frame: memoryview) -> tuple[q.Request, Any]:
    """What is asked, and the message that asks. Raises WireError, also for what nobody may ask here (KeyError's)."""
    assert head.at is not None
    if head.api_key == versions.BROKER_REGISTRATION:
        registration = read_registration(head.version, frame, head.at)
        return _registered(request, registration), registration
    message = messages.decode(head.api_key, head.version, frame, head.at)
    return _READ[head.api_key](request, message), message


def _registered(request: int, registration: Any) -> q.Registered:
    return q.Registered(
        request,
        registration.node_id,
        registration.incarnation,
        registration.directory,
        registration.previous_epoch,
        registration.stop,
        registration.listeners,
        registration.rack,
    )


def _beat(request: int, m: Any) -> q.Beat:
    return q.Beat(
        request, m.broker_id, m.broker_epoch, m.current_metadata_offset, m.want_fence, m.want_shut_down
    )  # fmt: skip


def _alter_isr(request: int, m: Any) -> q.AlterIsr:
    wishes = [
        q.IsrWish(_hex(topic.topic_id), part.partition_index, part.leader_epoch, part.partition_epoch, _members(part))
        for topic in m.topics
        for part in topic.partitions
    ]
    return q.AlterIsr(request, m.broker_id, m.broker_epoch, tuple(wishes))


def _members(part: Any) -> tuple[tuple[int, int], ...]:
    """Version 2 has no epochs."""
    if hasattr(part, "new_isr"):
        return tuple((node_id, -1) for node_id in part.new_isr)
    return tuple((member.broker_id, member.broker_epoch) for member in part.new_isr_with_epochs)


def _allocate(request: int, m: Any) -> q.AllocateIds:
    return q.AllocateIds(request, m.broker_id, m.broker_epoch)


def _create_topics(request: int, m: Any) -> q.CreateTopics:
    topics = tuple(
        q.NewTopic(
            topic.name,
            topic.num_partitions,
            topic.replication_factor,
            tuple((one.partition_index, tuple(one.broker_ids)) for one in topic.assignments),
            tuple((config.name, config.value) for config in topic.configs),
        )
        for topic in m.topics
    )
    return q.CreateTopics(request, topics, m.timeout.total_seconds(), m.validate_only)


def _delete_topics(request: int, m: Any) -> q.DeleteTopics:
    if hasattr(m, "topic_names"):
        topics = tuple((name, None) for name in m.topic_names)
    else:
        topics = tuple((topic.name, _hex(topic.topic_id) or None) for topic in m.topics)
    return q.DeleteTopics(request, topics, m.timeout.total_seconds())


def _create_partitions(request: int, m: Any) -> q.CreatePartitions:
    topics = tuple(
        q.MorePartitions(
            topic.name,
            topic.count,
            None if topic.assignments is None else tuple(tuple(one.broker_ids) for one in topic.assignments),
        )
        for topic in m.topics
    )
    return q.CreatePartitions(request, topics, m.timeout.total_seconds(), m.validate_only)


def _alter_configs(request: int, m: Any) -> q.AlterConfigs:
    resources = tuple(
        q.ConfigChange(
            resource.resource_type,
            resource.resource_name,
            tuple(
                (config.name, q.ConfigOp.DELETE if config.value is None else q.ConfigOp.SET, config.value)
                for config in resource.configs
            ),
            replaces=True,
        )
        for resource in m.resources
    )
    return q.AlterConfigs(request, resources, m.validate_only)


def _incremental(request: int, m: Any) -> q.AlterConfigs:
    resources = tuple(
        q.ConfigChange(
            resource.resource_type,
            resource.resource_name,
            tuple((config.name, _operation(config.config_operation), config.value) for config in resource.configs),
        )
        for resource in m.resources
    )
    return q.AlterConfigs(request, resources, m.validate_only)


def _operation(number: int) -> q.ConfigOp:
    """The server has refused any other."""
    return _OPERATIONS[number] if 0 <= number < len(_OPERATIONS) else q.ConfigOp.SET


def _elect_leaders(request: int, m: Any) -> q.ElectLeaders:
    asked = m.topic_partitions
    named = None if asked is None else tuple((topic.topic, number) for topic in asked for number in topic.partitions)
    return q.ElectLeaders(request, getattr(m, "election_type", 0) == 1, named)


def _hex(topic_id: Any) -> str:
    return "" if topic_id is None else topic_id.hex


_OPERATIONS: Final = (q.ConfigOp.SET, q.ConfigOp.DELETE, q.ConfigOp.APPEND, q.ConfigOp.SUBTRACT)

_READ: Final[Mapping[int, Callable[[int, Any], q.Request]]] = {
    versions.BROKER_HEARTBEAT: _beat,
    versions.ALTER_PARTITION: _alter_isr,
    versions.ALLOCATE_PRODUCER_IDS: _allocate,
    versions.CREATE_TOPICS: _create_topics,
    versions.DELETE_TOPICS: _delete_topics,
    versions.CREATE_PARTITIONS: _create_partitions,
    versions.ALTER_CONFIGS: _alter_configs,
    versions.INCREMENTAL_ALTER_CONFIGS: _incremental,
    versions.ELECT_LEADERS: _elect_leaders,
}

SERVED: Final = frozenset({versions.BROKER_REGISTRATION, *_READ})
"""The API keys that `event_of` reads."""


# --- refusals: every part that was asked for gets the same answer


def _no_parts(message: Any, fault: Values) -> Values:
    return {}


def _resources(message: Any, fault: Values) -> Values:
    rows = [{"resource_type": r.resource_type, "resource_name": r.resource_name, **fault} for r in message.resources]
    return {"responses": rows}


def _deleted(message: Any, fault: Values) -> Values:
    topics = _delete_topics(0, message).topics
    rows = [{"name": name, "topic_id": bytes.fromhex(id) if id else None, **fault} for name, id in topics]
    return {"responses": rows}


_REFUSED: Final[Mapping[int, Callable[[Any, Values], Values]]] = {
    versions.BROKER_REGISTRATION: _no_parts,
    versions.BROKER_HEARTBEAT: lambda message, fault: {"should_shut_down": False},
    versions.ALTER_PARTITION: lambda message, fault: {"topics": ()},
    versions.ALLOCATE_PRODUCER_IDS: lambda message, fault: {"producer_id_start": -1, "producer_id_len": 0},
    versions.CREATE_TOPICS: lambda message, fault: {
        "topics": [{"name": topic.name, "topic_id": None, "configs": None, **fault} for topic in message.topics]
    },
    versions.DELETE_TOPICS: _deleted,
    versions.CREATE_PARTITIONS: lambda message, fault: {
        "results": [{"name": topic.name, **fault} for topic in message.topics]
    },
    versions.ALTER_CONFIGS: _resources,
    versions.INCREMENTAL_ALTER_CONFIGS: _resources,
    versions.ELECT_LEADERS: lambda message, fault: {
        "replica_election_results": [
            {
                "topic": topic.topic,
                "partition_result": [{"partition_id": number, **fault} for number in topic.partitions],
            }
            for topic in message.topic_partitions or ()
        ]
    },
}
