"""The queue's settings of one server, from its environment, and the ports that it keeps. Pure.

    CONTROL                 unix:PATH or HOST:PORT of control's link; without it there is no queue
    CLUSTER_SECRET_FILE     a file with the cluster's secret, or CLUSTER_SECRET itself (containers)
    KAFKA_PORT, INTERNAL_PORT, EXTERNAL_PORT   of the listeners; unset or 0: those of the last run, or any that is free
    ADVERTISED_HOST, ADVERTISED_PORT           where clients reach EXTERNAL; without them there is no such listener
    KAFKA_HOST              the address that the listeners bind, and CLIENT and INTERNAL advertise (default 127.0.0.1);
                            for 0.0.0.0 they advertise the host's name, which a container's network resolves
    FSYNC                   always (default), interval or never
    AUTO_CREATE_TOPICS      true (default) or false
    RACK                    where it stands
    GROUP_INITIAL_REBALANCE_DELAY_MS           how long a new group waits for more members (default 3000)
    GROUP_MIN_SESSION_TIMEOUT_MS, GROUP_MAX_SESSION_TIMEOUT_MS   what members may ask for (default 6000 and 1800000)
    LOG_CLEANER_BACKOFF_MS  how often logs are looked at for compaction (default 15000)
    NUM_PARTITIONS, DEFAULT_REPLICATION_FACTOR, OFFSETS_PARTITIONS   control's, for DescribeConfigs

A server keeps its ports across respawns, since some clients (aiokafka, sarama) never look for it anywhere else.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from server.broker_configs import SERVER_NAME
from server.group_words import GroupSettings
from server.log_settings import Fsync
from server.replica import server_id
from server.settings import SettingError

CLIENT: Final = "CLIENT"
INTERNAL: Final = "INTERNAL"
EXTERNAL: Final = "EXTERNAL"
PORT_SETTINGS: Final[Mapping[str, str]] = {CLIENT: "KAFKA_PORT", INTERNAL: "INTERNAL_PORT", EXTERNAL: "EXTERNAL_PORT"}
KAFKA_NAMES: Final[Mapping[str, str]] = {
    "AUTO_CREATE_TOPICS": "auto.create.topics.enable",
    "DEFAULT_REPLICATION_FACTOR": "default.replication.factor",
    "GROUP_INITIAL_REBALANCE_DELAY_MS": "group.initial.rebalance.delay.ms",
    "GROUP_MAX_SESSION_TIMEOUT_MS": "group.max.session.timeout.ms",
    "GROUP_MIN_SESSION_TIMEOUT_MS": "group.min.session.timeout.ms",
    "LOG_CLEANER_BACKOFF_MS": "log.cleaner.backoff.ms",
    "NUM_PARTITIONS": "num.partitions",
    "OFFSETS_PARTITIONS": "offsets.topic.num.partitions",
    "RACK": "broker.rack",
}
"""What DescribeConfigs calls them."""

MAX_BUSY_POLL_US: Final = 10_000

MAX_INT: Final = 2**31 - 1

ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::", ""})


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """`ports` by listener; 0: the last run's, or any. `advertised`: EXTERNAL's, None: there is no such listener.
    `told`: what was given, in Kafka's names."""

    control: str
    secret: str | None
    secret_file: str | None
    host: str
    own_host: str
    ports: Mapping[str, int]
    advertised: tuple[str, int] | None
    fsync: Fsync
    auto_create: bool
    rack: str | None
    groups: GroupSettings
    cleaner_backoff_ms: int
    busy_poll_us: int
    told: Mapping[str, str]

    def advertise(self, bound: Mapping[str, int]) -> dict[str, tuple[str, int]]:
        """What control is told about listeners on the ports `bound`."""
        own = self.own_host if self.host in ANY_ADDRESS else self.host
        told = {name: (own, port) for name, port in bound.items()}
        if EXTERNAL in bound and self.advertised is not None:
            told[EXTERNAL] = self.advertised
        return told


def read_queue_settings(environ: Mapping[str, str], hostname: str) -> QueueSettings | None:
    """None without CONTROL. Raises SettingError."""
    control = environ.get("CONTROL")
    if not control:
        return None
    secret, secret_file = environ.get("CLUSTER_SECRET") or None, environ.get("CLUSTER_SECRET_FILE") or None
    if secret is None and secret_file is None:
        raise SettingError("CONTROL needs CLUSTER_SECRET_FILE or CLUSTER_SECRET")
    advertised_host = environ.get("ADVERTISED_HOST")
    advertised = (advertised_host, _port(environ, "ADVERTISED_PORT")) if advertised_host else None
    names = (CLIENT, INTERNAL, EXTERNAL) if advertised else (CLIENT, INTERNAL)
    return QueueSettings(
        control=control,
        secret=secret,
        secret_file=secret_file,
        host=environ.get("KAFKA_HOST") or "127.0.0.1",
        own_host=hostname,
        ports={name: _port(environ, PORT_SETTINGS[name]) for name in names},
        advertised=advertised,
        fsync=_fsync(environ.get("FSYNC") or "always"),
        auto_create=(environ.get("AUTO_CREATE_TOPICS") or "true").lower() == "true",
        rack=environ.get("RACK") or None,
        groups=_groups(environ),
        cleaner_backoff_ms=max(1, _number(environ, "LOG_CLEANER_BACKOFF_MS", 15_000)),
        busy_poll_us=_number(environ, "BUSY_POLL_US", 0, MAX_BUSY_POLL_US),
        told={SERVER_NAME: server_id(environ, hostname)}
        | {name: environ[ours] for ours, name in KAFKA_NAMES.items() if environ.get(ours)},
    )


def _groups(environ: Mapping[str, str]) -> GroupSettings:
    usual = GroupSettings()
    found = GroupSettings(
        min_session_timeout_ms=_number(environ, "GROUP_MIN_SESSION_TIMEOUT_MS", usual.min_session_timeout_ms),
        max_session_timeout_ms=_number(environ, "GROUP_MAX_SESSION_TIMEOUT_MS", usual.max_session_timeout_ms),
        initial_rebalance_delay_ms=_number(
            environ, "GROUP_INITIAL_REBALANCE_DELAY_MS", usual.initial_rebalance_delay_ms
        ),
    )
    if found.max_session_timeout_ms < found.min_session_timeout_ms:
        raise SettingError("GROUP_MAX_SESSION_TIMEOUT_MS is smaller than GROUP_MIN_SESSION_TIMEOUT_MS")
    return found


def ports_text(ports: Mapping[str, int]) -> bytes:
    """What `listeners.json` holds."""
    return json.dumps(dict(ports), indent=1).encode() + b"\n"


def parse_ports(text: bytes) -> dict[str, int]:
    """The last run's ports by listener; none if it can't be understood."""
    try:
        raw: Any = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(raw, dict):
        return {}
    pairs = cast("dict[str, Any]", raw).items()
    return {name: port for name, port in pairs if isinstance(port, int) and 0 < port <= 65535}


def _fsync(text: str) -> Fsync:
    try:
        return Fsync(text)
    except ValueError:
        raise SettingError(f"FSYNC must be always, interval or never, not {text!r}") from None


def _port(environ: Mapping[str, str], name: str) -> int:
    return _number(environ, name, 0, 65535)


def _number(environ: Mapping[str, str], name: str, usual: int, highest: int = MAX_INT) -> int:
    text = environ.get(name) or str(usual)
    if not (text.isascii() and text.isdigit() and int(text) <= highest):
        raise SettingError(f"{name} must be a whole number from 0 to {highest}, not {text[:20]!r}")
    return int(text)
