"""Configs of topics and brokers: what AlterConfigs and IncrementalAlterConfigs make of them. Pure.

Only what was set is kept; what isn't there has its default, which the servers know. Names and values were checked
by the server that passed the command on.
"""

from collections.abc import Mapping
from typing import Final

from loadbalancer.queue_words import ConfigChange, ConfigOp, Refused
from wire.cluster import Image, Record
from wire.errors import ErrorCode as E

TOPIC: Final = 2
BROKER: Final = 4
"""Kafka's ConfigResource types."""

LISTS: Final = frozenset(
    {
        "cleanup.policy",
        "log.cleanup.policy",
        "leader.replication.throttled.replicas",
        "follower.replication.throttled.replicas",
    }
)
"""Those that APPEND and SUBTRACT are for."""


def altered(image: Image, change: ConfigChange) -> Record:
    """The record of a resource's configs behind the change. Raises Refused."""
    if change.kind == TOPIC:
        topic = image.topics.get(change.name)
        if topic is None:
            raise Refused(E.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{change.name}' does not exist.")
        return {"type": "topic_configs", "id": topic.id, "configs": _apply(topic.configs, change)}
    if change.kind == BROKER:
        node_id = _node(image, change.name)
        return {"type": "configs", "node_id": node_id, "configs": _apply(image.configs.get(node_id, {}), change)}
    raise Refused(E.INVALID_REQUEST, f"Resources of type {change.kind} have no configs here.")


def _node(image: Image, name: str) -> int | None:
    if not name:
        return None
    if not name.isdecimal() or int(name) not in image.brokers:
        raise Refused(E.BROKER_ID_NOT_REGISTERED, f"No broker {name[:20]!r} is registered.")
    return int(name)


def _apply(configs: Mapping[str, str], change: ConfigChange) -> dict[str, str]:
    names = [name for name, _, _ in change.changes]
    if len(set(names)) != len(names):
        raise Refused(E.INVALID_REQUEST, "A config is named twice.")
    result = {} if change.replaces else dict(configs)
    for name, operation, value in change.changes:
        _apply_one(result, name, operation, value)
    return result


def _apply_one(configs: dict[str, str], name: str, operation: ConfigOp, value: str | None) -> None:
    if operation is ConfigOp.DELETE:
        configs.pop(name, None)
        return
    if value is None:
        raise Refused(E.INVALID_CONFIG, f"{name} has no value.")
    if operation is ConfigOp.SET:
        configs[name] = value
        return
    if name not in LISTS:
        raise Refused(E.INVALID_CONFIG, f"{name} is no list: it can't be appended to or subtracted from.")
    listed = [item for item in configs.get(name, "").split(",") if item]
    given = value.split(",")
    if operation is ConfigOp.APPEND:
        listed += [item for item in given if item not in listed]
    else:
        listed = [item for item in listed if item not in given]
    configs[name] = ",".join(listed)
