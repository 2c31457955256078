"""A server's settings in Kafka's names, as DescribeConfigs shows them: those that mean something here, with Kafka's
defaults where these hold here. Pure, a table.

They are read-only: a server is started with them. What may be changed at run time are the topics' defaults
(`wire.topic_configs.TOPIC_DEFAULTS`). The road not taken is Kafka's whole list of some 250, most of which would be
values of things that don't exist.
"""

from collections.abc import Mapping
from typing import Final

from wire.topic_configs import ConfigKey, Kind

SERVER_NAME: Final = "carousel.server.name"
"""What this server is called, as /rep has it: any broker's name is found by asking it, also while control is away."""
_UNKNOWN: Final = ""
"""No default: it is shown where the server was told it."""

_KEYS: Final = (
    ConfigKey("advertised.listeners", Kind.STRING, _UNKNOWN, "Where clients reach the listeners of this server."),
    ConfigKey("auto.create.topics.enable", Kind.BOOLEAN, "true", "Whether a topic is created when it is asked for."),
    ConfigKey("broker.id", Kind.INT, _UNKNOWN, "This server's node id."),
    ConfigKey("broker.rack", Kind.STRING, _UNKNOWN, "Where this server stands."),
    ConfigKey(SERVER_NAME, Kind.STRING, _UNKNOWN, "What this server is called in the fleet."),
    ConfigKey("connections.max.idle.ms", Kind.LONG, "600000", "After how long without a request a connection ends."),
    ConfigKey("default.replication.factor", Kind.INT, _UNKNOWN, "Replicas of a topic that doesn't say how many."),
    ConfigKey("delete.topic.enable", Kind.BOOLEAN, "true", "Whether topics can be deleted."),
    ConfigKey("fetch.max.bytes", Kind.INT, "57671680", "The most that one Fetch is answered with."),
    ConfigKey("group.initial.rebalance.delay.ms", Kind.INT, "3000", "How long a new group waits for more members."),
    ConfigKey("group.max.session.timeout.ms", Kind.INT, "1800000", "The longest session that a member may ask for."),
    ConfigKey("group.max.size", Kind.INT, "2147483647", "How many members a group may have."),
    ConfigKey("group.min.session.timeout.ms", Kind.INT, "6000", "The shortest session that a member may ask for."),
    ConfigKey("listeners", Kind.STRING, _UNKNOWN, "What this server listens on."),
    ConfigKey("log.cleaner.backoff.ms", Kind.LONG, "15000", "How often logs are looked at for compaction."),
    ConfigKey("log.dirs", Kind.STRING, _UNKNOWN, "Where the logs are."),
    ConfigKey("node.id", Kind.INT, _UNKNOWN, "This server's node id."),
    ConfigKey("num.partitions", Kind.INT, _UNKNOWN, "Partitions of a topic that doesn't say how many."),
    ConfigKey("offset.metadata.max.bytes", Kind.INT, "4096", "The longest metadata of a committed offset."),
    ConfigKey("offsets.commit.timeout.ms", Kind.INT, "5000", "How long a commit waits for its replicas."),
    ConfigKey("offsets.retention.check.interval.ms", Kind.LONG, "600000", "How often old offsets are looked for."),
    ConfigKey("offsets.retention.minutes", Kind.INT, "10080", "How long the offsets of an empty group are kept."),
    ConfigKey("offsets.topic.num.partitions", Kind.INT, "50", "Partitions of __consumer_offsets."),
    ConfigKey("process.roles", Kind.STRING, "broker", "What this server is: control is Carousel's own."),
    ConfigKey("producer.id.expiration.ms", Kind.INT, "86400000", "How long a silent producer is remembered."),
    ConfigKey("replica.lag.time.max.ms", Kind.LONG, "30000", "How long a follower may lag and stay in sync."),
    ConfigKey("socket.request.max.bytes", Kind.INT, "104857600", "The largest request."),
)

BROKER_CONFIGS: Final[Mapping[str, ConfigKey]] = {key.name: key for key in _KEYS}
