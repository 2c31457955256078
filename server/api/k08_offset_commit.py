"""OffsetCommit (8), versions 2 to 10: a member or a simple consumer says how far it has come.

2 to 4 may carry a retention time of their own, 6 adds the leader epoch, 7 the instance id, 8 is flexible, 9 is for the
new consumer protocol too and tells GROUP_ID_NOT_FOUND, 10 has topic ids. Partitions that don't exist are refused by
themselves (UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID), and so is metadata beyond `offset.metadata.max.bytes`; all
else of the request is committed. It is answered when the records are durable. Only a group without members takes
commits of no generation.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from server.api.context import GroupContext, Topics
from server.api.shape import Answer, Call, Later
from server.group_words import Commit, NewOffset, OffsetsOutcome, Ticket
from wire.answer_parts import Topic
from wire.errors import ErrorCode
from wire.group_answers import pack_offset_commit
from wire.primitives import NO_UUID

KEY: Final = 8
IDS_FROM: Final = 10
NOT_FOUND_FROM: Final = 9


def handle(call: Call, request: Any, context: GroupContext) -> Answer | Later:
    event, refused = plan(request, call.version, context.groups.next_ticket(), context.topics)
    return context.groups.ask(call, event, partial(answer, call.version, call.correlation_id, request, refused))


class Plan(NamedTuple):
    """The event, and for each partition as asked what it's refused with (NONE: it's in the event, in that order)."""

    event: Commit
    refused: tuple[ErrorCode, ...]


def plan(request: Any, version: int, ticket: Ticket, topics: Topics) -> Plan:
    offsets: list[NewOffset] = []
    refused: list[ErrorCode] = []
    for topic in request.topics:
        name = _name_of(topic, version, topics)
        for asked in topic.partitions:
            code = _check(name, asked.partition_index, topics)
            refused.append(code)
            if not code:
                offsets.append(_offset(name, asked))
    event = Commit(
        ticket,
        request.group_id,
        request.generation_id_or_member_epoch,
        request.member_id,
        getattr(request, "group_instance_id", None),
        tuple(offsets),
        getattr(request, "retention_time", _NO_RETENTION) // _MS,
    )
    return Plan(event, tuple(refused))


def answer(
    version: int, correlation_id: int, request: Any, refused: tuple[ErrorCode, ...], outcome: OffsetsOutcome
) -> bytes:
    """The whole frame, with topics and partitions as asked."""
    accepted = iter(outcome.codes)
    codes = iter([code or _spoken(next(accepted), version) for code in refused])
    return pack_offset_commit(version, correlation_id, list(_topics(request, version, codes)))


def _topics(request: Any, version: int, codes: Iterator[ErrorCode]) -> Iterator[tuple[Topic, list[tuple[int, int]]]]:
    for topic in request.topics:
        yield _head(topic, version), [(asked.partition_index, next(codes)) for asked in topic.partitions]


def _head(topic: Any, version: int) -> Topic:
    if version < IDS_FROM:
        return topic.name
    return NO_UUID if topic.topic_id is None else topic.topic_id.bytes


def _name_of(topic: Any, version: int, topics: Topics) -> str | None:
    if version < IDS_FROM:
        return topic.name
    topic_id: UUID | None = topic.topic_id
    return None if topic_id is None else topics.name_of(topic_id)


def _check(name: str | None, partition: int, topics: Topics) -> ErrorCode:
    if name is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    return ErrorCode.NONE if topics.has(name, partition) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def _offset(name: str | None, asked: Any) -> NewOffset:
    epoch = getattr(asked, "committed_leader_epoch", -1)
    return NewOffset(name or "", asked.partition_index, asked.committed_offset, epoch, asked.committed_metadata or "")


def _spoken(code: ErrorCode, version: int) -> ErrorCode:
    """Older clients know an unknown group as a generation that is over."""
    is_new = code is ErrorCode.GROUP_ID_NOT_FOUND and version < NOT_FOUND_FROM
    return ErrorCode.ILLEGAL_GENERATION if is_new else code


_MS: Final = timedelta(milliseconds=1)
_NO_RETENTION: Final = timedelta(milliseconds=-1)
