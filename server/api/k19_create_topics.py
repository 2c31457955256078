"""CreateTopics (19), versions 2 to 7: control decides and places; it answers when the new leaders serve.

4 allows -1 for the defaults, 5 is flexible and tells the settings, 7 the topic's id. Names, counts and settings are
judged here.
"""

from typing import Any, Final

from server.api.cluster_context import ClusterContext
from server.api.forwarding import Change, Refusal, Result, forward
from server.api.shape import Answer, Call, Later
from wire.errors import ErrorCode
from wire.topic_configs import why_not_configs
from wire.topic_names import why_not_a_name

KEY: Final = 19
DEFAULT: Final = -1


def handle(call: Call, request: Any, context: ClusterContext) -> Answer | Later:
    return forward(call, request, context.control, _CHANGE)


def _why_not(topic: Any, request: Any, again: bool) -> Refusal | None:
    if again:
        return Refusal(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
    why = why_not_a_name(topic.name)
    if why is not None:
        return Refusal(ErrorCode.INVALID_TOPIC_EXCEPTION, why)
    return _why_not_counts(topic) or _why_not_settings(topic)


def _why_not_counts(topic: Any) -> Refusal | None:
    if topic.assignments:
        if topic.num_partitions != DEFAULT or topic.replication_factor != DEFAULT:
            return Refusal(ErrorCode.INVALID_REQUEST, "Counts and assignments cannot both be given.")
        return None
    if topic.num_partitions == 0 or topic.num_partitions < DEFAULT:
        return Refusal(ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value.")
    if topic.replication_factor == 0 or topic.replication_factor < DEFAULT:
        return Refusal(ErrorCode.INVALID_REPLICATION_FACTOR, "Replication factor must be larger than 0.")
    return None


def _why_not_settings(topic: Any) -> Refusal | None:
    why = why_not_configs((config.name, config.value) for config in topic.configs)
    return None if why is None else Refusal(ErrorCode.INVALID_CONFIG, why)


def _result(topic: Any, why: Refusal) -> Result:
    return {
        "name": topic.name,
        "topic_id": None,
        "error_code": why.code,
        "error_message": why.message,
        "configs": None if why.code else (),
    }


_CHANGE: Final = Change(KEY, lambda version: "topics", "topics", _why_not, _result, ("name",))
