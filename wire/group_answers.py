"""Answers of Heartbeat and OffsetCommit by hand: each member of each group sends both every few seconds, and kio's
writer takes ten times as long. A property test holds them to kio for every version."""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from wire.answer_parts import Topic, topic_head
from wire.packing import array_head

HEARTBEAT_FLEXIBLE_FROM: Final = 4
COMMIT_FLEXIBLE_FROM: Final = 8
COMMIT_THROTTLE_FROM: Final = 3


def pack_heartbeat(version: int, correlation_id: int, error_code: int, throttle_ms: int = 0) -> bytes:
    """A whole answer frame of Heartbeat 0 to 4."""
    if version >= HEARTBEAT_FLEXIBLE_FROM:
        return _HEARTBEAT_4.pack(_HEARTBEAT_4.size - 4, correlation_id, 0, throttle_ms, error_code, 0)
    if version:
        return _HEARTBEAT_1.pack(_HEARTBEAT_1.size - 4, correlation_id, throttle_ms, error_code)
    return _HEARTBEAT_0.pack(_HEARTBEAT_0.size - 4, correlation_id, error_code)


def pack_offset_commit(
    version: int,
    correlation_id: int,
    topics: Sequence[tuple[Topic, Sequence[tuple[int, int]]]],
    throttle_ms: int = 0,
) -> bytes:
    """A whole answer frame of OffsetCommit 2 to 10, of which 10 has ids: for each topic its (partition, error
    code)s."""
    flexible = version >= COMMIT_FLEXIBLE_FROM
    result = _COMMITTED_8 if flexible else _COMMITTED_2
    end = (0,) if flexible else ()
    parts = [b"", array_head(len(topics), flexible)]
    for topic, results in topics:
        parts += (topic_head(topic, flexible), array_head(len(results), flexible))
        parts += [result.pack(partition, error_code, *end) for partition, error_code in results]
        if flexible:
            parts.append(b"\x00")
    if flexible:
        parts.append(b"\x00")
    size = sum(map(len, parts))
    if flexible:
        parts[0] = _COMMIT_8.pack(_COMMIT_8.size - 4 + size, correlation_id, 0, throttle_ms)
    elif version >= COMMIT_THROTTLE_FROM:
        parts[0] = _COMMIT_3.pack(_COMMIT_3.size - 4 + size, correlation_id, throttle_ms)
    else:
        parts[0] = _COMMIT_2.pack(_COMMIT_2.size - 4 + size, correlation_id)
    return b"".join(parts)


_HEARTBEAT_0: Final = Struct(">iih")
_HEARTBEAT_1: Final = Struct(">iiih")
_HEARTBEAT_4: Final = Struct(">iibihb")
_COMMIT_2: Final = Struct(">ii")
_COMMIT_3: Final = Struct(">iii")
_COMMIT_8: Final = Struct(">iibi")
_COMMITTED_2: Final = Struct(">ih")
_COMMITTED_8: Final = Struct(">ihb")
