"""The tables that the bench prints."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.markup import escape
from rich.table import Table

from analysis.door_bench.measures import Goal
from analysis.queue_bench.measures import (
    METRICS,
    PEERS,
    START,
    Outcome,
    Ratio,
    loads_of,
    median,
    unmeasured,
)
from analysis.queue_bench.rounds import Failure, Measurement
from analysis.queue_bench.scenarios import ENGINES, SCENARIOS

HEADINGS: Final[Mapping[str, str]] = {
    "rate": "messages/s",
    "mb_s": "MB/s",
    "p50_us": "p50 µs",
    "p99_us": "p99 µs",
    "server_cpu": "server CPU",
    "system_cpu": "all CPU",
    "client_cpu": "client CPU",
    "pss_bytes": "PSS MB",
    "system_pss_bytes": "all PSS MB",
    "start_s": "start s",
    "syncs": "syncs/1000",
    "flushes": "flushes/1000",
    "lag_ms": "lag ms",
}
NAMES: Final[Mapping[str, str]] = {
    "carousel": "Carousel",
    "kafka": "Apache Kafka",
    "redis": "Redis Streams",
    "jetstream": "NATS JetStream",
    "rabbitmq": "RabbitMQ",
}
SHOWN: Final = ("rate", "p50_us", "p99_us", "server_cpu", "system_cpu", "client_cpu", "pss_bytes", "start_s")
"""Of the ratios."""


def engines_table(measurements: Sequence[Measurement]) -> Table:
    """Medians over the rounds."""
    table = Table(title="Medians; CPU in seconds for a million messages", title_justify="left")
    for heading in ("scenario", "load", "engine", *HEADINGS.values()):
        table.add_column(heading, justify="left" if heading in ("scenario", "load", "engine") else "right")
    for scenario, load in loads_of(measurements):
        for engine in ENGINES:
            values = [median(measurements, scenario, load, engine, metric) for metric in METRICS]
            if any(value is not None for value in values):
                table.add_row(scenario, load, engine, *map(number, METRICS, values))
    return table


def number(metric: str, value: float | None) -> str:
    """As people read it; "" where there is none."""
    if value is None:
        return ""
    if metric.endswith("_bytes"):
        return f"{value / 1e6:,.0f}"
    small = metric in ("server_cpu", "system_cpu", "client_cpu", "start_s", "syncs", "flushes") and value < 100
    return f"{value:.2f}" if small else f"{value:,.0f}"


def ratios_table(ratios: Sequence[Ratio]) -> Table:
    """Median ratios to each peer with their quartiles."""
    table = Table(title="Carousel over its peers: median of the rounds' ratios (quartiles)", title_justify="left")
    for heading in ("scenario", "load", "over", *[HEADINGS[metric] for metric in SHOWN]):
        table.add_column(heading)
    for scenario, load in dict.fromkeys((ratio.scenario, ratio.load) for ratio in ratios):
        for peer in PEERS:
            of_it = [r for r in ratios if (r.scenario, r.load, r.peer) == (scenario, load, peer)]
            cells = {ratio.metric: spread(ratio) for ratio in of_it}
            if cells:
                table.add_row(scenario, load, peer, *[cells.get(metric, "") for metric in SHOWN])
    return table


def spread(ratio: Ratio | Outcome) -> str:
    """Median (first to third quartile)."""
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def goals_table(found: Sequence[Outcome]) -> Table:
    """Issue 7's goals, each met, not met, or not measured in this run."""
    table = Table(title="Goals", title_justify="left")
    for heading in ("scenario", "load", "what", "over", "goal", "median (quartiles)", ""):
        table.add_column(heading)
    for outcome in found:
        aim = outcome.aim
        table.add_row(
            what_of(aim.scenario), load_of(aim.scenario, aim.load), HEADINGS[aim.metric], aim.peer, bound(aim.goal),
            spread(outcome), "met" if outcome.met else "NOT MET",
        )  # fmt: skip
    for aim in unmeasured(found):
        what = what_of(aim.scenario), load_of(aim.scenario, aim.load), HEADINGS[aim.metric]
        table.add_row(*what, aim.peer, bound(aim.goal), "", "not measured")
    return table


def failures_table(failures: Sequence[Failure]) -> Table:
    """What has no measurement; the whole words are in the JSON."""
    table = Table(title="FAILED", title_justify="left")
    for heading in ("scenario", "load", "engine", "round", "why"):
        table.add_column(heading)
    for one in failures:
        table.add_row(one.scenario, one.load, one.engine, str(one.round + 1), escape(one.reason))
    return table


def bound(goal: Goal) -> str:
    """`≥ 1` or `≤ 0.5`."""
    return f"≥ {goal.at_least:g}" if goal.at_least else f"≤ {goal.at_most:g}"


def what_of(scenario: str) -> str:
    return "start-up" if scenario == START else SCENARIOS[scenario].what


def load_of(scenario: str, load: str) -> str:
    """In words."""
    if scenario == START:
        return "to the first acknowledged message"
    return next(one.what for one in SCENARIOS[scenario].loads if one.kind == load)
