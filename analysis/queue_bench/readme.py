"""The bench's figures as the README has them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analysis.queue_bench.measures import KAFKA, OURS, START, Ratio, loads_of, median, outcomes
from analysis.queue_bench.rounds import Failure, Measurement
from analysis.queue_bench.scenarios import ENGINES
from analysis.queue_bench.show import HEADINGS, NAMES, bound, load_of, number, spread, what_of

PICTURE: Final = "![Rate, latency and CPU of each load, for each engine](analysis/results/queue.png)"
"""As plot.draw leaves it beside the JSON, where there are ratios."""
PEERS: Final = ("redis", "jetstream", "rabbitmq")


def queue_markdown(figures: Mapping[str, Any]) -> str:
    """The picture; beside Kafka a row for each load; beside the others a row for each that they all have; the goals
    that were missed, the loads that failed; memory and start-up. `figures` is analysis/results/queue.json."""
    made = [Measurement(**one) for one in figures["measurements"]]
    ratios = [Ratio(**one) for one in figures["ratios"]]
    failed = _failed([Failure(**one) for one in figures["failed"]])
    parts = [
        PICTURE if ratios else "", _beside_kafka(made, ratios), _beside_others(made), _goals(made, ratios), failed,
        _where(figures, made),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _beside_kafka(made: Sequence[Measurement], ratios: Sequence[Ratio]) -> str:
    found = {(r.scenario, r.load, r.metric): r for r in ratios if r.peer == KAFKA}
    lines = [
        "| load | messages/s | over Kafka | p50, p99, µs | over Kafka | server CPU, s per million | over Kafka |",
        "|---|---|---|---|---|---|---|",
    ]
    for scenario, load in loads_of(made):
        if scenario != START and (rate := median(made, scenario, load, OURS, "rate")) is not None:
            p50, p99, cpu = (median(made, scenario, load, OURS, name) for name in ("p50_us", "p99_us", "server_cpu"))
            over = {name: found.get((scenario, load, name)) for name in ("rate", "p50_us", "p99_us", "server_cpu")}
            cells = [
                f"{what_of(scenario)}: {load_of(scenario, load)}", number("rate", rate), _over(over["rate"]),
                "" if p50 is None else f"{number('p50_us', p50)}, {number('p99_us', p99)}",
                ", ".join(f"{one.median:.2f}" for one in (over["p50_us"], over["p99_us"]) if one is not None),
                number("server_cpu", cpu), _over(over["server_cpu"]),
            ]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _over(ratio: Ratio | None) -> str:
    return "" if ratio is None else spread(ratio)


def _beside_others(made: Sequence[Measurement]) -> str:
    """Messages a second of each, then the latencies; "" if none of them was measured."""
    names = [engine for engine in PEERS if any(one.engine == engine for one in made)]
    if not names:
        return ""
    engines = [engine for engine in ENGINES if engine in (OURS, *names)]
    lines = [
        f"| messages/s (p50, p99 in µs) | {' | '.join(NAMES[engine] for engine in engines)} |",
        f"|---|{'---|' * len(engines)}",
    ]
    for scenario, load in loads_of(made):
        if scenario != START and any(median(made, scenario, load, name, "rate") is not None for name in names):
            cells = [_rate(made, scenario, load, engine) for engine in engines]
            lines.append(f"| {what_of(scenario)}: {load_of(scenario, load)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _rate(made: Sequence[Measurement], scenario: str, load: str, engine: str) -> str:
    rate, p50, p99 = (median(made, scenario, load, engine, name) for name in ("rate", "p50_us", "p99_us"))
    latencies = "" if p50 is None else f" ({number('p50_us', p50)}, {number('p99_us', p99)})"
    return "" if rate is None else f"{number('rate', rate)}{latencies}"


def _goals(made: Sequence[Measurement], ratios: Sequence[Ratio]) -> str:
    found = outcomes(made, ratios)
    missed = [one for one in found if not one.met]
    if not missed:
        return f"All {len(found)} goals are met." if found else ""
    words = [
        f"{what_of(one.aim.scenario)}: {load_of(one.aim.scenario, one.aim.load)}, {HEADINGS[one.aim.metric]}"
        f"{f' over {NAMES[one.aim.peer]}' if one.aim.peer else ''} {one.median:.2f} ({bound(one.aim.goal)})"
        for one in missed
    ]
    return f"{len(found) - len(missed)} of {len(found)} goals are met. Not met: {'; '.join(words)}."


def _failed(failures: Sequence[Failure]) -> str:
    words = [
        f"{NAMES.get(one.engine, one.engine)}, {what_of(one.scenario)}, {one.load}, round {one.round + 1}: {one.reason}"
        for one in failures
    ]
    return f"Failed, and not among the figures: {'; '.join(words)}." if words else ""


def _where(figures: Mapping[str, Any], made: Sequence[Measurement]) -> str:
    engines = [engine for engine in ENGINES if any(one.engine == engine for one in made)]
    pss = {engine: _worst(made, engine, "pss_bytes") for engine in engines}
    held = ", ".join(f"{NAMES[engine]} {value / 1e6:.0f} MB" for engine, value in pss.items() if value)
    every = _worst(made, OURS, "system_pss_bytes")
    whole = f" ({NAMES[OURS]} with its front door and control {every / 1e6:.0f} MB)" if every else ""
    starts = {engine: median(made, START, START, engine, "start_s") for engine in engines}
    started = ", ".join(f"{NAMES[engine]} {value:.2f} s" for engine, value in starts.items() if value)
    versions = "".join(f", {version}" for version in figures["versions"].values())
    return (
        f"Medians of {figures['rounds']} rounds, quartiles in brackets. Commit {figures['commit']}, "
        f"{figures['made'][:10]}, {figures['cores']} cores, Apache Kafka 4.3.0{versions}, "
        f"fdatasync {figures['fdatasync_us']:.0f} µs. The most memory that the servers took: {held}{whole}; "
        f"from start to the first acknowledged message: {started}.{_lag(made)}"
    )


def _lag(made: Sequence[Measurement]) -> str:
    late_ms = _worst(made, OURS, "lag_ms")
    return f" Under the HTTP calls control's loop was late by {late_ms:.0f} ms at the most." if late_ms else ""


def _worst(made: Sequence[Measurement], engine: str, metric: str) -> float:
    return max((one.values[metric] for one in made if one.engine == engine and metric in one.values), default=0.0)
