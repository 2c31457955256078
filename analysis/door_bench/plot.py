"""The picture of the bench: Carousel over each peer, a dot for each round, drawn from the JSON alone."""

# pyright: reportUnknownMemberType=false
# (matplotlib leaves the types of its keyword arguments open)

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.door_bench.measures import PEERS, Ratio, by_round
from analysis.door_bench.rounds import Measurement
from analysis.plots import BLUE, GREY, HALO, INK, ORANGE, STYLE, page, save

PANELS = {
    "rate": "requests/s (more is better)",
    "cpu_us": "CPU per request (less is better)",
    "p99_ms": "p99 latency (less is better)",
}
COLOURS = dict(zip(PEERS, (BLUE, ORANGE), strict=True))
NAMES = {"nginx": "nginx", "haproxy": "HAProxy"}


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """Dots: rounds; bar: from the first to the third quartile; mark: the median."""
    measurements = [Measurement(**one) for one in figures["measurements"]]
    ratios = [Ratio(**one) for one in figures["ratios"]]
    scenarios = list(dict.fromkeys(ratio.scenario for ratio in ratios))
    with mpl.rc_context(STYLE):
        height = 1.9 + 0.75 * len(scenarios)
        title = "Carousel over nginx and HAProxy, one worker each on a core of its own"
        subtitle = (
            f"{figures['rounds']} rounds of {figures['seconds']:g} s. Dot: a round. Mark and bar: median, quartiles."
        )
        figure = page(title, subtitle, (10.4, height), top=1 - 1.25 / height)
        figure.subplots_adjust(left=0.13, bottom=0.75 / height, wspace=0.08)
        all_axes: Any = figure.subplots(1, len(PANELS), sharey=True)
        for axes, (metric, name) in zip(all_axes, PANELS.items(), strict=True):
            _panel(axes, metric, scenarios, measurements, ratios)
            axes.set_title(name, fontsize=10)
        all_axes[0].set_yticks(range(len(scenarios)), scenarios)
        all_axes[0].invert_yaxis()
        handles = [
            Line2D([], [], marker="D", linestyle="", color=COLOURS[peer], label=f"over {NAMES[peer]}") for peer in PEERS
        ]
        figure.legend(handles=handles, loc="lower center", ncols=2, fontsize=9)
        save(figure, path)


def _panel(
    axes: Axes, metric: str, scenarios: Sequence[str], measurements: Sequence[Measurement], ratios: Sequence[Ratio]
) -> None:
    for ratio in ratios:
        if ratio.metric == metric:
            values = by_round(measurements, ratio.scenario, ratio.peer, metric).values()
            _mark(axes, scenarios.index(ratio.scenario), ratio, list(values))
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.axvline(1, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel("ratio", color=GREY)
    axes.margins(x=0.12, y=0.08)


def _mark(axes: Axes, row: int, ratio: Ratio, values: Sequence[float]) -> None:
    """The first peer above the row's middle with its figure above, the second one below."""
    side = 1 if ratio.peer == PEERS[0] else -1
    place, colour = row - 0.17 * side, COLOURS[ratio.peer]
    axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.35, markersize=4, markeredgewidth=0)
    axes.hlines(place, ratio.low, ratio.high, color=colour, linewidth=3, alpha=0.7)
    axes.plot([ratio.median], [place], "D", color=colour, markersize=6)
    axes.annotate(
        f"{ratio.median:.2f}", (ratio.median, place), xytext=(0, 6 * side), textcoords="offset points",
        ha="center", va="bottom" if side > 0 else "top", fontsize=8, color=INK, path_effects=[HALO],
    )  # fmt: skip
