"""Messages one after another, each waiting for its ack: the bench's own client, in a process of its own."""

from collections.abc import Mapping
from typing import Final

from analysis.queue_bench.asked import Ask
from analysis.queue_bench.rounds import ready, told_by
from analysis.queue_drills.engines import Engine

SIZE: Final = 100


def round_trips(engine: Engine, topic: str, count: int) -> Mapping[str, float]:
    """`p50_us` and `p99_us`. Raises RuntimeError with the client's words."""
    with ready([Ask("kafka", "sync", engine.bootstrap, topic, count, SIZE)]) as clients:
        return told_by(clients)[0].metrics
