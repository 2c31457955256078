"""The bench's figures as the README has them."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.door_bench.measures import PEERS, Ratio, median_of
from analysis.door_bench.memory import Memory
from analysis.door_bench.rounds import Measurement
from analysis.door_bench.scenarios import SCENARIOS

COLUMNS = ("rate", "cpu_us", "p99_ms")


def bench_markdown(figures: Mapping[str, Any]) -> str:
    """A row for each scenario: our medians, and our ratios to each peer."""
    measurements = [Measurement(**one) for one in figures["measurements"]]
    ratios = {(r["scenario"], r["peer"], r["metric"]): Ratio(**r) for r in figures["ratios"]}
    lines = [
        "| scenario | requests/s | CPU, µs/request (interpreted) | p99, ms "
        "| over nginx: requests/s, CPU, p99 | over HAProxy |",
        "|---|---|---|---|---|---|",
    ]
    for scenario in dict.fromkeys(one.scenario for one in measurements):
        rate, cpu_us, p99_ms = (median_of(measurements, scenario, "carousel", column) for column in COLUMNS)
        against = [_cell(ratios, scenario, peer) for peer in PEERS]
        what = SCENARIOS[scenario].what
        cpu = f"{cpu_us:.1f}{_interpreted(measurements, scenario)}"
        lines.append(f"| {what} | {rate:,.0f} | {cpu} | {p99_ms:.2f} | {' | '.join(against)} |")
    return "\n".join([*lines, "", _where(figures)]) + "\n"


def _interpreted(measurements: Sequence[Measurement], scenario: str) -> str:
    if not any(one.front == "interpreted" and one.scenario == scenario for one in measurements):
        return ""
    return f" ({median_of(measurements, scenario, 'interpreted', 'cpu_us'):.1f})"


def _cell(ratios: Mapping[tuple[str, str, str], Ratio], scenario: str, peer: str) -> str:
    found = [ratios.get((scenario, peer, column)) for column in COLUMNS]
    return ", ".join(f"{ratio.median:.2f}" for ratio in found if ratio is not None)


def _where(figures: Mapping[str, Any]) -> str:
    memory = [Memory(**one) for one in figures["memory"] if one["front"] == "carousel"]
    held = [f"{one.rss_bytes / 1e6:.0f} MB resident with {one.connections} connections" for one in memory]
    versions = ", ".join(figures["versions"][name] for name in PEERS)
    rounds = f"{figures['rounds']} rounds of {figures['seconds']:g} s"
    return ", ".join([f"Commit {figures['commit']}", figures["made"][:10], versions, rounds, *held]) + "."
