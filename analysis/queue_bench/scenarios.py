"""What the engines are asked. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ENGINES: Final = ("carousel", "kafka", "redis", "jetstream", "rabbitmq")
KAFKAS: Final = ("carousel", "kafka")
"""Those that speak its protocol."""
SHARES: Final[Mapping[str, float]] = {"redis": 0.3, "jetstream": 0.1, "rabbitmq": 0.05}
"""Of a load's messages, for engines whose Python client takes minutes for a million; rates are messages a second all
the same, and a second is long enough for them."""
PACE: Final = 10_000
"""Messages a second of `end-to-end`."""
WAITING: Final = 64
CROWD: Final = 100
"""Producers, and consumers."""
HTTP_CLIENTS: Final = 32


@dataclass(frozen=True, slots=True)
class Load:
    """`count` messages or calls of one kind, to a topic named after `topic`: consumers find what was produced before.
    `whole` loads are not made shorter for slow engines: their pace is given, or a p99 needs as many messages."""

    kind: str
    count: int
    what: str
    topic: str = ""
    engines: tuple[str, ...] = ENGINES
    whole: bool = False

    def count_for(self, engine: str, scale: float) -> int:
        """At least one for each of the clients that wait."""
        share = 1.0 if self.whole else SHARES.get(engine, 1.0)
        return max(WAITING, int(self.count * scale * share))


@dataclass(frozen=True, slots=True)
class Scenario:
    """Messages of `size` bytes on `partitions` partitions, streams or queues, for each of the loads in turn.

    `synced`: an ack means that the message is on disk, for all engines; else it is in the page cache.
    """

    name: str
    what: str
    size: int
    partitions: int
    loads: tuple[Load, ...]
    synced: bool = False


def _produce(count: int) -> Load:
    return Load("produce", count, "produce", "stream")


def _consume(count: int) -> Load:
    return Load("consume", count, "consume", "stream")


def _sync(count: int) -> Load:
    return Load("sync", count, "one after another", whole=True)


def _waiting(count: int) -> Load:
    return Load("waiting", count, f"{WAITING} producers that wait for each ack")


_TOOLS: Final = (
    Load("tools-produce", 2_000_000, "Kafka's ProducerPerformance", "tools", KAFKAS),
    Load("tools-consume", 2_000_000, "Kafka's ConsumerPerformance", "tools", KAFKAS),
    Load("tools-end-to-end", 5_000, "Kafka's EndToEndLatency", "", KAFKAS),
)
_ALL: Final = (
    Scenario(
        "100b", "100 B, 1 partition", 100, 1,
        (_produce(1_000_000), _consume(1_000_000), _sync(5_000),
         Load("end-to-end", 100_000, f"end to end at {PACE:,} messages/s", whole=True)),
    ),
    Scenario("100b-12", "100 B, 12 partitions", 100, 12, (_produce(1_000_000), _consume(1_000_000), _waiting(100_000))),
    Scenario("1k", "1 KiB, 1 partition", 1024, 1, (_produce(300_000), _consume(300_000))),
    Scenario("1k-12", "1 KiB, 12 partitions", 1024, 12, (_produce(300_000), _consume(300_000))),
    Scenario("tools", "100 B, 1 partition, the Java client", 100, 1, _TOOLS),
    Scenario(
        "crowd", "100 B, 500 partitions", 100, 500,
        (Load("crowd", 500_000, f"{CROWD} producers and {CROWD} consumers at once", engines=KAFKAS),),
    ),
    Scenario(
        "100b-synced", "100 B, 1 partition, fsync before each ack", 100, 1,
        (_produce(500_000), _sync(2_000), _waiting(30_000)), synced=True,
    ),
    Scenario(
        "1k-12-synced", "1 KiB, 12 partitions, fsync before each ack", 1024, 12, (_produce(200_000),), synced=True,
    ),
    Scenario(
        "http", "the HTTP interface through the front door", 100, 1,
        (Load("http-produce", 10_000, "POST /producer/produce", "http-p", ("carousel",)),
         Load("http-consume", 10_000, "GET /consumer/consume", "http-c", ("carousel",))),
    ),
)  # fmt: skip
SCENARIOS: Final = {scenario.name: scenario for scenario in _ALL}
