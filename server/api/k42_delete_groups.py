"""DeleteGroups (42), versions 0 to 2: groups without members, and all their offsets.

2 is flexible. Each group is an event of its own, since each may have another coordinator; the answer waits until the
tombstones of all are durable. Errors: NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from server.api.context import GroupContext
from server.api.shape import Answer, Call, Later
from server.group_words import DeleteGroup, Outcome, Ticket
from wire import messages

KEY: Final = 42


def handle(call: Call, request: Any, context: GroupContext) -> Answer | Later:
    events = events_of(request, context.groups.next_ticket)
    return context.groups.ask_all(call, events, partial(answer, call.version, call.correlation_id, request))


def events_of(request: Any, next_ticket: Callable[[], Ticket]) -> list[DeleteGroup]:
    """One for each group, in order."""
    return [DeleteGroup(next_ticket(), group_id) for group_id in request.groups_names]


def answer(version: int, correlation_id: int, request: Any, codes: Sequence[Outcome]) -> bytes:
    """The whole frame, of one code for each event."""
    results = [
        {"group_id": group_id, "error_code": code} for group_id, code in zip(request.groups_names, codes, strict=True)
    ]
    return messages.answer(correlation_id, messages.build(KEY, version, {"throttle_time": 0, "results": results}))
