"""What a log's error is to a group's member, who knows coordinators and no logs.

Kafka's GroupCoordinatorService and CoordinatorOperationExceptionHelper. Where the log is led elsewhere the member is to
look for another coordinator (NOT_COORDINATOR); where it can't be written to just now, to ask again.
"""

from typing import Final

from wire.errors import ErrorCode


def to_member(code: ErrorCode) -> ErrorCode:
    """For answers about a group: its assignment, its offsets' deletion, its own."""
    return _TO_MEMBER.get(code, code)


def to_committer(code: ErrorCode) -> ErrorCode:
    """For OffsetCommit, whose records may be too large because of what the client put into them."""
    return _TO_COMMITTER.get(code, code)


_TO_MEMBER: Final = {
    **dict.fromkeys(
        (
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode.NOT_ENOUGH_REPLICAS,
            ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            ErrorCode.REQUEST_TIMED_OUT,
        ),
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ),
    **dict.fromkeys((ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR), ErrorCode.NOT_COORDINATOR),
    **dict.fromkeys((ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE), ErrorCode.UNKNOWN_SERVER_ERROR),
}

_TO_COMMITTER: Final = {
    **_TO_MEMBER,
    **dict.fromkeys(
        (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE), ErrorCode.INVALID_COMMIT_OFFSET_SIZE
    ),
}
