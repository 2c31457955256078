"""DescribeLogDirs (35), versions 1 to 5: how large the logs are; 2 is flexible, 4 tells the disk's own size."""

from typing import Any, Final, Protocol

from server.api.shape import Answer, Call
from server.partition import Partition, Role
from wire import messages
from wire.errors import ErrorCode

KEY: Final = 35


class LogDirsContext(Protocol):
    @property
    def log_dir(self) -> str: ...

    def held(self) -> list[Partition]:
        """All partitions that are here, by topic and number."""
        ...

    def disk_bytes(self) -> tuple[int, int]:
        """(total, usable); -1 where it isn't known."""
        ...


def handle(call: Call, request: Any, context: LogDirsContext) -> Answer:
    wanted = (
        None if request.topics is None else {(topic.topic, n) for topic in request.topics for n in topic.partitions}
    )
    topics: dict[str, list[dict[str, Any]]] = {}
    for partition in context.held():
        if wanted is None or (partition.topic, partition.number) in wanted:
            topics.setdefault(partition.topic, []).append(_described(partition))
    total, usable = context.disk_bytes()
    result = {
        "error_code": ErrorCode.NONE,
        "log_dir": context.log_dir,
        "topics": [{"name": name, "partitions": partitions} for name, partitions in topics.items()],
        "total_bytes": total,
        "usable_bytes": usable,
    }
    values = {"throttle_time": 0, "error_code": ErrorCode.NONE, "results": [result]}
    return messages.answer(call.correlation_id, messages.build(KEY, call.version, values))


def _described(partition: Partition) -> dict[str, Any]:
    log = partition.log
    lag = (
        max(0, partition.high_watermark - log.end_offset) if log is not None and partition.role is Role.FOLLOWER else 0
    )
    size = 0 if log is None else log.size_bytes
    return {"partition_index": partition.number, "partition_size": size, "offset_lag": lag, "is_future_key": False}
