"""CreatePartitions (37), versions 0 to 3: a topic gets more of them. 2 is flexible. Control decides and places."""

from typing import Any, Final

from server.api.cluster_context import ClusterContext
from server.api.forwarding import Change, Refusal, Result, forward
from server.api.shape import Answer, Call, Later
from wire.errors import ErrorCode

KEY: Final = 37


def handle(call: Call, request: Any, context: ClusterContext) -> Answer | Later:
    return forward(call, request, context.control, _CHANGE)


def _why_not(topic: Any, request: Any, again: bool) -> Refusal | None:
    if again:
        return Refusal(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
    if topic.count <= 0:
        return Refusal(ErrorCode.INVALID_PARTITIONS, f"{topic.count} is no number of partitions.")
    return None


def _result(topic: Any, why: Refusal) -> Result:
    return {"name": topic.name, "error_code": why.code, "error_message": why.message}


_CHANGE: Final = Change(KEY, lambda version: "topics", "results", _why_not, _result, ("name",))
