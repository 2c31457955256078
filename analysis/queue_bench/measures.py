"""Medians, ratios to each peer within each round, and the goals. Pure arithmetic."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analysis.door_bench.measures import Goal, quartiles
from analysis.queue_bench.rounds import Measurement
from analysis.queue_bench.scenarios import ENGINES

OURS: Final = "carousel"
KAFKA: Final = "kafka"
PEERS: Final = tuple(engine for engine in ENGINES if engine != OURS)
METRICS: Final = (
    "rate", "mb_s", "p50_us", "p99_us", "server_cpu", "system_cpu", "client_cpu", "pss_bytes",
    "system_pss_bytes", "start_s", "syncs", "flushes", "lag_ms",
)  # fmt: skip
"""Messages (or calls) a second; MB of messages a second; latencies; CPU in seconds for a million messages, of the
processes that hold the queue, of all that were started for it, of the client; proportional set size of the former two;
from start to the first acknowledged message; sync calls and flushes of the device for a thousand messages; how late
control's loop was, at the worst."""
RATIOS: Final = tuple(metric for metric in METRICS if metric not in ("mb_s", "syncs", "flushes", "lag_ms"))
"""Those of which a ratio says something."""
START: Final = "start"
"""The scenario and load of start-up times."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Our value over the peer's: the median over the rounds, with the first and third quartile."""

    scenario: str
    load: str
    metric: str
    peer: str
    median: float
    low: float
    high: float


def all_ratios(measurements: Sequence[Measurement]) -> list[Ratio]:
    """By scenario, load, peer and metric; where both were measured in the same round, and the peer's is not 0."""
    made: list[Ratio] = []
    for scenario, load in loads_of(measurements):
        chosen = [m for m in measurements if (m.scenario, m.load) == (scenario, load)]
        for peer in PEERS:
            for metric in RATIOS:
                if values := by_round(chosen, peer, metric):
                    low, median, high = quartiles(values)
                    made.append(Ratio(scenario, load, metric, peer, median, low, high))
    return made


def loads_of(measurements: Sequence[Measurement]) -> list[tuple[str, str]]:
    """(scenario, load), in the order in which they were measured."""
    return list(dict.fromkeys((m.scenario, m.load) for m in measurements))


def by_round(chosen: Sequence[Measurement], peer: str, metric: str) -> list[float]:
    """Our value over the peer's in each round that has both; `chosen` are of one load."""
    values = {(m.round, m.engine): m.values[metric] for m in chosen if metric in m.values}
    both = [(values.get((number, OURS)), values.get((number, peer))) for number in dict.fromkeys(r for r, _ in values)]
    return [ours / theirs for ours, theirs in both if ours is not None and theirs]


def median(measurements: Sequence[Measurement], scenario: str, load: str, engine: str, metric: str) -> float | None:
    """Over the rounds; None if it was never measured."""
    chosen = [m for m in measurements if (m.scenario, m.load, m.engine) == (scenario, load, engine)]
    values = [m.values[metric] for m in chosen if metric in m.values]
    return statistics.median(values) if values else None


# Goals


@dataclass(frozen=True, slots=True)
class Aim:
    """What issue 7 asks of a median: of the ratios to `peer`, or of our own values where `peer` is empty."""

    scenario: str
    load: str
    metric: str
    goal: Goal
    peer: str = KAFKA


@dataclass(frozen=True, slots=True)
class Outcome:
    """`low` and `high`: the quartiles."""

    aim: Aim
    median: float
    low: float
    high: float

    @property
    def met(self) -> bool:
        return self.aim.goal.met(self.median)


def least(bound: float) -> Goal:
    return Goal(at_least=bound)


def most(bound: float) -> Goal:
    return Goal(at_most=bound)


def _aims() -> list[Aim]:
    rates = {"100b": 1.0, "100b-12": 1.0, "1k-12": 1.3}
    made = [Aim(name, load, "rate", least(of)) for name, of in rates.items() for load in ("produce", "consume")]
    made += [Aim("100b", "sync", "p50_us", most(0.5)), Aim("100b", "sync", "p99_us", most(0.2))]
    made += [Aim("100b", "end-to-end", "p99_us", most(0.5)), Aim("100b-12", "waiting", "rate", least(1.0))]
    made += [Aim(name, load, "server_cpu", most(0.7)) for name in rates for load in ("produce", "consume")]
    made += [Aim("100b", "produce", "pss_bytes", most(0.15)), Aim(START, START, "start_s", most(0.3))]
    made += [Aim(name, "produce", "rate", least(1.5)) for name in ("100b-synced", "1k-12-synced")]
    for peer in ("redis", "jetstream", "rabbitmq"):
        for name in ("100b", "1k-12"):
            made.append(Aim(name, "produce", "rate", least(5.0), peer))
            made.append(Aim(name, "consume", "rate", least(1.0 if peer == "redis" else 5.0), peer))
    return [*made, *[Aim("http", load, "lag_ms", most(100.0), "") for load in ("http-produce", "http-consume")]]


AIMS: Final = tuple(_aims())


def outcomes(measurements: Sequence[Measurement], ratios: Sequence[Ratio]) -> list[Outcome]:
    """Of each aim that was measured."""
    found = {(ratio.scenario, ratio.load, ratio.metric, ratio.peer): ratio for ratio in ratios}
    made: list[Outcome] = []
    for aim in AIMS:
        ratio = found.get((aim.scenario, aim.load, aim.metric, aim.peer))
        if ratio is not None:
            made.append(Outcome(aim, ratio.median, ratio.low, ratio.high))
        elif not aim.peer and (values := _own(measurements, aim)):
            low, middle, high = quartiles(values)
            made.append(Outcome(aim, middle, low, high))
    return made


def unmeasured(found: Sequence[Outcome]) -> list[Aim]:
    """The aims without an outcome."""
    return [aim for aim in AIMS if aim not in {one.aim for one in found}]


def _own(measurements: Sequence[Measurement], aim: Aim) -> list[float]:
    chosen = [m for m in measurements if (m.scenario, m.load, m.engine) == (aim.scenario, aim.load, OURS)]
    return [m.values[aim.metric] for m in chosen if aim.metric in m.values]
