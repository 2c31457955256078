"""What can go wrong, in words that say what to do.

librdkafka and the broker answer with a code and a terse reason; a person needs to know whose fault it is, whether to
try again, and what to do now. Each class below is one such answer, and `TABLE` says which codes lead to it; a code that
isn't in the table is a plain `CarouselError` with the reason as it came. Nothing here imports librdkafka: errors are
told by name (`KafkaError.name()`), so the table can be read and tested alone.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

Fault = Literal["caller", "server", "network"]


class CarouselError(Exception):
    """Any failure of the client. `str()` says what happened, then what to do.

    `code`: Kafka's or librdkafka's name of the error (`"TOPIC_ALREADY_EXISTS"`, `"_TRANSPORT"`), empty for our own.
    `fault`: where the cause lies. `retry`: whether the same call may succeed later, unchanged.
    """

    fault: ClassVar[Fault] = "server"
    retry: ClassVar[bool] = False

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ConfigError(CarouselError, ValueError):
    """An argument or a librdkafka property that can't be: nothing was sent."""

    fault = "caller"


class Unreachable(CarouselError):
    """No server answered at the addresses given, or none that could do the work."""

    fault = "network"
    retry = True


class TimedOut(CarouselError, TimeoutError):
    """No answer in time. A change that was asked for may have happened all the same: look before asking again."""

    retry = True


class NotDelivered(CarouselError):
    """A message was not acknowledged in time. It may be stored or not; sending it again may store it twice."""

    retry = True


class QueueFull(CarouselError):
    """The producer's buffer stayed full for `max_block_s`: nothing of this message was kept or sent."""

    retry = True


class MessageTooLarge(CarouselError):
    """The message exceeds what the producer or the topic takes."""

    fault = "caller"


class BadValue(CarouselError, ValueError):
    """A key or value that the serializer can't write or the deserializer can't read."""

    fault = "caller"


class TopicNotFound(CarouselError, LookupError):
    """There is no such topic (or no longer)."""

    fault = "caller"


class PartitionNotFound(CarouselError, LookupError):
    """The topic is there, the partition is not."""

    fault = "caller"


class TopicExists(CarouselError):
    """A topic of that name is there already."""

    fault = "caller"


class GroupNotFound(CarouselError, LookupError):
    """There is no such consumer group."""

    fault = "caller"


class OffsetOutOfRange(CarouselError, LookupError):
    """The offset asked for lies before what is kept or after the end."""

    fault = "caller"


class NotAllowed(CarouselError, PermissionError):
    """The server knows who asks (or doesn't) and refuses."""

    fault = "caller"


class Refused(CarouselError):
    """The server understood, and will not do this."""

    fault = "caller"


class Closed(CarouselError):
    """The producer, consumer or admin was closed, or lost what it can't go on without. Make a new one."""

    fault = "caller"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an error code means to a person: the class to raise, and what to do."""

    raised: type[CarouselError]
    advice: str


_REACH: Final = Answer(
    Unreachable, "check the address and that the servers run (`carousel status`); the client goes on trying by itself"
)
_LATE: Final = Answer(TimedOut, "try again, or give it longer")
_UNSENT: Final = Answer(
    NotDelivered, "servers were away for longer than delivery_timeout_ms; send it again if a duplicate does no harm"
)
_NO_TOPIC: Final = Answer(
    TopicNotFound, "check its name by Admin(...).topics(), or make it by create_topic(name, partitions)"
)
_NO_PARTITION: Final = Answer(PartitionNotFound, "see Admin(...).describe_topic(name), or add some by add_partitions")
_SIZE: Final = Answer(
    MessageTooLarge, "send less, or raise message_max_bytes of the producer and max.message.bytes of the topic"
)
_RIGHTS: Final = Answer(NotAllowed, "check the credentials (sasl_username, sasl_password) and the rights of this user")
_BUSY_GROUP: Final = Answer(Refused, "end the members of the group first")
_NEW_ONE: Final = Answer(Closed, "make a new one: this one's identity was taken over or its state was lost")
_ARGUMENT: Final = Answer(ConfigError, "librdkafka's CONFIGURATION.md lists the properties; write them in snake_case")
_REPLICAS: Final = Answer(
    NotDelivered, "too few replicas are in sync; wait until the servers are back (`carousel status`), then send again"
)

TABLE: Final[dict[str, Answer]] = {
    "_ALL_BROKERS_DOWN": _REACH,
    "_TRANSPORT": _REACH,
    "_RESOLVE": Answer(Unreachable, "the host name has no address; check its spelling"),
    "BROKER_NOT_AVAILABLE": _REACH,
    "NETWORK_EXCEPTION": _REACH,
    "COORDINATOR_NOT_AVAILABLE": _REACH,
    "LEADER_NOT_AVAILABLE": _REACH,
    "_NOENT": Answer(Unreachable, "a partition has no leader just now: wait until the servers are back"),
    "_SSL": Answer(Unreachable, "the TLS handshake failed; check security_protocol and ssl_ca_location"),
    "_TIMED_OUT": _LATE,
    "_TIMED_OUT_QUEUE": _LATE,
    "REQUEST_TIMED_OUT": _LATE,
    "_MSG_TIMED_OUT": _UNSENT,
    "_PURGE_QUEUE": Answer(NotDelivered, "the producer was closed before it was sent: flush first"),
    "_PURGE_INFLIGHT": Answer(NotDelivered, "the producer was closed before its acknowledgment came: flush first"),
    "NOT_ENOUGH_REPLICAS": _REPLICAS,
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND": _REPLICAS,
    "_QUEUE_FULL": Answer(QueueFull, "send slower, or raise queue_buffering_max_messages and _kbytes"),
    "MSG_SIZE_TOO_LARGE": _SIZE,
    "RECORD_LIST_TOO_LARGE": _SIZE,
    "UNKNOWN_TOPIC_OR_PART": _NO_TOPIC,
    "UNKNOWN_TOPIC_ID": _NO_TOPIC,
    "_UNKNOWN_TOPIC": _NO_TOPIC,
    "_UNKNOWN_PARTITION": _NO_PARTITION,
    "TOPIC_ALREADY_EXISTS": Answer(TopicExists, "choose another name, or use the topic as it is"),
    "TOPIC_EXCEPTION": Answer(ConfigError, "a topic's name is 1 to 249 of the characters a-z A-Z 0-9 . _ -"),
    "INVALID_PARTITIONS": Answer(ConfigError, "partitions can only grow, and a topic has at least one"),
    "INVALID_REPLICATION_FACTOR": Answer(ConfigError, "use -1 (the cluster's own) or at most the number of servers"),
    "INVALID_CONFIG": Answer(ConfigError, "see Admin(...).configs(topic) for the names and their values"),
    "INVALID_RECORD": Answer(Refused, "a compacted topic wants a key with each message"),
    "INVALID_TIMESTAMP": Answer(Refused, "the timestamp is too far from the server's clock"),
    "POLICY_VIOLATION": Answer(Refused, "a policy of the cluster forbids it"),
    "TOPIC_DELETION_DISABLED": Answer(Refused, "the cluster doesn't let topics be deleted"),
    "OFFSET_OUT_OF_RANGE": Answer(OffsetOutOfRange, "see Admin(...).offsets(topic) for the first and the next offset"),
    "_AUTO_OFFSET_RESET": Answer(OffsetOutOfRange, "see Admin(...).offsets(topic) for the first and the next offset"),
    "_LOG_TRUNCATION": Answer(OffsetOutOfRange, "the log was cut behind this position; start from the earliest"),
    "GROUP_ID_NOT_FOUND": Answer(GroupNotFound, "Admin(...).groups() lists them; a group is there once it has joined"),
    "INVALID_GROUP_ID": Answer(ConfigError, "a group has a name that isn't empty"),
    "NON_EMPTY_GROUP": _BUSY_GROUP,
    "GROUP_SUBSCRIBED_TO_TOPIC": _BUSY_GROUP,
    "INCONSISTENT_GROUP_PROTOCOL": Answer(
        ConfigError, "all members of a group share a partition_assignment_strategy; set the one the others have"
    ),
    "INVALID_SESSION_TIMEOUT": Answer(ConfigError, "set session_timeout_ms to what the servers allow"),
    "_MAX_POLL_EXCEEDED": Answer(
        Closed, "a message was worked on for longer than max_poll_interval_ms: raise it, or do the work elsewhere"
    ),
    "_AUTHENTICATION": _RIGHTS,
    "SASL_AUTHENTICATION_FAILED": _RIGHTS,
    "UNSUPPORTED_SASL_MECHANISM": _RIGHTS,
    "TOPIC_AUTHORIZATION_FAILED": _RIGHTS,
    "GROUP_AUTHORIZATION_FAILED": _RIGHTS,
    "CLUSTER_AUTHORIZATION_FAILED": _RIGHTS,
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": _RIGHTS,
    "_FATAL": _NEW_ONE,
    "_FENCED": _NEW_ONE,
    "FENCED_INSTANCE_ID": _NEW_ONE,
    "PRODUCER_FENCED": _NEW_ONE,
    "INVALID_PRODUCER_EPOCH": _NEW_ONE,
    "OUT_OF_ORDER_SEQUENCE_NUMBER": _NEW_ONE,
    "_GAPLESS_GUARANTEE": _NEW_ONE,
    "_DESTROY": Answer(Closed, "make a new one"),
    "_INVALID_ARG": _ARGUMENT,
    "_CONFLICT": _ARGUMENT,
    "_UNSUPPORTED_FEATURE": Answer(Refused, "the servers are older than what this asks for"),
    "UNSUPPORTED_VERSION": Answer(Refused, "the servers are older than what this asks for"),
    "UNSUPPORTED_FOR_MESSAGE_FORMAT": Answer(Refused, "the servers keep an older message format"),
}

TRANSIENT: Final = frozenset(name for name, answer in TABLE.items() if answer.raised is Unreachable) | {
    "_TIMED_OUT", "REQUEST_TIMED_OUT", "NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_LEADER_FOR_PARTITION"
}  # fmt: skip
"""What librdkafka overcomes by itself: a consumer goes on, and a lookup is asked again until its time is up."""


def error_of(code: str, reason: str, doing: str) -> CarouselError:
    """The error to raise for librdkafka's `code` (its name) and `reason` while `doing` (`"sending to T1"`)."""
    answer = TABLE.get(code)
    if answer is None:
        return CarouselError(f"{doing}: {reason} ({code})", code)
    return answer.raised(f"{doing}: {reason.rstrip('.')}. What to do: {answer.advice}", code)
