"""What a log may forget: whole segments, the oldest first, by time and by size (Kafka's UnifiedLog.deleteOldSegments).

Time is that of the newest record in a segment, so a record from the future keeps its segment, as in Kafka. By size a
segment goes only if what remains is still at least the limit. Nothing at or above the high watermark goes.
"""

from collections.abc import Sequence
from typing import NamedTuple

UNLIMITED = -1


class SegmentFacts(NamedTuple):
    """A segment as retention sees it. `max_time_ms` is -1 where no record has a time."""

    next_offset: int
    size_bytes: int
    max_time_ms: int


def kept_from(
    segments: Sequence[SegmentFacts], now_ms: int, retention_ms: int, retention_bytes: int, high_watermark: int
) -> int:
    """How many of the oldest `segments` may go. -1 for a limit means none."""
    excess = sum(segment.size_bytes for segment in segments) - retention_bytes
    for count, segment in enumerate(segments):
        is_old = retention_ms != UNLIMITED and 0 <= segment.max_time_ms < now_ms - retention_ms
        is_too_much = retention_bytes != UNLIMITED and excess >= segment.size_bytes > 0
        if segment.next_offset > high_watermark or not (is_old or is_too_much):
            return count
        excess -= segment.size_bytes
    return len(segments)
