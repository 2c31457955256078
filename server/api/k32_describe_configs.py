"""DescribeConfigs (32), versions 1 to 4: settings, their values, and where these come from (KIP-226).

Topics and brokers have settings. A broker answers for itself (clients ask the one that they mean); the empty name is
what was set for all of them at run time. 3 adds types and documentation, 4 is flexible. Null keys: all.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from server.api.altered_configs import BROKER, TOPIC
from server.api.forwarding import Refusal
from server.api.shape import Answer, Call
from server.topic_configs import Described, broker_settings, default_settings, topic_settings
from wire import messages
from wire.cluster import Image
from wire.errors import ErrorCode
from wire.topic_names import why_not_a_name

KEY: Final = 32


class ConfigsContext(Protocol):
    """`started_with`: the server's settings in Kafka's names, so far as they were given."""

    @property
    def node_id(self) -> int: ...

    @property
    def image(self) -> Image: ...

    @property
    def started_with(self) -> Mapping[str, str]: ...


def handle(call: Call, request: Any, context: ConfigsContext) -> Answer:
    # Each once: to name one takes some bytes, to describe it ten thousand.
    asked = {(resource.resource_type, resource.resource_name): resource for resource in request.resources}
    results = [_resource(resource, request, context) for resource in asked.values()]
    return messages.answer(
        call.correlation_id, messages.build(KEY, call.version, {"throttle_time": 0, "results": results})
    )


def _resource(resource: Any, request: Any, context: ConfigsContext) -> dict[str, Any]:
    told: dict[str, Any] = {"resource_type": resource.resource_type, "resource_name": resource.resource_name}
    found = _settings(resource.resource_type, resource.resource_name, context)
    if isinstance(found, Refusal):
        return told | {"error_code": found.code, "error_message": found.message, "configs": ()}
    keys = resource.configuration_keys
    configs = [_config(one, request) for one in found if keys is None or one.name in keys]
    return told | {"error_code": ErrorCode.NONE, "error_message": None, "configs": configs}


def _settings(kind: int, name: str, context: ConfigsContext) -> list[Described] | Refusal:
    if kind == TOPIC:
        if name in context.image.topics:
            return topic_settings(context.image, context.node_id, context.started_with, name)
        why = why_not_a_name(name)
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if why is None else ErrorCode.INVALID_TOPIC_EXCEPTION
        return Refusal(code, why or f"The topic '{name}' does not exist.")
    if kind != BROKER:
        return Refusal(ErrorCode.INVALID_REQUEST, f"Resources of type {kind} have no settings here.")
    if not name:
        return default_settings(context.image)
    if name != str(context.node_id):
        return Refusal(ErrorCode.INVALID_REQUEST, f"This is broker {context.node_id}, not {name[:20]!r}.")
    return broker_settings(context.image, context.node_id, context.started_with)


def _config(described: Described, request: Any) -> dict[str, Any]:
    holds = described.synonyms[0]
    synonyms = [synonym._asdict() for synonym in described.synonyms] if request.include_synonyms else []
    documented = getattr(request, "include_documentation", False)
    return {
        "name": described.name,
        "value": holds.value,
        "read_only": described.is_read_only,
        "config_source": holds.source,
        "is_sensitive": False,
        "synonyms": synonyms,
        "config_type": described.key.kind,
        "documentation": described.key.documentation if documented else None,
    }
