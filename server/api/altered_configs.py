"""What AlterConfigs and IncrementalAlterConfigs have in common: settings of topics, and of brokers the topics' defaults
(KIP-226). Everything else a server has is set where it is started."""

from typing import Any, Final

from server.api.forwarding import Refusal, Result
from wire.errors import ErrorCode
from wire.topic_configs import TOPIC_CONFIGS, TOPIC_DEFAULTS, ConfigKey, why_not_config, why_not_default

TOPIC: Final = 2
BROKER: Final = 4
ABOUT: Final = ("resource_type", "resource_name")
"""The fields that tell one resource from another."""


def why_not_resource(resource: Any, again: bool) -> Refusal | None:
    """Whatever is to be done with its settings. `again`: it is named twice."""
    if resource.resource_type not in (TOPIC, BROKER):
        return Refusal(ErrorCode.INVALID_REQUEST, f"Resources of type {resource.resource_type} have no settings here.")
    if again:
        return Refusal(ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
    names = [config.name for config in resource.configs]
    if len(set(names)) != len(names):
        return Refusal(ErrorCode.INVALID_REQUEST, "Each setting must appear at most once.")
    return None


def why_not_value(resource_type: int, name: str, value: str | None) -> Refusal | None:
    """Whether a topic or broker may have this setting."""
    why = (why_not_config if resource_type == TOPIC else why_not_default)(name, value)
    return None if why is None else Refusal(ErrorCode.INVALID_CONFIG, why)


def key_of(resource_type: int, name: str) -> ConfigKey | None:
    return (TOPIC_CONFIGS if resource_type == TOPIC else TOPIC_DEFAULTS).get(name)


def result(resource: Any, why: Refusal) -> Result:
    return {
        "error_code": why.code,
        "error_message": why.message,
        "resource_type": resource.resource_type,
        "resource_name": resource.resource_name,
    }
