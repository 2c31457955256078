"""The settings of topics, in Kafka's names: types, bounds, defaults, what each does here. Pure, one table.

Servers describe them and control decides what may be set, both from this table. Each setting has a broker's name too,
by which the default for all topics is set (KIP-226); `server.topic_configs` says which value holds for a topic.

What Kafka has and Carousel doesn't act on is in the table and may be set, so that tools which set everything go on
working; `honoured` is False, and the documentation that DescribeConfigs shows says so. Except what would promise
something that isn't kept: tiered storage can't be turned on.

Source: org.apache.kafka.common.config.TopicConfig and storage's LogConfig, 4.3.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

INT_MAX: Final = 2**31 - 1
LONG_MAX: Final = 2**63 - 1

NOT_HONOURED: Final = " Carousel keeps this setting and does not act on it."


class Kind(IntEnum):
    """A setting's type, by the codes of DescribeConfigs (ConfigResponse.ConfigType)."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    LONG = 5
    DOUBLE = 6
    LIST = 7


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One setting. `choices`: the values of a STRING, the elements of a LIST; None: any text. A number lies in `lowest`
    to `highest`. `broker_name`: the broker's setting that gives the default, None: there is none."""

    name: str
    kind: Kind
    default: str
    doc: str
    broker_name: str | None = None
    lowest: float = -math.inf
    highest: float = math.inf
    choices: frozenset[str] | None = None
    honoured: bool = True

    @property
    def documentation(self) -> str:
        return self.doc if self.honoured else self.doc + NOT_HONOURED


def _long(name: str, default: int, doc: str, broker: str | None, lowest: int = 0, honoured: bool = True) -> ConfigKey:
    return ConfigKey(name, Kind.LONG, str(default), doc, broker, lowest, LONG_MAX, honoured=honoured)


def _int(name: str, default: int, doc: str, broker: str | None, lowest: int = 0, honoured: bool = True) -> ConfigKey:
    return ConfigKey(name, Kind.INT, str(default), doc, broker, lowest, INT_MAX, honoured=honoured)


def _flag(name: str, doc: str, broker: str | None, honoured: bool = True) -> ConfigKey:
    return ConfigKey(name, Kind.BOOLEAN, "false", doc, broker, honoured=honoured)


def _throttled(who: str) -> ConfigKey:
    doc = f"Replicas whose replication is throttled on the {who}'s side."
    return ConfigKey(f"{who}.replication.throttled.replicas", Kind.LIST, "", doc, honoured=False)


def _level(codec: str, default: int, lowest: int, highest: int) -> ConfigKey:
    doc = f"The level of {codec} where the server compresses."
    name = f"compression.{codec}.level"
    return ConfigKey(name, Kind.INT, str(default), doc, name, lowest, highest, honoured=False)


_DAY_MS: Final = 86_400_000
_CODECS: Final = frozenset(("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"))

_KEYS: Final = (
    ConfigKey("cleanup.policy", Kind.LIST, "delete", "delete: old segments are removed by retention. compact: the last "
              "record of each key is kept. Both may be given.", "log.cleanup.policy",
              choices=frozenset(("delete", "compact"))),
    _level("gzip", -1, -1, 9),
    _level("lz4", 9, 1, 17),
    ConfigKey("compression.type", Kind.STRING, "producer", "How batches are compressed; producer: as they come.",
              "compression.type", choices=_CODECS, honoured=False),
    _level("zstd", 3, -131_072, 22),
    _long("delete.retention.ms", _DAY_MS, "How long tombstones are kept in compacted topics, in ms.",
          "log.cleaner.delete.retention.ms"),
    _long("file.delete.delay.ms", 60_000, "How long a removed segment stays on disk, in ms.",
          "log.segment.delete.delay.ms", honoured=False),
    _long("flush.messages", LONG_MAX, "After how many messages the log is synced. The server's fsync setting decides.",
          "log.flush.interval.messages", 1, honoured=False),
    _long("flush.ms", LONG_MAX, "After how many ms the log is synced. The server's fsync setting decides.",
          "log.flush.interval.ms", honoured=False),
    _throttled("follower"),
    _int("index.interval.bytes", 4096, "About how many bytes of log lie between two entries of its index.",
         "log.index.interval.bytes"),
    _throttled("leader"),
    _long("local.retention.bytes", -2, "Bytes kept locally of a topic with tiered storage.",
          "log.local.retention.bytes", -2, honoured=False),
    _long("local.retention.ms", -2, "How long a topic with tiered storage is kept locally, in ms.",
          "log.local.retention.ms", -2, honoured=False),
    _long("max.compaction.lag.ms", LONG_MAX, "After how many ms a record is compacted at the latest.",
          "log.cleaner.max.compaction.lag.ms", 1, honoured=False),
    _int("max.message.bytes", 1_048_588, "The largest record batch, in bytes.", "message.max.bytes"),
    _long("message.timestamp.after.max.ms", 3_600_000, "How far a record's time may be ahead of the server's, in ms.",
          "log.message.timestamp.after.max.ms"),
    _long("message.timestamp.before.max.ms", LONG_MAX, "How far a record's time may be behind the server's, in ms.",
          "log.message.timestamp.before.max.ms"),
    ConfigKey("message.timestamp.type", Kind.STRING, "CreateTime", "Whose time records bear: the producer's "
              "(CreateTime) or that of the append (LogAppendTime).", "log.message.timestamp.type",
              choices=frozenset(("CreateTime", "LogAppendTime"))),
    ConfigKey("min.cleanable.dirty.ratio", Kind.DOUBLE, "0.5", "Which part of a compacted log must be uncompacted "
              "before it is compacted.", "log.cleaner.min.cleanable.ratio", 0, 1),
    _long("min.compaction.lag.ms", 0, "How long a record stays uncompacted at least, in ms.",
          "log.cleaner.min.compaction.lag.ms"),
    _int("min.insync.replicas", 1, "How many replicas must be in sync for acks=all, and for new records to be shown.",
         "min.insync.replicas", 1),
    _flag("preallocate", "Whether the file of a new segment gets its full size at once.", "log.preallocate",
          honoured=False),
    _flag("remote.log.copy.disable", "Whether nothing more is copied to tiered storage.", None, honoured=False),
    _flag("remote.log.delete.on.disable", "Whether tiered data goes when tiered storage is turned off.", None,
          honoured=False),
    ConfigKey("remote.storage.enable", Kind.BOOLEAN, "false", "Tiered storage, which Carousel does not have.",
              choices=frozenset(("false",))),
    _long("retention.bytes", -1, "How large a partition may grow before old segments go; -1: no limit.",
          "log.retention.bytes", -1),
    _long("retention.ms", 7 * _DAY_MS, "How old a segment may be before it goes, in ms; -1: any age.",
          "log.retention.ms", -1),
    _int("segment.bytes", 1024**3, "How large a segment's file grows.", "log.segment.bytes", 1024 * 1024),
    _int("segment.index.bytes", 10 * 1024 * 1024, "How large a segment's index may grow.", "log.index.size.max.bytes",
         4, honoured=False),
    _long("segment.jitter.ms", 0, "At most so many ms are subtracted from segment.ms at random.", "log.roll.jitter.ms",
          honoured=False),
    _long("segment.ms", 7 * _DAY_MS, "After how many ms a new segment is begun although the old one isn't full.",
          "log.roll.ms", 1),
    _flag("unclean.leader.election.enable", "Whether a replica that is not in sync may lead when there is no other, "
          "which loses records.", "unclean.leader.election.enable"),
)  # fmt: skip

TOPIC_CONFIGS: Final[Mapping[str, ConfigKey]] = {key.name: key for key in _KEYS}
"""By name, in alphabetical order."""

TOPIC_DEFAULTS: Final[Mapping[str, ConfigKey]] = {key.broker_name: key for key in _KEYS if key.broker_name is not None}
"""By the broker's name: what may be set for all topics, on all brokers or one (IncrementalAlterConfigs on BROKER)."""


def why_not_value(key: ConfigKey, value: str) -> str | None:
    """Why `value` can't be this setting's, in Kafka's words; None: it can."""
    match key.kind:
        case Kind.BOOLEAN:
            ok = value.strip().lower() in (key.choices or ("true", "false"))
        case Kind.INT | Kind.LONG:
            return _why_not_number(key, value, _whole(value))
        case Kind.DOUBLE:
            return _why_not_number(key, value, _real(value))
        case Kind.STRING:
            ok = key.choices is None or value in key.choices
        case Kind.LIST:
            ok = key.choices is None or (value.strip() != "" and all(part in key.choices for part in list_of(value)))
    return None if ok else f"Invalid value {value} for configuration {key.name}{_allowed(key)}"


def why_not_config(name: str, value: str | None) -> str | None:
    """Why a topic's setting can't be so; None: it can. Unknown names are refused, as in Kafka."""
    key = TOPIC_CONFIGS.get(name)
    if key is None:
        return f"Unknown topic config name: {name}"
    return f"Null value not supported for topic configs: {name}" if value is None else why_not_value(key, value)


def why_not_default(name: str, value: str | None) -> str | None:
    """The same for a broker's setting that is to be changed at run time: these are the topics' defaults."""
    key = TOPIC_DEFAULTS.get(name)
    if key is None:
        return f"Cannot update these configs dynamically: {name}"
    return f"Null value not supported for broker configs: {name}" if value is None else why_not_value(key, value)


def why_not_configs(configs: Iterable[tuple[str, str | None]]) -> str | None:
    """The first fault of a topic's settings, as CreateTopics names them; None: all are right."""
    return next((why for name, value in configs if (why := why_not_config(name, value)) is not None), None)


def list_of(value: str) -> list[str]:
    """A LIST's elements."""
    return [part.strip() for part in value.split(",")] if value.strip() else []


def _why_not_number(key: ConfigKey, text: str, value: float | None) -> str | None:
    if value is None:
        what = "a double" if key.kind is Kind.DOUBLE else "a number"
        return f"Invalid value {text} for configuration {key.name}: Not {what} of type {key.kind.name}"
    if value < key.lowest:
        return f"Invalid value {text} for configuration {key.name}: Value must be at least {_plain(key.lowest)}"
    if value > key.highest:
        return f"Invalid value {text} for configuration {key.name}: Value must be no more than {_plain(key.highest)}"
    return None


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text.strip(" ")) else None


_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")  # int() takes far more: other scripts' digits, underscores


def _real(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _plain(bound: float) -> str:
    return str(int(bound))


def _allowed(key: ConfigKey) -> str:
    return "" if key.choices is None else f": must be one of {', '.join(sorted(key.choices))}"
