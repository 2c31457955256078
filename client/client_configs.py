"""librdkafka's properties as Carousel's clients set them: safe first, and every one open to be overridden.

Overrides come as keyword arguments in snake_case (`compression_type="zstd"` is `compression.type`). What differs from
librdkafka's own defaults, and why:
- acks=all with idempotence: no acknowledged message is lost with a server, none is stored twice by a retry, and order
  is kept. Java's producer has both on since Kafka 3.0; librdkafka has not. Whoever asks for fewer acks gives up
  idempotence with them, as the protocol has it.
- murmur2_random: a key goes to the partition where Java's clients put it; librdkafka's own choice is CRC32.
- fetch.queue.backoff.ms=10: a consumer that has enough in its queue looks again after 10 ms, not after a second.
- reconnect.backoff.max.ms=1000: a server that is respawned is found within a second, not within ten.
- socket.timeout.ms=15 s: a frozen server (not a dead one) is given up after 15 s, not after a minute.
- delivery.timeout.ms=120 s, Java's: retries outlast any respawn, and an end is an end.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from client.errors import ConfigError

Properties = dict[str, Any]

KEPT: Final = frozenset(("ssl_key", "ssl_certificate", "ssl_ca"))
"""Properties that librdkafka itself writes with underscores; callbacks (`…_cb`) are kept too."""

OURS: Final = {
    "bootstrap.servers": "the first argument",
    "group.id": "group",
    "auto.offset.reset": "start",
    "enable.auto.offset.store": "commit(), which counts what was handed out",
    "error_cb": "the errors raised",
    "on_delivery": "the future that send returns",
    "logger": "the logger carousel.client",
}
"""Properties that have a better way in, and where it is."""

COMMON: Final[Properties] = {
    "client.id": "carousel",
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1_000,
    "socket.timeout.ms": 15_000,
    "socket.keepalive.enable": True,
}

PRODUCING: Final[Properties] = {
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
    "delivery.timeout.ms": 120_000,
    "linger.ms": 5,  # Java's since 4.0, librdkafka's too; send_and_wait doesn't wait for it
    "queue.buffering.max.messages": 100_000,  # librdkafka's own
    "queue.buffering.max.kbytes": 65_536,  # twice Java's buffer.memory; librdkafka's own GiB is no bound
}

CONSUMING: Final[Properties] = {
    "fetch.queue.backoff.ms": 10,
    "fetch.wait.max.ms": 500,
    "enable.auto.offset.store": False,  # we store what the caller is done with, so that a crash repeats, never skips
    "allow.auto.create.topics": False,
}

NO_GROUP: Final = "carousel-no-group"
"""librdkafka wants a group.id even from a consumer that joins none and commits nothing."""


def bootstrap_of(bootstrap: str | Iterable[str]) -> str:
    """`host:port[,host:port…]` of one text or several. Raises ConfigError for what isn't."""
    given = bootstrap.split(",") if isinstance(bootstrap, str) else list(bootstrap)
    hosts = [host.strip() for host in given if host.strip()]
    for host in hosts:
        if not host.rpartition(":")[2].isdecimal() or not host.rpartition(":")[0]:
            raise ConfigError(f"{host!r} is no address: write host:port, such as 127.0.0.1:9092")
    if not hosts:
        raise ConfigError("no address: give host:port of one server or more, such as 127.0.0.1:9092")
    return ",".join(hosts)


def overrides_of(given: Mapping[str, Any]) -> Properties:
    """Properties by librdkafka's names. Raises ConfigError for those that are set in another way."""
    named = {_dotted(name): value for name, value in given.items()}
    for name in OURS.keys() & named.keys():
        raise ConfigError(f"{name} is not given as a property: use {OURS[name]}")
    return named


def admin_config(bootstrap: str | Iterable[str], overrides: Mapping[str, Any]) -> Properties:
    return {"bootstrap.servers": bootstrap_of(bootstrap)} | COMMON | overrides_of(overrides)


def producer_config(bootstrap: str | Iterable[str], overrides: Mapping[str, Any]) -> Properties:
    """What a producer gets. Fewer acks than all turn idempotence off, unless it is asked for by name."""
    given = overrides_of(overrides)
    config = {"bootstrap.servers": bootstrap_of(bootstrap)} | COMMON | PRODUCING | given
    acks = given.get("acks", given.get("request.required.acks", "all"))
    if str(acks) not in ("all", "-1"):
        config["enable.idempotence"] = given.get("enable.idempotence", False)
    return _without_doubles(config, given)


def consumer_config(
    bootstrap: str | Iterable[str], group: str | None, start: str | int, overrides: Mapping[str, Any]
) -> Properties:
    """What a consumer gets. Without a group nothing is ever committed. A numbered start leaves an offset that is gone
    an error: there is no other place that was meant."""
    given = overrides_of(overrides)
    if group is not None and not group:
        raise ConfigError("the group's name is empty: give it one, or leave it out to read without a group")
    mine: Properties = {"group.id": NO_GROUP, "enable.auto.commit": False} if group is None else {"group.id": group}
    mine["auto.offset.reset"] = start if isinstance(start, str) else "error"
    mine["enable.partition.eof"] = True  # the end of a partition is told; lookups read to it, reading passes it over
    if group is None and given.get("enable.auto.commit"):
        raise ConfigError("enable_auto_commit needs a group: give one, or keep the offsets yourself")
    return {"bootstrap.servers": bootstrap_of(bootstrap)} | COMMON | CONSUMING | given | mine


def _dotted(name: str) -> str:
    return name if name in KEPT or name.endswith("_cb") or name == "on_delivery" else name.replace("_", ".")


ALIASES: Final = {
    "message.timeout.ms": "delivery.timeout.ms",
    "queue.buffering.max.ms": "linger.ms",
    "request.required.acks": "acks",
}
"""librdkafka's second names of what we set: given by one name, ours must not stand beside it under the other."""


def _without_doubles(config: Properties, given: Properties) -> Properties:
    doubled = {ours for theirs, ours in ALIASES.items() if theirs in given and ours not in given}
    return {name: value for name, value in config.items() if name not in doubled}
