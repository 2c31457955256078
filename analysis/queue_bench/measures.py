"""Medians, and ratios to Apache Kafka within each round. Pure arithmetic."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analysis.door_bench.measures import Goal, quartiles
from analysis.queue_bench.rounds import Measurement

OURS: Final = "carousel"
PEER: Final = "kafka"
METRICS: Final = ("rate", "p50_us", "p99_us", "server_cpu", "system_cpu", "client_cpu", "pss_bytes")

GOALS: Final = {
    ("100b", "produce", "rate"): Goal(at_least=1.0),
    ("100b", "consume", "rate"): Goal(at_least=1.0),
    ("100b", "sync", "p50_us"): Goal(at_most=0.5),
    ("100b", "produce", "server_cpu"): Goal(at_most=0.7),
    ("100b", "consume", "server_cpu"): Goal(at_most=0.7),
}


@dataclass(frozen=True, slots=True)
class Ratio:
    """Our value over the peer's: the median over the rounds, with the first and third quartile."""

    scenario: str
    load: str
    metric: str
    median: float
    low: float
    high: float


def all_ratios(measurements: Sequence[Measurement]) -> list[Ratio]:
    """By scenario, load and metric; where both were measured in the same round, and the peer's value is not 0."""
    made: list[Ratio] = []
    for scenario, load in dict.fromkeys((m.scenario, m.load) for m in measurements):
        chosen = [m for m in measurements if (m.scenario, m.load) == (scenario, load)]
        for metric in METRICS:
            if values := _by_round(chosen, metric):
                low, median, high = quartiles(values)
                made.append(Ratio(scenario, load, metric, median, low, high))
    return made


def _by_round(chosen: Sequence[Measurement], metric: str) -> list[float]:
    values = {(m.round, m.engine): float(getattr(m, metric)) for m in chosen}
    numbers = dict.fromkeys(m.round for m in chosen)
    both = [(values.get((number, OURS)), values.get((number, PEER))) for number in numbers]
    return [ours / peer for ours, peer in both if ours is not None and peer]


def median(measurements: Sequence[Measurement], scenario: str, load: str, engine: str, metric: str) -> float:
    """Over the rounds. Raises StatisticsError if there is none."""
    return statistics.median(
        [getattr(m, metric) for m in measurements if (m.scenario, m.load, m.engine) == (scenario, load, engine)]
    )
