"""What a topic's settings tell the partitions of it, by Kafka's names and with its defaults (TopicConfig, 4.3). Pure.

A topic's own setting goes before the broker's, whose names are others (`log.retention.ms` for `retention.ms`); what
isn't known or can't be read has the default: whether a value may be set was decided when it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from server.log_settings import LogSettings

T = TypeVar("T")

MAX_MESSAGE_BYTES: Final = 1024 * 1024 + 12
"""`max.message.bytes`: a MiB and the batch's offset and length, which don't count."""

HOUR_MS: Final = 3_600_000
NO_LIMIT_MS: Final = 2**63 - 1

BROKER_NAMES: Final[Mapping[str, str]] = {
    "cleanup.policy": "log.cleanup.policy",
    "delete.retention.ms": "log.cleaner.delete.retention.ms",
    "index.interval.bytes": "log.index.interval.bytes",
    "max.message.bytes": "message.max.bytes",
    "message.timestamp.after.max.ms": "log.message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms": "log.message.timestamp.before.max.ms",
    "message.timestamp.type": "log.message.timestamp.type",
    "min.cleanable.dirty.ratio": "log.cleaner.min.cleanable.ratio",
    "min.compaction.lag.ms": "log.cleaner.min.compaction.lag.ms",
    "retention.bytes": "log.retention.bytes",
    "retention.ms": "log.retention.ms",
    "segment.bytes": "log.segment.bytes",
    "segment.ms": "log.roll.ms",
}
"""What a broker calls its default, where that isn't the topic's name."""


@dataclass(frozen=True, slots=True)
class TopicRules:
    """A topic's settings as its partitions need them."""

    log: LogSettings = field(default_factory=LogSettings)
    max_message_bytes: int = MAX_MESSAGE_BYTES
    min_insync_replicas: int = 1
    has_append_time: bool = False
    """`message.timestamp.type=LogAppendTime`"""
    max_ahead_ms: int = HOUR_MS
    """`message.timestamp.after.max.ms`: how far a record's time may lie in the future."""
    max_behind_ms: int = NO_LIMIT_MS
    """`message.timestamp.before.max.ms`: how far in the past."""


def topic_rules(topic: Mapping[str, str], broker: Mapping[str, str]) -> TopicRules:
    """The rules of a topic with the settings `topic` on a broker with the settings `broker`."""

    def read(name: str, convert: Callable[[str], T], default: T) -> T:
        text = topic.get(name, broker.get(BROKER_NAMES.get(name, name)))
        if text is None:
            return default
        try:
            return convert(text)
        except ValueError:
            return default

    usual = LogSettings()
    policy = read("cleanup.policy", _words, ("delete",))
    return TopicRules(
        LogSettings(
            segment_bytes=read("segment.bytes", int, usual.segment_bytes),
            segment_ms=read("segment.ms", int, usual.segment_ms),
            index_interval_bytes=read("index.interval.bytes", int, usual.index_interval_bytes),
            deletes="delete" in policy,
            compacts="compact" in policy,
            retention_ms=read("retention.ms", int, usual.retention_ms),
            retention_bytes=read("retention.bytes", int, usual.retention_bytes),
            delete_retention_ms=read("delete.retention.ms", int, usual.delete_retention_ms),
            min_compaction_lag_ms=read("min.compaction.lag.ms", int, usual.min_compaction_lag_ms),
            min_dirty_ratio=read("min.cleanable.dirty.ratio", float, usual.min_dirty_ratio),
        ),
        max_message_bytes=read("max.message.bytes", int, MAX_MESSAGE_BYTES),
        min_insync_replicas=read("min.insync.replicas", int, 1),
        has_append_time=read("message.timestamp.type", str, "CreateTime") == "LogAppendTime",
        max_ahead_ms=read("message.timestamp.after.max.ms", int, HOUR_MS),
        max_behind_ms=read("message.timestamp.before.max.ms", int, NO_LIMIT_MS),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))
