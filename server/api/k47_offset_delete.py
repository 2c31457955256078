"""OffsetDelete (47), version 0, which is not flexible: forget offsets of topics that the group doesn't read.

A topic that members subscribe to is GROUP_SUBSCRIBED_TO_TOPIC, a partition that doesn't exist is
UNKNOWN_TOPIC_OR_PARTITION, one without an offset is deleted already. A group with members must be one of consumers
(else NON_EMPTY_GROUP): of others nobody knows what they read. With an error for the whole there are no topics.
"""

from functools import partial
from typing import Any, Final, NamedTuple

from server.api.context import GroupContext, Topics
from server.api.shape import Answer, Call, Later
from server.group_words import DeleteOffsets, OffsetsOutcome, Ticket
from wire import messages
from wire.errors import ErrorCode

KEY: Final = 47


def handle(call: Call, request: Any, context: GroupContext) -> Answer | Later:
    event, refused = plan(request, context.groups.next_ticket(), context.topics)
    return context.groups.ask(call, event, partial(answer, call.version, call.correlation_id, request, refused))


class Plan(NamedTuple):
    """The event, and for each partition as asked what it's refused with (NONE: it's in the event, in that order)."""

    event: DeleteOffsets
    refused: tuple[ErrorCode, ...]


def plan(request: Any, ticket: Ticket, topics: Topics) -> Plan:
    keys = [(topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions]
    known = [topics.has(*key) for key in keys]
    event = DeleteOffsets(ticket, request.group_id, tuple([key for key, has in zip(keys, known, strict=True) if has]))
    return Plan(event, tuple([ErrorCode.NONE if has else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION for has in known]))


def answer(
    version: int, correlation_id: int, request: Any, refused: tuple[ErrorCode, ...], outcome: OffsetsOutcome
) -> bytes:
    """The whole frame."""
    topics: list[dict[str, Any]] = []
    if not outcome.code:
        accepted = iter(outcome.codes)
        codes = iter([code or next(accepted) for code in refused])
        for topic in request.topics:
            partitions = [
                {"partition_index": asked.partition_index, "error_code": next(codes)} for asked in topic.partitions
            ]
            topics.append({"name": topic.name, "partitions": partitions})
    values = {"error_code": outcome.code, "throttle_time": 0, "topics": topics}
    return messages.answer(correlation_id, messages.build(KEY, version, values))
