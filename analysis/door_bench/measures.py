"""From the rounds' measurements: medians for each front, ratios to each peer in the same round. Pure arithmetic.

A ratio is taken within a round, where both sides met the same machine, and the median is taken of the ratios: what
slows the machine in one round slows both. The interquartile range says how far the rounds agree.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.door_bench.rounds import Measurement

METRICS = ("rate", "cpu_us", "p50_ms", "p99_ms")
OURS, PEERS = "carousel", ("nginx", "haproxy")


@dataclass(frozen=True, slots=True)
class Ratio:
    """Carousel's value over the peer's: the median over the rounds, with the first and third quartile."""

    scenario: str
    metric: str
    peer: str
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What a median ratio to each peer is to be, at the least or at the most."""

    at_least: float = 0.0
    at_most: float = math.inf

    def met(self, median: float) -> bool:
        return self.at_least <= median <= self.at_most


GOALS = {
    ("get-32", "rate"): Goal(at_least=1.0),
    ("get-32", "cpu_us"): Goal(at_most=1.0),
    ("get-32", "p99_ms"): Goal(at_most=1.0),
    ("get-64k", "rate"): Goal(at_least=0.9),
}


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """(first quartile, median, third quartile), linear between the values. Raises IndexError without any."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def all_ratios(measurements: Sequence[Measurement]) -> list[Ratio]:
    """By scenario, then peer, then metric; where both sides were measured in the same round."""
    made: list[Ratio] = []
    for scenario in dict.fromkeys(m.scenario for m in measurements):
        for peer in PEERS:
            for metric in METRICS:
                values = list(by_round(measurements, scenario, peer, metric).values())
                if values:
                    low, median, high = quartiles(values)
                    made.append(Ratio(scenario, metric, peer, median, low, high))
    return made


def by_round(measurements: Sequence[Measurement], scenario: str, peer: str, metric: str) -> dict[int, float]:
    """Carousel's value over the peer's, for each round that has both."""
    values = {(m.round, m.front): float(getattr(m, metric)) for m in measurements if m.scenario == scenario}
    both = [number for number, front in values if front == OURS and (number, peer) in values]
    return {number: values[number, OURS] / values[number, peer] for number in both if values[number, peer]}


def median_of(measurements: Sequence[Measurement], scenario: str, front: str, field: str) -> float:
    """Over the rounds. Raises StatisticsError if there is none."""
    return statistics.median(getattr(m, field) for m in measurements if m.scenario == scenario and m.front == front)
