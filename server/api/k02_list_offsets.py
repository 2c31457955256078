"""ListOffsets (2), versions 1 to 11: the earliest, the latest, or the offset of a time.

4 adds leader epochs, 6 is flexible, 7 the newest time (KIP-734), 8 and 9 tiered storage's offsets, of which there are
none here, 11 what is to be uploaded, none either.

The latest offset is HW, and only a confirmed leader may tell it (R2). A leader that has yet to commit something in its
epoch doesn't know HW well enough: OFFSET_NOT_AVAILABLE, before version 5 LEADER_NOT_AVAILABLE (KIP-207).
"""

from typing import Any, Final

from server.api.broker_context import PartitionContext
from server.api.shape import Answer, Call
from server.log import Found, Log
from server.partition import ANY_EPOCH, Partition, Refused
from server.storage import StorageError
from wire import messages
from wire.errors import ErrorCode

KEY: Final = 2
LATEST: Final = -1
EARLIEST: Final = -2
NEWEST: Final = -3
EARLIEST_LOCAL: Final = -4
NONE_FROM: Final = -5
"""From here on down: tiered storage's questions."""
SPOKEN_FROM: Final = {LATEST: 1, EARLIEST: 1, NEWEST: 7, EARLIEST_LOCAL: 8, NONE_FROM: 9, -6: 11}
"""The first version that may ask for each of the special times (Kafka's ReplicaManager has the same table)."""

OFFSET_NOT_AVAILABLE_FROM: Final = 5
NO_TIME: Final = -1
NOTHING: Final = (NO_TIME, -1, -1)


def handle(call: Call, request: Any, context: PartitionContext) -> Answer:
    topics = [
        {"name": topic.name, "partitions": [_partition(call, topic.name, asked, context) for asked in topic.partitions]}
        for topic in request.topics
    ]
    return messages.answer(
        call.correlation_id, messages.build(KEY, call.version, {"throttle_time": 0, "topics": topics})
    )


def _partition(call: Call, topic: str, asked: Any, context: PartitionContext) -> dict[str, Any]:
    number = int(asked.partition_index)
    code = ErrorCode.NONE
    timestamp_ms, offset, epoch = NOTHING
    partition = context.find(topic, number)
    try:
        if partition is None:
            raise Refused(context.why_not(topic, number))
        log = partition.led(getattr(asked, "current_leader_epoch", ANY_EPOCH))
        timestamp_ms, offset, epoch = _find(call, partition, log, _in_ms(asked.timestamp))
    except (Refused, StorageError) as error:
        code = error.code
    return {
        "partition_index": number,
        "error_code": code,
        "timestamp": timestamp_ms,
        "offset": offset,
        "leader_epoch": epoch,
    }


def _find(call: Call, partition: Partition, log: Log, wanted_ms: int) -> tuple[int, int, int]:
    """(time or -1, offset, its leader epoch). Raises Refused or StorageError."""
    if wanted_ms < 0 and call.version < SPOKEN_FROM.get(wanted_ms, call.version + 1):
        raise Refused(ErrorCode.UNSUPPORTED_VERSION)
    if wanted_ms in (EARLIEST, EARLIEST_LOCAL):
        return NO_TIME, log.log_start, log.epochs.at(log.log_start)
    if wanted_ms <= NONE_FROM:
        return NOTHING
    if not partition.is_confirmed(call.now):
        raise Refused(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    if partition.high_watermark < partition.epoch_start:
        is_known = call.version >= OFFSET_NOT_AVAILABLE_FROM
        raise Refused(ErrorCode.OFFSET_NOT_AVAILABLE if is_known else ErrorCode.LEADER_NOT_AVAILABLE)
    if wanted_ms == LATEST:
        return NO_TIME, partition.high_watermark, log.epochs.at(partition.high_watermark)
    return _shown(log.find_newest() if wanted_ms == NEWEST else log.find_by_time(wanted_ms), partition, log)


def _shown(found: Found | None, partition: Partition, log: Log) -> tuple[int, int, int]:
    if found is None or found.offset >= partition.high_watermark:
        return NOTHING
    return found.timestamp_ms, found.offset, log.epochs.at(found.offset)


def _in_ms(timestamp: Any) -> int:
    return int(timestamp)
