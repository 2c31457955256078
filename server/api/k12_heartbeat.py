"""Heartbeat (12), versions 0 to 4: a member lives, and hears whether to join again (REBALANCE_IN_PROGRESS).

3 adds the instance id, 4 is flexible. Answered at once.
"""

from functools import partial
from typing import Any, Final

from server.api.context import GroupContext
from server.api.shape import Answer, Call, Later
from server.group_words import Heartbeat, Ticket
from wire.errors import ErrorCode
from wire.group_answers import pack_heartbeat

KEY: Final = 12


def handle(call: Call, request: Any, context: GroupContext) -> Answer | Later:
    event = event_of(request, context.groups.next_ticket())
    return context.groups.ask(call, event, partial(answer, call.version, call.correlation_id))


def event_of(request: Any, ticket: Ticket) -> Heartbeat:
    instance_id = getattr(request, "group_instance_id", None)
    return Heartbeat(ticket, request.group_id, request.generation_id, request.member_id, instance_id)


def answer(version: int, correlation_id: int, outcome: ErrorCode) -> bytes:
    """The whole frame."""
    return pack_heartbeat(version, correlation_id, outcome)
