"""AlterConfigs (33), versions 0 to 2: all settings of a resource at once; what isn't named goes back to its default,
which is why Kafka prefers IncrementalAlterConfigs. 2 is flexible. Values are judged here, control decides."""

from typing import Any, Final

from server.api.altered_configs import ABOUT, result, why_not_resource, why_not_value
from server.api.cluster_context import ClusterContext
from server.api.forwarding import Change, Refusal, forward
from server.api.shape import Answer, Call, Later

KEY: Final = 33


def handle(call: Call, request: Any, context: ClusterContext) -> Answer | Later:
    return forward(call, request, context.control, _CHANGE)


def _why_not(resource: Any, request: Any, again: bool) -> Refusal | None:
    judged = (why_not_value(resource.resource_type, config.name, config.value) for config in resource.configs)
    return why_not_resource(resource, again) or next((why for why in judged if why is not None), None)


_CHANGE: Final = Change(KEY, lambda version: "resources", "responses", _why_not, result, ABOUT)
