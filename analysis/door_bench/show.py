"""The tables that the bench prints."""

from collections.abc import Sequence

from rich.table import Table

from analysis.door_bench.measures import GOALS, Ratio, median_of
from analysis.door_bench.memory import GOAL_BYTES, Memory
from analysis.door_bench.rounds import QUIET, Measurement

METRIC_NAMES = {"rate": "requests/s", "cpu_us": "CPU", "p50_ms": "p50", "p99_ms": "p99"}


def fronts_table(measurements: Sequence[Measurement]) -> Table:
    """Medians over the rounds; failed requests and repetitions are added up."""
    table = Table(title="Medians; CPU in µs a request", title_justify="left")
    for heading in (
        "scenario", "front", "requests/s", "p50 ms", "p99 ms", "CPU", "user", "system", "data path",
        "wrk", "backends", "PSS MB", "RSS MB", "front core", "load core", "foreign", "retaken", "failed",
    ):  # fmt: skip
        table.add_column(heading, justify="left" if heading in ("scenario", "front") else "right")
    for scenario in dict.fromkeys(m.scenario for m in measurements):
        for front in sorted({m.front for m in measurements if m.scenario == scenario}):
            table.add_row(scenario, front, *_cells(measurements, scenario, front))
        table.add_section()
    return table


def noise(measurements: Sequence[Measurement]) -> str:
    """What a reader should know of the machine; empty if it was quiet."""
    noisy = sum(one.foreign > QUIET for one in measurements)
    if not noisy:
        return ""
    return (
        f"Strangers used the machine in {noisy} of {len(measurements)} measurements (more than {QUIET:.0%} of a core): "
        "the ratios of CPU per request bear that, requests/s and latencies do not."
    )


def _cells(measurements: Sequence[Measurement], scenario: str, front: str) -> list[str]:
    def middle(field: str) -> float:
        return median_of(measurements, scenario, front, field)

    chosen = [m for m in measurements if (m.scenario, m.front) == (scenario, front)]
    times = [f"{middle(field):.1f}" for field in ("cpu_us", "user_us", "system_us", "data_us", "wrk_us", "backends_us")]
    shares = [f"{middle(field):.0%}" for field in ("front_busy", "load_busy", "foreign")]
    return [
        f"{middle('rate'):,.0f}", f"{middle('p50_ms'):.2f}", f"{middle('p99_ms'):.2f}", *times,
        f"{middle('pss_bytes') / 1e6:.1f}", f"{middle('data_rss_bytes') / 1e6:.1f}", *shares,
        str(sum(m.retakes for m in chosen)), str(sum(m.failed for m in chosen)),
    ]  # fmt: skip


def ratios_table(ratios: Sequence[Ratio]) -> Table:
    """Median ratios with their quartiles, and whether a goal was met."""
    table = Table(title="Carousel over the peer: median of the rounds' ratios (quartiles)", title_justify="left")
    for heading in ("scenario", "peer", *METRIC_NAMES.values()):
        table.add_column(heading)
    for scenario, peer in dict.fromkeys((ratio.scenario, ratio.peer) for ratio in ratios):
        table.add_row(scenario, peer, *[ratio_cell(r) for r in ratios if (r.scenario, r.peer) == (scenario, peer)])
    return table


def ratio_cell(ratio: Ratio) -> str:
    text = f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
    goal = GOALS.get((ratio.scenario, ratio.metric))
    return text if goal is None else f"{text} {'met' if goal.met(ratio.median) else 'NOT MET'}"


def memory_table(memories: Sequence[Memory]) -> Table:
    """The process that carries requests, empty and with idle connections; all processes together."""
    table = Table(title="Memory with idle connections that made a request, MB", title_justify="left")
    for heading in ("front", "connections", "RSS before", "RSS", "PSS of all", "goal"):
        table.add_column(heading, justify="left" if heading == "front" else "right")
    for one in memories:
        met = "met" if one.rss_bytes <= GOAL_BYTES else "NOT MET"
        table.add_row(
            one.front, str(one.connections), f"{one.empty_rss_bytes / 1e6:.1f}", f"{one.rss_bytes / 1e6:.1f}",
            f"{one.pss_bytes / 1e6:.1f}", f"≤ {GOAL_BYTES / 1e6:.0f}: {met}" if one.front == "carousel" else "",
        )  # fmt: skip
    return table
