"""What a topic's settings tell the partitions of it. Pure; names and defaults are `wire.topic_configs`'.

A topic's own setting goes before the broker's, whose names are others (`log.retention.ms` for `retention.ms`); what
isn't known or can't be read has the default: whether a value may be set was decided when it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from server.log_settings import LogSettings
from wire.topic_configs import TOPIC_CONFIGS, list_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TopicRules:
    """A topic's settings as its partitions need them."""

    log: LogSettings
    max_message_bytes: int
    """`max.message.bytes`: of a batch without its offset and length."""
    min_insync_replicas: int
    has_append_time: bool
    """`message.timestamp.type=LogAppendTime`"""
    max_ahead_ms: int
    """`message.timestamp.after.max.ms`: how far a record's time may lie in the future."""
    max_behind_ms: int
    """`message.timestamp.before.max.ms`: how far in the past."""


def topic_rules(topic: Mapping[str, str], broker: Mapping[str, str]) -> TopicRules:
    """The rules of a topic with the settings `topic` on a broker with the settings `broker`."""

    def read(name: str, convert: Callable[[str], T]) -> T:
        key = TOPIC_CONFIGS[name]
        text = topic.get(name, broker.get(key.broker_name or name, key.default))
        try:
            return convert(text)
        except ValueError:
            return convert(key.default)

    policy = read("cleanup.policy", list_of)
    return TopicRules(
        LogSettings(
            segment_bytes=read("segment.bytes", int),
            segment_ms=read("segment.ms", int),
            index_interval_bytes=read("index.interval.bytes", int),
            deletes="delete" in policy,
            compacts="compact" in policy,
            retention_ms=read("retention.ms", int),
            retention_bytes=read("retention.bytes", int),
            delete_retention_ms=read("delete.retention.ms", int),
            min_compaction_lag_ms=read("min.compaction.lag.ms", int),
            min_dirty_ratio=read("min.cleanable.dirty.ratio", float),
        ),
        max_message_bytes=read("max.message.bytes", int),
        min_insync_replicas=read("min.insync.replicas", int),
        has_append_time=read("message.timestamp.type", str) == "LogAppendTime",
        max_ahead_ms=read("message.timestamp.after.max.ms", int),
        max_behind_ms=read("message.timestamp.before.max.ms", int),
    )
