"""FindCoordinator (10), versions 0 to 6: which server coordinates a group.

1 adds the type of the key, 3 is flexible, 4 takes several keys, 6 is for share groups too. Any server can answer: it
is the leader of the partition of `__consumer_offsets` that the group's id hashes to. Where that isn't known (the topic
doesn't exist yet, no leader) COORDINATOR_NOT_AVAILABLE makes the client ask again. Types other than groups aren't
served: INVALID_REQUEST, which no client repeats.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from server.api.context import GroupContext
from server.api.shape import Answer, Call
from wire import messages
from wire.answer_parts import Endpoint
from wire.errors import ErrorCode

KEY: Final = 10
KEYS_FROM: Final = 4
GROUP: Final = 0

Locate = Callable[[str], Endpoint | ErrorCode]
"""Where a group's coordinator is reached on the listener that was asked."""


def handle(call: Call, request: Any, context: GroupContext) -> Answer:
    return answer(call.version, call.correlation_id, request, partial(context.locate_group, listener=call.listener))


def answer(version: int, correlation_id: int, request: Any, locate: Locate) -> bytes:
    """The whole frame; nothing waits."""
    kind = getattr(request, "key_type", GROUP)
    if version >= KEYS_FROM:
        values = {"throttle_time": 0, "coordinators": [_found(key, kind, locate) for key in request.coordinator_keys]}
    else:
        values = {"throttle_time": 0, **_found(request.key, kind, locate)}
    return messages.answer(correlation_id, messages.build(KEY, version, values))


def _found(key: str, kind: int, locate: Locate) -> dict[str, Any]:
    found = locate(key) if kind == GROUP else ErrorCode.INVALID_REQUEST
    if isinstance(found, Endpoint):
        return _place(key, found, ErrorCode.NONE, None)
    message = None if kind == GROUP else f"Coordinators of type {kind} are not served."
    return _place(key, _NOWHERE, found, message)


def _place(key: str, place: Endpoint, code: ErrorCode, message: str | None) -> dict[str, Any]:
    return {
        "key": key,
        "node_id": place.node_id,
        "host": place.host,
        "port": place.port,
        "error_code": code,
        "error_message": message,
    }


_NOWHERE: Final = Endpoint(-1, "", -1)
