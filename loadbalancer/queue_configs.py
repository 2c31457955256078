"""Configs of topics and brokers: what AlterConfigs and IncrementalAlterConfigs make of them. Pure.

Only what was set is kept; what isn't there has its default, which the servers know. Names and values were checked
by the server that passed the command on.
"""

from collections.abc import Mapping
from typing import Final

from loadbalancer.queue_words import ConfigChange, ConfigOp, Refused
from wire.cluster import Image, Record
from wire.errors import ErrorCode as E
from wire.topic_configs import TOPIC_CONFIGS, TOPIC_DEFAULTS, Kind, list_of, why_not_value

TOPIC: Final = 2
BROKER: Final = 4
"""Kafka's ConfigResource types."""

MIN_ISR: Final = "min.insync.replicas"
"""For a topic or for all, never for one server: the leader stands still below it, and who is eligible to lead once the
ISR was below it (the ELR) is decided here, by the same number (KIP-966)."""

LISTS: Final = {name: key for name, key in {**TOPIC_CONFIGS, **TOPIC_DEFAULTS}.items() if key.kind is Kind.LIST}
"""Those that APPEND and SUBTRACT are for."""


def altered(image: Image, change: ConfigChange) -> Record:
    """The record of a resource's configs behind the change. Raises Refused."""
    if change.kind == TOPIC:
        topic = image.topics.get(change.name)
        if topic is None:
            raise Refused(E.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{change.name}' does not exist.")
        return {"type": "topic_configs", "id": topic.id, "configs": _apply(image, topic.configs, change)}
    if change.kind == BROKER:
        node_id = _node(image, change.name)
        if node_id is not None and any(name == MIN_ISR for name, _, _ in change.changes):
            raise Refused(E.INVALID_CONFIG, f"Broker-level {MIN_ISR} cannot be altered while ELR is enabled.")
        return {"type": "configs", "node_id": node_id, "configs": _apply(image, image.configs.get(node_id, {}), change)}
    raise Refused(E.INVALID_REQUEST, f"Resources of type {change.kind} have no configs here.")


def _node(image: Image, name: str) -> int | None:
    if not name:
        return None
    if not name.isdecimal() or int(name) not in image.brokers:
        raise Refused(E.BROKER_ID_NOT_REGISTERED, f"No broker {name[:20]!r} is registered.")
    return int(name)


def _apply(image: Image, configs: Mapping[str, str], change: ConfigChange) -> dict[str, str]:
    names = [name for name, _, _ in change.changes]
    if len(set(names)) != len(names):
        raise Refused(E.INVALID_REQUEST, "A config is named twice.")
    result = {} if change.replaces else dict(configs)
    for name, operation, value in change.changes:
        if operation is ConfigOp.DELETE:
            result.pop(name, None)
        elif value is None:
            raise Refused(E.INVALID_CONFIG, f"{name} has no value.")
        elif operation is ConfigOp.SET:
            result[name] = value
        else:
            result[name] = _altered_list(image, result.get(name), name, operation, value)
    return result


def _altered_list(image: Image, own: str | None, name: str, operation: ConfigOp, value: str) -> str:
    """What isn't set begins with the default, as in Kafka: `compact` appended to nothing is `delete,compact`."""
    key = LISTS.get(name)
    if key is None:
        raise Refused(E.INVALID_CONFIG, f"{name} is no list: it can't be appended to or subtracted from.")
    if own is None:
        own = image.configs.get(None, {}).get(key.broker_name or name, key.default)
    listed, given = list_of(own), list_of(value)
    if operation is ConfigOp.APPEND:
        listed += [item for item in given if item not in listed]
    else:
        listed = [item for item in listed if item not in given]
    result = ",".join(listed)
    why = why_not_value(key, result)
    if why is not None:
        raise Refused(E.INVALID_CONFIG, why)
    return result
