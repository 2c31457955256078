"""LeaveGroup (13), versions 0 to 5: members go, and the rest rebalances at once.

3 takes several members, by their ids or, for administrators, by instance id alone (KIP-345), 4 is flexible, 5 carries a
reason. Before 3 the one member's error is the answer's. A group that isn't known knows none of its members.
"""

from functools import partial
from typing import Any, Final

from server.api.context import GroupContext
from server.api.shape import Answer, Call, Later
from server.group_words import Leave, LeaveOutcome, Left, Ticket
from wire import messages
from wire.errors import ErrorCode

KEY: Final = 13
MEMBERS_FROM: Final = 3


def handle(call: Call, request: Any, context: GroupContext) -> Answer | Later:
    event = event_of(request, call.version, context.groups.next_ticket())
    return context.groups.ask(call, event, partial(answer, call.version, call.correlation_id, event))


def event_of(request: Any, version: int, ticket: Ticket) -> Leave:
    if version < MEMBERS_FROM:
        return Leave(ticket, request.group_id, ((request.member_id, None),))
    members = tuple([(member.member_id, member.group_instance_id) for member in request.members])
    return Leave(ticket, request.group_id, members)


def answer(version: int, correlation_id: int, event: Leave, outcome: LeaveOutcome) -> bytes:
    """The whole frame."""
    code, members = outcome.code, outcome.members
    if code is ErrorCode.UNKNOWN_MEMBER_ID:
        code, members = ErrorCode.NONE, tuple([Left(*member, outcome.code) for member in event.members])
    if version < MEMBERS_FROM:
        code = code or next((left.code for left in members), ErrorCode.NONE)
    values = {
        "throttle_time": 0,
        "error_code": code,
        "members": [
            {"member_id": left.member_id, "group_instance_id": left.instance_id, "error_code": left.code}
            for left in members
        ],
    }
    return messages.answer(correlation_id, messages.build(KEY, version, values))
