"""The tables that the bench prints."""

from collections.abc import Sequence

from rich.table import Table

from analysis.queue_bench.measures import GOALS, METRICS, Ratio, median
from analysis.queue_bench.rounds import Measurement

HEADINGS = {
    "rate": "messages/s",
    "p50_us": "p50 µs",
    "p99_us": "p99 µs",
    "server_cpu": "server CPU",
    "system_cpu": "all CPU",
    "client_cpu": "client CPU",
    "pss_bytes": "PSS MB",
}


def engines_table(measurements: Sequence[Measurement]) -> Table:
    """Medians over the rounds."""
    table = Table(title="Medians; CPU in seconds for a million messages", title_justify="left")
    for heading in ("scenario", "load", "engine", *HEADINGS.values()):
        table.add_column(heading, justify="left" if heading in ("scenario", "load", "engine") else "right")
    loads = list(dict.fromkeys((m.scenario, m.load) for m in measurements))
    for scenario, load, engine in sorted(
        {(m.scenario, m.load, m.engine) for m in measurements}, key=lambda key: (loads.index(key[:2]), key[2])
    ):
        values = [median(measurements, scenario, load, engine, metric) for metric in METRICS]
        table.add_row(scenario, load, engine, *map(_number, METRICS, values))
    return table


def _number(metric: str, value: float) -> str:
    if metric.endswith("_us"):
        return f"{value:,.0f}" if value else ""
    if metric == "pss_bytes":
        return f"{value / 1e6:,.0f}"
    return f"{value:,.0f}" if metric == "rate" else f"{value:.2f}"


def ratios_table(ratios: Sequence[Ratio]) -> Table:
    """Median ratios to Apache Kafka with their quartiles, and whether a goal was met."""
    table = Table(title="Carousel over Apache Kafka: median of the rounds' ratios (quartiles)", title_justify="left")
    for heading in ("scenario", "load", *HEADINGS.values()):
        table.add_column(heading)
    for scenario, load in dict.fromkeys((ratio.scenario, ratio.load) for ratio in ratios):
        cells = {ratio.metric: _cell(ratio) for ratio in ratios if (ratio.scenario, ratio.load) == (scenario, load)}
        table.add_row(scenario, load, *[cells.get(metric, "") for metric in METRICS])
    return table


def _cell(ratio: Ratio) -> str:
    text = f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
    goal = GOALS.get((ratio.scenario, ratio.load, ratio.metric))
    return text if goal is None else f"{text} {'met' if goal.met(ratio.median) else 'NOT MET'}"
