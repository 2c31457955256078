"""IncrementalAlterConfigs (44), versions 0 and 1 (KIP-339): set, delete, append to and subtract from lists. 1 is
flexible. Values are judged here, control decides."""

from typing import Any, Final

from server.api.altered_configs import ABOUT, key_of, result, why_not_resource, why_not_value
from server.api.cluster_context import ClusterContext
from server.api.forwarding import Change, Refusal, forward
from server.api.shape import Answer, Call, Later
from wire.errors import ErrorCode
from wire.topic_configs import Kind

KEY: Final = 44
SET: Final = 0
DELETE: Final = 1
APPEND: Final = 2
SUBTRACT: Final = 3


def handle(call: Call, request: Any, context: ClusterContext) -> Answer | Later:
    return forward(call, request, context.control, _CHANGE)


def _why_not(resource: Any, request: Any, again: bool) -> Refusal | None:
    judged = (_why_not_change(resource.resource_type, config) for config in resource.configs)
    return why_not_resource(resource, again) or next((why for why in judged if why is not None), None)


def _why_not_change(resource_type: int, config: Any) -> Refusal | None:
    key = key_of(resource_type, config.name)
    if config.config_operation not in (SET, DELETE, APPEND, SUBTRACT):
        return Refusal(ErrorCode.INVALID_REQUEST, f"{config.config_operation} is no operation on settings.")
    if key is not None and config.config_operation == DELETE:
        return None
    if key is not None and config.config_operation in (APPEND, SUBTRACT) and key.kind is not Kind.LIST:
        return Refusal(
            ErrorCode.INVALID_CONFIG, f"{config.name} is no list: it can't be appended to or subtracted from."
        )
    return why_not_value(resource_type, config.name, config.value)


_CHANGE: Final = Change(KEY, lambda version: "resources", "responses", _why_not, result, ABOUT)
