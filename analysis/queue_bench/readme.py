"""The bench's figures as the README has them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analysis.queue_bench.measures import GOALS, OURS, Ratio, median
from analysis.queue_bench.rounds import Measurement
from analysis.queue_bench.scenarios import SCENARIOS

WHAT: Final = {"produce": "produce", "consume": "consume", "sync": "one after another"}


def queue_markdown(figures: Mapping[str, Any]) -> str:
    """A row for each load: our medians, and what they are over Kafka's in the same rounds; `figures` is
    analysis/results/queue.json."""
    made = [Measurement(**one) for one in figures["measurements"]]
    ratios = {(ratio.scenario, ratio.load, ratio.metric): ratio for ratio in _ratios(figures)}
    lines = [
        "| load | messages/s | over Kafka | p50, µs | over Kafka | server CPU, s per million | over Kafka |",
        "|---|---|---|---|---|---|---|",
    ]
    for scenario, load in dict.fromkeys((one.scenario, one.load) for one in made):
        cells = [f"{SCENARIOS[scenario].what}: {WHAT[load]}"]
        for metric in ("rate", "p50_us", "server_cpu"):
            value = median(made, scenario, load, OURS, metric)
            is_told = metric != "p50_us" or load == "sync"
            cells += [_number(metric, value), _over(ratios.get((scenario, load, metric)))] if is_told else ["", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _goals(ratios), "", _where(figures, made)]) + "\n"


def _ratios(figures: Mapping[str, Any]) -> Sequence[Ratio]:
    return [Ratio(**one) for one in figures["ratios"]]


def _number(metric: str, value: float) -> str:
    return f"{value:.2f}" if metric == "server_cpu" and value < 10 else f"{value:,.0f}"


def _over(ratio: Ratio | None) -> str:
    return "" if ratio is None else f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _goals(ratios: Mapping[tuple[str, str, str], Ratio]) -> str:
    missed = [key for key, goal in GOALS.items() if key in ratios and not goal.met(ratios[key].median)]
    if not missed:
        return "All goals are met: rate at least Kafka's, p50 at most half of it, CPU at most 0.7 of it."
    return "Not met: " + ", ".join(" ".join(key) for key in missed) + "."


def _where(figures: Mapping[str, Any], made: Sequence[Measurement]) -> str:
    scenario, load = made[0].scenario, made[0].load
    held = ", ".join(
        f"{engine} {median(made, scenario, load, engine, 'pss_bytes') / 1e6:.0f} MB"
        for engine in dict.fromkeys(one.engine for one in made)
    )
    started = ", ".join(f"{engine} {seconds:g} s" for engine, seconds in figures["started_s"].items())
    return (
        f"Medians of {figures['rounds']} rounds, quartiles in brackets. Commit {figures['commit']}, "
        f"{figures['made'][:10]}, {figures['cores']} cores, Apache Kafka 4.3, "
        f"fdatasync {figures['fdatasync_us']:.0f} µs; the server's memory: {held}; start to first answer: {started}."
    )
