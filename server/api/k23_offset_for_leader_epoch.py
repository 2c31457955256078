"""OffsetForLeaderEpoch (23), versions 2 to 4: where a leader epoch ended (KIP-101, KIP-320).

3 has a replica's id, 4 is flexible. Followers hear it with their Fetch (diverging epochs); consumers ask to find out
whether what they read still stands.
"""

from typing import Any, Final

from server.api.broker_context import PartitionContext
from server.api.shape import Answer, Call
from server.leader_epochs import NO_EPOCH
from server.partition import Refused
from wire import messages
from wire.errors import ErrorCode

KEY: Final = 23
NO_OFFSET: Final = -1


def handle(call: Call, request: Any, context: PartitionContext) -> Answer:
    topics = [
        {"topic": topic.topic, "partitions": [_partition(topic.topic, asked, context) for asked in topic.partitions]}
        for topic in request.topics
    ]
    return messages.answer(
        call.correlation_id, messages.build(KEY, call.version, {"throttle_time": 0, "topics": topics})
    )


def _partition(topic: str, asked: Any, context: PartitionContext) -> dict[str, Any]:
    code, epoch, end = ErrorCode.NONE, NO_EPOCH, NO_OFFSET
    partition = context.find(topic, asked.partition)
    try:
        if partition is None:
            raise Refused(context.why_not(topic, asked.partition))
        log = partition.led(asked.current_leader_epoch)
        epoch, end = log.epochs.end_of(asked.leader_epoch, log.end_offset)
    except Refused as error:
        code = error.code
    return {"error_code": code, "partition": asked.partition, "leader_epoch": epoch, "end_offset": end}
