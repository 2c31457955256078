"""What the engines are asked."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Scenario:
    """Messages of `size` bytes: `count` to be produced and then consumed, `sends` one after another, each waiting for
    its ack.

    `synced`: an ack means that the message is on disk, for all engines; else it is in the page cache.
    """

    name: str
    what: str
    size: int
    partitions: int
    count: int
    sends: int
    synced: bool = False


_ALL: Final = (
    Scenario("100b", "100 B, 1 partition", 100, 1, 1_000_000, 5_000),
    Scenario("1k-12", "1 KiB, 12 partitions", 1024, 12, 300_000, 0),
    Scenario("100b-synced", "100 B, 1 partition, fsync before each ack", 100, 1, 300_000, 2_000, synced=True),
)
SCENARIOS: Final = {scenario.name: scenario for scenario in _ALL}
