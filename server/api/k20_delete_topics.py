"""DeleteTopics (20), versions 1 to 6: by name, from 6 on by id too. 4 is flexible, 5 has messages. Control decides."""

from typing import Any, Final

from server.api.cluster_context import ClusterContext
from server.api.forwarding import Change, Refusal, Result, forward
from server.api.shape import Answer, Call, Later
from wire.errors import ErrorCode

KEY: Final = 20
IDS_FROM: Final = 6


def handle(call: Call, request: Any, context: ClusterContext) -> Answer | Later:
    return forward(call, request, context.control, _CHANGE)


def _items(version: int) -> str:
    return "topics" if version >= IDS_FROM else "topic_names"


def _why_not(topic: Any, request: Any, again: bool) -> Refusal | None:
    if isinstance(topic, str) or (topic.name is None) != (topic.topic_id is None):
        return None
    return Refusal(ErrorCode.INVALID_REQUEST, "A topic is to be given by its name or by its id.")


def _result(topic: Any, why: Refusal) -> Result:
    named = {"name": topic, "topic_id": None}
    if not isinstance(topic, str):
        named = {"name": topic.name, "topic_id": topic.topic_id}
    return {**named, "error_code": why.code, "error_message": why.message}


_CHANGE: Final = Change(KEY, _items, "responses", _why_not, _result)
