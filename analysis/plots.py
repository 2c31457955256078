"""The pictures, each drawn from an analysis' JSON alone.

Colours are Okabe and Ito's (2008), which the colour-blind tell apart too; lines differ in their marks as well.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib leaves the types of its keyword arguments open)

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from analysis.words import KEYS_FROM, duration, number

BLUE, ORANGE, GREEN, RED, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
SKY, INK, GREY, PALE = "#56B4E9", "#222222", "#6b6b6b", "#e3e3e3"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)
MARKS, LINES = "os^Dv", ("-", "-", "-", "--", "-")
DPI = 160
HALO = withStroke(linewidth=3, foreground="white")  # a text stays legible across lines
BINS = 40
NEAR = 0.03
"""Moments nearer to the kill than this part of what is shown have their label to the left of it."""

STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": 10, "text.color": INK,
    "axes.edgecolor": GREY, "axes.labelcolor": INK, "axes.titlesize": 11, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.titlepad": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "xtick.color": GREY, "ytick.color": GREY, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "grid.color": PALE, "grid.linewidth": 0.8, "legend.frameon": False, "lines.linewidth": 2, "lines.markersize": 6,
}  # fmt: skip


def page(title: str, subtitle: str, size: tuple[float, float], top: float = 0.8) -> Figure:
    """An empty page with its headings; axes go below `top`, a fraction of its height."""
    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    figure.text(0.02, 0.975, title, fontsize=14, fontweight="bold", va="top")
    figure.text(0.02, 0.975 - 0.32 / size[1], subtitle, fontsize=10, color=GREY, va="top")
    figure.subplots_adjust(left=0.085, right=0.975, top=top, bottom=0.12, wspace=0.24, hspace=0.3)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Without the time and version that matplotlib would note: the same figures are the same file."""
    figure.savefig(path, metadata={"Software": None})


def thousands(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: number(value))


# --- A-1 --------------------------------------------------------------------------------------------------------


def draw_a1(figures: dict[str, Any], path: Path) -> None:
    """Bars of counts for each replica, with the exact share of each as a line across them."""
    with mpl.rc_context(STYLE):
        runs: list[dict[str, Any]] = figures["runs"]
        hashes = list(dict.fromkeys(run["ring_hash"] for run in runs))
        title = f"A-1  Who answered {number(figures['requests'])} asynchronous requests, N = {runs[0]['n']}"
        figure = page(title, "Bars: requests answered. Black lines: the ring's exact share.", (9.6, 5.4))
        all_axes: Sequence[Axes] = figure.subplots(1, len(hashes), sharey=True, squeeze=False)[0]
        for axes, ring_hash in zip(all_axes, hashes, strict=True):
            _bars(axes, [run for run in runs if run["ring_hash"] == ring_hash])
            axes.set_title({"mmh3": "mmh3, the default ring"}.get(ring_hash, f"{ring_hash}, the course's ring"))
        all_axes[0].set_ylabel("requests")
        thousands(all_axes[0])
        _a1_legend(figure, [run["keys"] for run in runs])
        save(figure, path)


def _bars(axes: Axes, runs: list[dict[str, Any]]) -> None:
    width = 0.8 / len(runs)
    names = list(runs[0]["counts"])
    for place, run in enumerate(runs):
        counts = list(run["counts"].values())
        lefts = [i - 0.4 + width * (place + 0.5) for i in range(len(names))]
        bars = axes.bar(lefts, counts, width * 0.94, color=PALETTE[place])
        axes.bar_label(bars, [number(count) for count in counts], padding=3, fontsize=8.5)
    total = sum(runs[0]["counts"].values())
    for i, share in enumerate(runs[0]["shares"].values()):
        axes.hlines(total * share, i - 0.4, i + 0.4, color=INK, linewidth=1.4)
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    axes.margins(y=0.1)
    values = ", ".join(f"{run['p_value']:.2g}" for run in runs)
    axes.text(0.99, 0.98, f"χ² against the exact shares:\np = {values}", transform=axes.transAxes,
              ha="right", va="top", fontsize=8.5, color=GREY)  # fmt: skip


def _a1_legend(figure: Figure, keys: Iterable[str]) -> None:
    patches = [
        Line2D([], [], marker="s", linestyle="", markersize=9, color=PALETTE[i], label=KEYS_FROM[kind])
        for i, kind in enumerate(dict.fromkeys(keys))
    ]
    figure.legend(handles=patches, loc="lower center", ncols=2, fontsize=9)


# --- A-2 --------------------------------------------------------------------------------------------------------


def draw_a2(figures: dict[str, Any], path: Path) -> None:
    """Mean load with the band from the least to the most loaded replica, and the standard deviation, over N."""
    with mpl.rc_context(STYLE):
        hashes = list(dict.fromkeys(run["ring_hash"] for run in figures["runs"]))
        title = f"A-2  The load of a replica, {number(figures['requests'])} requests on N replicas"
        subtitle = (
            "Line: mean. Bars: one standard deviation. Dots: each replica. Band: from the least to the most loaded."
        )
        figure = page(title, subtitle, (9.6, 5.4))
        all_axes: Sequence[Axes] = figure.subplots(1, len(hashes), sharey=True, squeeze=False)[0]
        top = max(max(run["most"], run["mean"] + run["std"]) for run in figures["runs"])
        for axes, ring_hash, colour in zip(all_axes, hashes, PALETTE, strict=False):
            axes.set_ylim(0, 1.12 * top)
            _loads(axes, [run for run in figures["runs"] if run["ring_hash"] == ring_hash], colour)
            axes.set_title({"mmh3": "mmh3, the default ring"}.get(ring_hash, f"{ring_hash}, the course's ring"))
        all_axes[0].set_ylabel("requests of a replica")
        thousands(all_axes[0])
        save(figure, path)


def _loads(axes: Axes, runs: list[dict[str, Any]], colour: str) -> None:
    sizes = [run["n"] for run in runs]
    means = [run["mean"] for run in runs]
    axes.fill_between(
        sizes, [r["least"] for r in runs], [r["most"] for r in runs], color=colour, alpha=0.14, linewidth=0
    )
    for run in runs:
        counts = list(run["counts"].values())
        axes.plot([run["n"]] * len(counts), counts, "o", color=colour, alpha=0.55, markersize=4, markeredgewidth=0)
    bars = [[min(run["std"], run["mean"]) for run in runs], [run["std"] for run in runs]]  # no load is below 0
    axes.errorbar(sizes, means, bars, color=colour, marker="o", capsize=4, elinewidth=1.4)
    for run in runs:
        text = f"{number(run['mean'])} ± {number(run['std'])}"
        axes.annotate(text, (run["n"], run["mean"]), xytext=(5, 6),
                      textcoords="offset points", fontsize=8.5, color=INK, path_effects=[HALO])  # fmt: skip
    axes.set_xticks(sizes)
    axes.set_xlabel("replicas N")
    axes.set_xlim(min(sizes) - 0.4, max(sizes) + 1)
    axes.grid(axis="y")


# --- A-3 --------------------------------------------------------------------------------------------------------


def draw_a3(figures: dict[str, Any], path: Path) -> None:
    """For each runtime that was measured: latencies around the kill with the events, and who answered when."""
    with mpl.rc_context(STYLE):
        kills = {runtime: kill for runtime, kill in figures["kills"].items() if "skipped" not in kill}
        failed = ", ".join(
            f"{runtime}: {kill['failed']} of {number(kill['requests'])} failed" for runtime, kill in kills.items()
        )
        height = 1.35 + 4.6 * max(len(kills), 1)
        title = f"A-3  A replica is killed under {number(figures['rate'])} requests a second"
        subtitle = f"Three replicas, open-loop load, no client retries. {failed}. A dot is a request."
        figure = page(title, subtitle, (9.6, height), top=1 - 1.15 / height)
        figure.subplots_adjust(bottom=0.6 / height, hspace=0.45)
        if kills:
            rows: Any = figure.subplots(2 * len(kills), 1, squeeze=False, height_ratios=[1.7, 1] * len(kills))
            for place, (runtime, kill) in enumerate(kills.items()):
                _timeline(rows[2 * place][0], rows[2 * place + 1][0], runtime, kill)
        save(figure, path)


def _timeline(upper: Axes, lower: Axes, runtime: str, kill: dict[str, Any]) -> None:
    colours = dict(zip(kill["replicas"], PALETTE, strict=False))
    window = (-0.25 * shown_s(kill), shown_s(kill))
    _latencies(upper, kill, colours, window)
    _answers(lower, kill, colours, window)
    _moments(upper, lower, kill)
    what = {"process": "kill -9 of a replica's process", "docker": "docker kill of a replica's container"}
    upper.set_title(what[runtime])
    for axes in (upper, lower):
        axes.set_xlim(*window)
    upper.tick_params(labelbottom=False)
    lower.set_xlabel(f"seconds after {kill['victim']} was killed")


def shown_s(kill: dict[str, Any]) -> float:
    """How much after the kill is shown: until things are as before for a while."""
    return max(0.6, 2.5 * (kill["first_answer_s"] or kill["healthy_s"] or 1.0))


def _latencies(axes: Axes, kill: dict[str, Any], colours: Mapping[str, str], window: tuple[float, float]) -> None:
    columns = kill["columns"]
    rows = list(zip(columns["due_s"], columns["latency_ms"], columns["name"], columns["reason"], strict=True))
    rows = [row for row in rows if window[0] <= row[0] <= window[1]]
    for name, colour in colours.items():
        points = [(due, latency) for due, latency, who, reason in rows if who == name and not reason]
        axes.plot([p[0] for p in points], [p[1] for p in points], ".", color=colour, markersize=5, markeredgewidth=0)
    failed = [(due, latency) for due, latency, _, reason in rows if reason]
    axes.plot([p[0] for p in failed], [p[1] for p in failed], "x", color=RED, markersize=7)
    latencies = [row[1] for row in rows] or [1.0]
    axes.set_yscale("log")
    axes.set_ylim(min(latencies) / 1.5, max(latencies) * 40)  # room for the labels of the moments
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylabel("latency, ms")
    axes.grid(axis="y")


def _answers(axes: Axes, kill: dict[str, Any], colours: Mapping[str, str], window: tuple[float, float]) -> None:
    """Answers a second of each replica, stacked, by the time when the requests were due."""
    columns, bin_s = kill["columns"], (window[1] - window[0]) / BINS
    due = zip(columns["name"], columns["due_s"], columns["reason"], strict=True)
    counted = Counter((name, int((at - window[0]) // bin_s)) for name, at, reason in due if not reason)
    edges = [window[0] + place * bin_s for place in range(BINS + 1)]
    series = [[counted[name, min(place, BINS - 1)] / bin_s for place in range(BINS + 1)] for name in colours]
    extra: Any = {"step": "post"}  # missing in the stubs
    axes.stackplot(edges, series, colors=list(colours.values()), linewidth=0, **extra)
    axes.set_ylabel("answers / s")
    axes.set_ylim(bottom=0)
    thousands(axes)
    handles = [Line2D([], [], marker="s", linestyle="", markersize=8, color=c, label=n) for n, c in colours.items()]
    axes.legend(handles=handles, ncols=len(handles), fontsize=8.5, loc="lower left", bbox_to_anchor=(-0.01, 1),
                borderpad=0.2, handletextpad=0.2)  # fmt: skip


def _moments(upper: Axes, lower: Axes, kill: dict[str, Any]) -> None:
    """Lines at the kill and what followed it, with labels in steps, as some are but milliseconds apart."""
    names = {"noticed": "noticed_s", "replacement healthy": "healthy_s", "its first answer": "first_answer_s"}
    moments: list[tuple[str, float]] = [("killed", 0.0)]
    moments += [(label, kill[name]) for label, name in names.items() if kill[name] is not None]
    for place, (label, at) in enumerate(moments):
        for axes in (upper, lower):
            axes.axvline(at, color=INK, linewidth=0.9, linestyle=(0, (4, 3)) if place else "-")
        text = f"{label} after {duration(at)}" if place else label
        _label(upper, text, at, 0.97 - 0.085 * place, [moment for _, moment in moments], NEAR * shown_s(kill))


def _label(axes: Axes, text: str, at: float, height: float, moments: list[float], near: float) -> None:
    """To the left of the kill's line if it is near to it, else to the right of all lines that are near."""
    left = at < near
    beside = 0.0 if left else max(moment for moment in moments if moment < at + near)
    axes.annotate(text, (beside, height), xycoords=("data", "axes fraction"), xytext=(-5 if left else 5, 0),
                  textcoords="offset points", ha="right" if left else "left", va="top", fontsize=8.5)  # fmt: skip


# --- A-4 --------------------------------------------------------------------------------------------------------


def draw_a4(figures: dict[str, Any], path: Path) -> None:
    """A row of dots for each setup on N = 3, and the largest load over the mean by N; hashes and policies apart."""
    with mpl.rc_context(STYLE):
        runs: list[dict[str, Any]] = figures["runs"]
        hashes = [run for run in runs if run["policy"] == "ring"]
        policies = [run for run in runs if run["ring_hash"] == "mmh3"]
        title = f"A-4  Hashes and policies side by side, {number(figures['requests'])} requests each"
        subtitle = (
            "Left: the part of each replica on N = 3. Right: the most loaded replica's load over the mean; 1 is even."
        )
        figure = page(title, subtitle, (10.4, 7.4), top=0.845)
        figure.subplots_adjust(left=0.105, bottom=0.085, wspace=0.22, hspace=0.36, right=0.955)
        axes: Any = figure.subplots(2, 2)
        for row, (key, what, chosen) in enumerate(
            (
                ("ring_hash", "Hashes, under the policy ring", hashes),
                ("policy", "Policies, over the hash mmh3", policies),
            )
        ):
            _parts(axes[row][0], key, [run for run in chosen if run["n"] == 3])
            _unevenness(axes[row][1], key, chosen)
            axes[row][0].set_title(what)
        axes[1][0].set_xlabel("per cent of the requests")
        axes[1][1].set_xlabel("replicas N")
        save(figure, path)


def _parts(axes: Axes, key: str, runs: list[dict[str, Any]]) -> None:
    for place, run in enumerate(runs):
        total = sum(run["counts"].values()) or 1
        parts = [100 * count / total for count in run["counts"].values()]
        axes.hlines(place, min(parts), max(parts), color=PALE, linewidth=6, zorder=1)
        axes.plot(parts, [place] * len(parts), "o", color=PALETTE[place], markersize=8, alpha=0.85, zorder=2)
    even = 100 / len(runs[0]["counts"])
    axes.axvline(even, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.set_yticks(range(len(runs)), [run[key] for run in runs])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.margins(y=0.2)
    axes.grid(axis="x")


def _unevenness(axes: Axes, key: str, runs: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(run[key] for run in runs))
    for place, name in enumerate(names):
        line = [(run["n"], run["max_over_mean"]) for run in runs if run[key] == name]
        axes.plot(
            *zip(*line, strict=True), color=PALETTE[place], marker=MARKS[place], linestyle=LINES[place], label=name
        )
    axes.axhline(1, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xticks(sorted({run["n"] for run in runs}))
    axes.set_title("Most loaded over mean")
    axes.legend(fontsize=8.5, ncols=2)
    axes.grid(axis="y")
    axes.margins(y=0.15)
