"""DeleteRecords (21), versions 0 to 2: a partition begins later; 2 is flexible. Offset -1 stands for HW.

The new start is stored with the log's next checkpoint; a crash before that may bring back records which were told to be
deleted, never others, so this waits for nothing. Followers take the start from their fetches.
"""

from typing import Any, Final

from server.api.broker_context import PartitionContext
from server.api.shape import Answer, Call
from server.partition import Refused
from server.storage import StorageError
from wire import messages
from wire.errors import ErrorCode

KEY: Final = 21
TO_HIGH_WATERMARK: Final = -1
UNKNOWN: Final = -1


def handle(call: Call, request: Any, context: PartitionContext) -> Answer:
    topics = [
        {"name": topic.name, "partitions": [_partition(call, topic.name, asked, context) for asked in topic.partitions]}
        for topic in request.topics
    ]
    return messages.answer(
        call.correlation_id, messages.build(KEY, call.version, {"throttle_time": 0, "topics": topics})
    )


def _partition(call: Call, topic: str, asked: Any, context: PartitionContext) -> dict[str, Any]:
    number, code, low = int(asked.partition_index), ErrorCode.NONE, UNKNOWN
    partition = context.find(topic, number)
    try:
        if partition is None:
            raise Refused(context.why_not(topic, number))
        log = partition.led()
        if not log.settings.deletes:
            raise Refused(ErrorCode.POLICY_VIOLATION)
        end = partition.high_watermark if asked.offset == TO_HIGH_WATERMARK else int(asked.offset)
        if not 0 <= end <= partition.high_watermark:
            raise Refused(ErrorCode.OFFSET_OUT_OF_RANGE)
        log.advance_start(end)
        partition.appended(call.now)
        low = log.log_start
    except (Refused, StorageError) as error:
        code = error.code
    return {"partition_index": number, "low_watermark": low, "error_code": code}
