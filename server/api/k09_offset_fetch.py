"""OffsetFetch (9), versions 1 to 10: how far groups have come.

2 adds "all topics" (null) and an error for the whole, 5 the leader epoch, 6 is flexible, 8 takes several groups, 9
names a member of the new protocol (which nothing depends on here), 10 has topic ids. What was never committed, and a
group that never was, is offset -1 without an error: clients depend on it. What isn't known *yet* never looks like that:
a coordinator that loads, has moved or isn't confirmed answers with an error for the whole group. `require_stable` asks
to wait for open transactions' offsets; there are none.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from server.api.context import GroupContext, Topics
from server.api.shape import Answer, Call
from server.offset_records import OffsetValue
from server.offsets import GroupOffsets
from wire import messages
from wire.errors import ErrorCode

KEY: Final = 9
GROUP_ERROR_FROM: Final = 2
GROUPS_FROM: Final = 8
IDS_FROM: Final = 10

Read = Callable[[str], GroupOffsets | ErrorCode]
"""A group's committed offsets, or why they can't be told."""


def handle(call: Call, request: Any, context: GroupContext) -> Answer:
    def read(group_id: str) -> GroupOffsets | ErrorCode:
        coordinator = context.groups.find(group_id)
        return coordinator if isinstance(coordinator, ErrorCode) else coordinator.offsets_of(group_id)

    return answer(call.version, call.correlation_id, request, read, context.topics)


def answer(version: int, correlation_id: int, request: Any, read: Read, topics: Topics) -> bytes:
    """The whole frame; nothing waits."""
    if version >= GROUPS_FROM:
        groups = {group.group_id: group for group in request.groups}.values()  # each once: null asks for all it has
        values = {"throttle_time": 0, "groups": [_group(version, one, read, topics) for one in groups]}
    else:
        values = {"throttle_time": 0, **_group(version, request, read, topics)}
    return messages.answer(correlation_id, messages.build(KEY, version, values))


def _group(version: int, asked: Any, read: Read, topics: Topics) -> dict[str, Any]:
    found = read(asked.group_id)
    if not isinstance(found, ErrorCode):
        said = _everything(version, found, topics) if asked.topics is None else _asked(version, asked, found, topics)
        return {"group_id": asked.group_id, "error_code": ErrorCode.NONE, "topics": list(said)}
    said = [] if version >= GROUP_ERROR_FROM else [_failed(topic, found) for topic in asked.topics]
    return {"group_id": asked.group_id, "error_code": found, "topics": said}


def _everything(version: int, offsets: GroupOffsets, topics: Topics) -> Iterator[dict[str, Any]]:
    """By ids, topics that have been deleted are left out: nobody could say which they were."""
    for name, partitions in offsets.all():
        topic_id = topics.id_of(name) if version >= IDS_FROM else None
        if version < IDS_FROM or topic_id is not None:
            yield _topic(name, topic_id, partitions.items())


def _asked(version: int, asked: Any, offsets: GroupOffsets, topics: Topics) -> Iterator[dict[str, Any]]:
    for topic in asked.topics:
        if version < IDS_FROM:
            name, topic_id = topic.name, None
        else:
            topic_id = topic.topic_id
            name = None if topic_id is None else topics.name_of(topic_id)
        if name is None:
            yield _failed(topic, ErrorCode.UNKNOWN_TOPIC_ID)
        else:
            found = [(partition, offsets.get(name, partition)) for partition in topic.partition_indexes]
            yield _topic(name, topic_id, found)


def _topic(name: str, topic_id: Any, found: Iterable[tuple[int, OffsetValue | None]]) -> dict[str, Any]:
    partitions = [_partition(partition, value, ErrorCode.NONE) for partition, value in found]
    return {"name": name, "topic_id": topic_id, "partitions": partitions}


def _failed(topic: Any, code: ErrorCode) -> dict[str, Any]:
    partitions = [_partition(partition, None, code) for partition in topic.partition_indexes]
    return {"name": getattr(topic, "name", ""), "topic_id": getattr(topic, "topic_id", None), "partitions": partitions}


def _partition(partition: int, value: OffsetValue | None, code: ErrorCode) -> dict[str, Any]:
    return {
        "partition_index": partition,
        "committed_offset": -1 if value is None else value.offset,
        "committed_leader_epoch": -1 if value is None else value.leader_epoch,
        "metadata": "" if value is None else value.metadata,
        "error_code": code,
    }
