"""The picture of the bench: each engine's rate, latency and CPU under each load, drawn from the JSON alone."""

# pyright: reportUnknownMemberType=false
# (matplotlib leaves the types of its keyword arguments open)

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, STYLE, page, save
from analysis.queue_bench.measures import START, loads_of, median
from analysis.queue_bench.rounds import Measurement
from analysis.queue_bench.scenarios import ENGINES
from analysis.queue_bench.show import NAMES, load_of, what_of

PANELS: Final[Mapping[str, str]] = {
    "rate": "messages/s (more is better)",
    "p50_us": "latency, µs (less is better)",
    "server_cpu": "server CPU, s/million (less is better)",
}
COLOURS: Final[Mapping[str, str]] = dict(zip(ENGINES, (BLUE, ORANGE, RED, GREEN, PURPLE), strict=True))
MARKS: Final[Mapping[str, str]] = dict(zip(ENGINES, "Dos^v", strict=True))
SPACE: Final = 0.13
"""Between the engines of one row, whose height is 1."""


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """A row for each load, a mark for each engine's median; the thin line spans the rounds, or reaches to the p99."""
    made = [Measurement(**one) for one in figures["measurements"]]
    rows = [row for row in loads_of(made) if row[0] != START]
    with mpl.rc_context(STYLE):
        height = 1.9 + 0.5 * len(rows)
        title = "The queue beside its peers, one server each on one machine"
        subtitle = f"Medians of {figures['rounds']} rounds, logarithmic scales. Latency: a line from p50 to p99."
        figure = page(title, subtitle, (12.4, height), top=1 - 1.25 / height)
        figure.subplots_adjust(left=0.22, bottom=0.75 / height, wspace=0.08)
        all_axes: Any = figure.subplots(1, len(PANELS), sharey=True)
        for axes, (metric, name) in zip(all_axes, PANELS.items(), strict=True):
            _panel(axes, metric, rows, made)
            axes.set_title(name, fontsize=10)
        all_axes[0].set_yticks(range(len(rows)), [f"{what_of(name)}\n{load_of(name, load)}" for name, load in rows])
        all_axes[0].tick_params(axis="y", labelsize=8.5)
        all_axes[0].set_ylim(len(rows) - 0.5, -0.5)
        measured = [engine for engine in ENGINES if any(one.engine == engine for one in made)]
        handles = [
            Line2D([], [], marker=MARKS[engine], linestyle="", color=COLOURS[engine], label=NAMES[engine])
            for engine in measured
        ]
        figure.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=9)
        save(figure, path)


def _panel(axes: Axes, metric: str, rows: Sequence[tuple[str, str]], made: Sequence[Measurement]) -> None:
    for row, (scenario, load) in enumerate(rows):
        for place, engine in enumerate(ENGINES):
            value = median(made, scenario, load, engine, metric)
            if value:
                at, colour = row + SPACE * (place - 2), COLOURS[engine]
                reach = _reach(made, scenario, load, engine, metric)
                axes.hlines(at, min(reach), max(reach), color=colour, linewidth=1.6, alpha=0.6)
                axes.plot([value], [at], MARKS[engine], color=colour, markersize=5)
    axes.set_xscale("log")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    for row in range(1, len(rows)):
        axes.axhline(row - 0.5, color=GREY, linewidth=0.3)
    axes.margins(x=0.1)


def _reach(made: Sequence[Measurement], scenario: str, load: str, engine: str, metric: str) -> list[float]:
    if metric == "p50_us":
        both = [median(made, scenario, load, engine, name) for name in ("p50_us", "p99_us")]
        return [value for value in both if value]
    chosen = [m for m in made if (m.scenario, m.load, m.engine) == (scenario, load, engine)]
    return [m.values[metric] for m in chosen if metric in m.values]
