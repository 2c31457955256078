"""What a topic's settings and the server's `fsync` tell a log, with Kafka's names and defaults (TopicConfig)."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

DAY_MS: Final = 24 * 3600 * 1000


class Fsync(Enum):
    """When what was appended is synced.

    ALWAYS: before it is acknowledged, together with all that came meanwhile. INTERVAL: now and then, as the shell has
    it. NEVER: when the operating system thinks fit, as Kafka does; but what the log itself relies on is always synced.
    """

    ALWAYS = "always"
    INTERVAL = "interval"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """A topic's settings that its logs need. -1 is unlimited, for both retentions."""

    segment_bytes: int = 1024**3
    segment_ms: int = 7 * DAY_MS
    index_interval_bytes: int = 4096
    deletes: bool = True
    """`cleanup.policy` has `delete`."""
    compacts: bool = False
    """`cleanup.policy` has `compact`."""
    retention_ms: int = 7 * DAY_MS
    retention_bytes: int = -1
    delete_retention_ms: int = DAY_MS
    min_compaction_lag_ms: int = 0
    min_dirty_ratio: float = 0.5
    """`min.cleanable.dirty.ratio`"""
