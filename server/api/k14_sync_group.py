"""SyncGroup (14), versions 0 to 5: the leader brings everyone's assignment, and each member is handed its own.

3 adds the instance id, 4 is flexible, 5 names the protocol, which must be there and be the group's
(INCONSISTENT_GROUP_PROTOCOL, KIP-559).
Waits for the leader, and until its assignment is stored.
"""

from functools import partial
from typing import Any, Final

from server.api.context import GroupContext
from server.api.shape import Answer, Call, Later
from server.group_words import Sync, SyncOutcome, Ticket
from wire import messages
from wire.errors import ErrorCode

KEY: Final = 14
PROTOCOL_FROM: Final = 5


def handle(call: Call, request: Any, context: GroupContext) -> Answer | Later:
    event = event_of(request, context.groups.next_ticket())
    if call.version >= PROTOCOL_FROM and (event.protocol_type is None or event.protocol is None):
        return answer(call.version, call.correlation_id, event.refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL))
    return context.groups.ask(call, event, partial(answer, call.version, call.correlation_id))


def event_of(request: Any, ticket: Ticket) -> Sync:
    return Sync(
        ticket,
        request.group_id,
        request.generation_id,
        request.member_id,
        getattr(request, "group_instance_id", None),
        getattr(request, "protocol_type", None),
        getattr(request, "protocol_name", None),
        {given.member_id: given.assignment for given in request.assignments},
    )


def answer(version: int, correlation_id: int, outcome: SyncOutcome) -> bytes:
    """The whole frame."""
    values = {
        "throttle_time": 0,
        "error_code": outcome.code,
        "protocol_type": outcome.protocol_type,
        "protocol_name": outcome.protocol,
        "assignment": outcome.assignment,
    }
    return messages.answer(correlation_id, messages.build(KEY, version, values))
