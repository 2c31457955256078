"""librdkafka's errors as this interface's: whose fault, and whether another try helps."""

from typing import Any, Final

from confluent_kafka import KafkaError

from server.http_calls import BadCall
from server.rest.cluster import Away, NoTopic

_NO_TOPIC: Final = frozenset(
    (
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError._UNKNOWN_TOPIC,  # pyright: ignore[reportPrivateUsage] -- their names for librdkafka's own codes
        KafkaError._UNKNOWN_PARTITION,  # pyright: ignore[reportPrivateUsage]
    )
)
_CALLERS_FAULT: Final = frozenset(
    (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD, KafkaError.POLICY_VIOLATION)
)


def fault(error: Any, topic: str) -> BadCall:
    """What to raise for a KafkaError (or a KafkaException) about `topic`."""
    told: Any = error if isinstance(error, KafkaError) else error.args[0]
    code = told.code()
    if code in _NO_TOPIC:
        return NoTopic(topic)
    if code in _CALLERS_FAULT:
        return BadCall(400, f"{topic}: {told.str()}")
    return Away(f"{topic}: {told.str()}")
