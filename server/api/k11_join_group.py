"""JoinGroup (11), versions 0 to 9: to be a member of a group's next generation; waits until that begins.

1 adds the rebalance time-out (before, the session's counts), 4 makes newcomers come twice, the second time with the id
that they were given (KIP-394), 5 adds static members, 6 is flexible, 7 allows a null protocol and names its type, 8 a
reason, 9 SkipAssignment (KIP-814). Errors: see `server.group` and `server.coordinator`.
"""

from datetime import timedelta
from functools import partial
from typing import Any, Final

from server.api.context import GroupContext
from server.api.shape import Answer, Call, Later
from server.group_words import Join, JoinOutcome, Ticket
from wire import messages

KEY: Final = 11
REBALANCE_TIMEOUT_FROM: Final = 1
MEMBER_ID_FROM: Final = 4
NULL_PROTOCOL_FROM: Final = 7
SKIP_ASSIGNMENT_FROM: Final = 9


def handle(call: Call, request: Any, context: GroupContext) -> Answer | Later:
    event = event_of(request, call, context.groups.next_ticket())
    return context.groups.ask(call, event, partial(answer, call.version, call.correlation_id))


def event_of(request: Any, call: Call, ticket: Ticket) -> Join:
    version = call.version
    session_ms = request.session_timeout // _MS
    return Join(
        ticket,
        request.group_id,
        request.member_id,
        getattr(request, "group_instance_id", None),
        call.client_id or "",
        f"/{call.host}",  # as Java writes an address without a name, and tools show
        session_ms,
        request.rebalance_timeout // _MS if version >= REBALANCE_TIMEOUT_FROM else session_ms,
        request.protocol_type,
        tuple([(protocol.name, protocol.metadata) for protocol in request.protocols]),
        needs_member_id=version >= MEMBER_ID_FROM,
        can_skip_assignment=version >= SKIP_ASSIGNMENT_FROM,
    )


def answer(version: int, correlation_id: int, outcome: JoinOutcome) -> bytes:
    """The whole frame."""
    protocol = outcome.protocol
    values = {
        "throttle_time": 0,
        "error_code": outcome.code,
        "generation_id": outcome.generation,
        "protocol_type": outcome.protocol_type,
        "protocol_name": protocol if version >= NULL_PROTOCOL_FROM else protocol or "",
        "leader": outcome.leader,
        "skip_assignment": outcome.skip_assignment,
        "member_id": outcome.member_id,
        "members": [
            {"member_id": member_id, "group_instance_id": instance_id, "metadata": metadata}
            for member_id, instance_id, metadata in outcome.members
        ],
    }
    return messages.answer(correlation_id, messages.build(KEY, version, values))


_MS: Final = timedelta(milliseconds=1)
