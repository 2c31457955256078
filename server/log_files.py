"""Names and small texts of a partition's directory: segments, the log's checkpoint, the topic id.

    00000000000000000042.log .index .timeindex   a segment, named by its base offset
    00000000000000000042.snapshot                producers' state up to that offset
    leader-epoch-checkpoint, partition.metadata  as Kafka has them
    log-checkpoint                               recovery point and log start offset

Kafka keeps recovery points and log starts of all logs in one file each. Here each log has its own, so that it can be
moved, renamed to -stray or deleted as a whole, and so that 2 000 idle logs cause no writes.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final
from uuid import UUID

LOG: Final = ".log"
INDEX: Final = ".index"
TIME_INDEX: Final = ".timeindex"
SNAPSHOT: Final = ".snapshot"
CLEANED: Final = ".cleaned"
"""A compacted segment that is being written."""
SWAP: Final = ".swap"
"""A compacted segment that is whole: what it replaces may go (Kafka's UnifiedLog)."""

CHECKPOINT: Final = "log-checkpoint"
EPOCHS: Final = "leader-epoch-checkpoint"
METADATA: Final = "partition.metadata"
TRUSTED: Final = "trusted-end"
"""A sync has failed: what lies at this offset and behind may be in the page cache only, and is cut at the next open."""

DELETED_DIRECTORY: Final = "-delete"
STRAY_DIRECTORY: Final = "-stray"
"""Ends of the names of directories that wait for their removal (R3)."""

_DIGITS: Final = 20
_CHECKPOINT_KEYS: Final = (
    ("recovery.point", "recovery_point"),
    ("recovery.segment", "recovery_segment"),
    ("recovery.size", "recovery_size"),
    ("index.size", "index_size"),
    ("timeindex.size", "time_index_size"),
    ("producers", "producers"),
    ("log.start", "log_start"),
    ("cleaned", "cleaned"),
)


def file_name(offset: int, ending: str) -> str:
    return f"{offset:0{_DIGITS}}{ending}"


def offset_in(name: str, ending: str) -> int | None:
    """The offset in a file's name, None if it isn't such a file."""
    digits = name.removesuffix(ending)
    if len(digits) != _DIGITS or digits == name or not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log knows for sure, stored and synced.

    All below `recovery_point` is on disk, and so are the indexes of it; the sizes are those that the segment which it
    lies in, and its indexes, had then, in bytes; `recovery_segment` is that segment's base offset, -1 if the sizes say
    nothing. `producers` is how many were known there, -1 if nobody counted; if 0, there is no snapshot either. Records
    below `log_start` are deleted. All below `cleaned` was compacted once.
    """

    recovery_point: int = 0
    recovery_segment: int = -1
    recovery_size: int = 0
    index_size: int = 0
    time_index_size: int = 0
    producers: int = 0
    log_start: int = 0
    cleaned: int = 0

    def lowered(self, base_offset: int) -> "Checkpoint":
        """The checkpoint for a log whose segment at `base_offset` is about to change."""
        if self.recovery_point < base_offset:
            return self
        return Checkpoint(base_offset, log_start=self.log_start, cleaned=min(self.cleaned, base_offset), producers=-1)

    def to_text(self) -> str:
        return "version=0\n" + "".join(f"{key}={getattr(self, field)}\n" for key, field in _CHECKPOINT_KEYS)


def parse_checkpoint(text: str) -> Checkpoint:
    """What `to_text` wrote. Raises ValueError."""
    lines = dict(line.split("=", 1) for line in text.splitlines())
    if lines.get("version") != "0":
        raise ValueError("not a log's checkpoint of version 0")
    try:
        return Checkpoint(*(int(lines[key]) for key, _ in _CHECKPOINT_KEYS))
    except KeyError as error:
        raise ValueError(f"a log's checkpoint without {error}") from None


def metadata_text(topic_id: UUID) -> str:
    """partition.metadata, as Kafka's PartitionMetadataFile writes it."""
    return f"version: 0\ntopic_id: {urlsafe_b64encode(topic_id.bytes).decode().rstrip('=')}\n"


def parse_metadata(text: str) -> UUID:
    """The topic id. Raises ValueError."""
    lines = dict(line.split(": ", 1) for line in text.splitlines())
    if lines.get("version") != "0" or "topic_id" not in lines:
        raise ValueError("not a partition.metadata of version 0")
    return UUID(bytes=urlsafe_b64decode(lines["topic_id"] + "=="))
