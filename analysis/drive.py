"""The analyses A-1 to A-4: `python -m analysis a1|a2|a3|a4|all [--requests 10000] [--quick]`.

Each starts real systems of its own, keeps its figures as JSON, draws its picture from that JSON and has the report
written anew. `draw` makes pictures and report again from what was kept, without measuring anything.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from analysis import a1, a2, a3, a4, plots, report
from analysis.asking import Advance
from analysis.balance import Size
from analysis.provenance import ROOT, provenance

RESULTS = ROOT / "analysis" / "results"
QUICK_RESULTS = ROOT / "var" / "analysis"
QUICK_REQUESTS, QUICK_RATE = 300, 200.0


@dataclass(frozen=True, slots=True)
class Analysis:
    """What it is called, how many steps it has, how it is run, and its picture."""

    title: str
    steps: Callable[[Size], int]
    run: Callable[[Size, Advance], dict[str, Any]]
    draw: Callable[[dict[str, Any], Path], None]


ANALYSES = {
    "a1": Analysis("A-1 counts on N = 3", a1.steps, a1.run, plots.draw_a1),
    "a2": Analysis("A-2 load on N = 2 … 6", a2.steps, a2.run, plots.draw_a2),
    "a3": Analysis("A-3 endpoints, a kill", a3.steps, a3.run, plots.draw_a3),
    "a4": Analysis("A-4 hashes and policies", a4.steps, a4.run, plots.draw_a4),
}


class Which(StrEnum):
    """The command line's choice."""

    A1 = "a1"
    A2 = "a2"
    A3 = "a3"
    A4 = "a4"
    ALL = "all"
    DRAW = "draw"


def measure(names: list[str], size: Size, folder: Path, console: Console) -> None:
    """Run these and keep their figures."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        for name in names:
            analysis = ANALYSES[name]
            task = progress.add_task(analysis.title, total=analysis.steps(size))

            def advance(count: int, task: Any = task) -> None:
                progress.advance(task, count)

            figures = {**provenance(), **asdict(size), **analysis.run(size, advance)}
            (folder / f"{name}.json").write_text(as_text(figures))


def as_text(figures: dict[str, Any]) -> str:
    """JSON with a line for each field; a list of plain values stays on one, however long."""
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    return re.sub(r"\[\n([^\[\]{}]*?)\n\s*\]", lambda m: "[" + re.sub(r"\n\s*", " ", m[1]).strip() + "]", text) + "\n"


def draw(folder: Path) -> list[Path]:
    """Pictures and report from the figures that are kept there; returns what was written."""
    kept: dict[str, dict[str, Any]] = {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in ANALYSES
        if (folder / f"{name}.json").exists()
    }
    for name, figures in kept.items():
        ANALYSES[name].draw(figures, folder / f"{name}.png")
    (folder / "README.md").write_text(report.written(kept))
    return [*(folder / f"{name}.png" for name in kept), folder / "README.md"]


def main(
    which: Annotated[Which, typer.Argument(help="One of them, all, or draw: pictures and report from kept figures")],
    requests: Annotated[int, typer.Option(min=1, help="Requests of each run")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the clients' keys")] = 1,
    rate: Annotated[float, typer.Option(min=1, help="Requests a second while a replica is killed")] = 1000,
    quick: Annotated[bool, typer.Option(help=f"{QUICK_REQUESTS} requests, to see that all of it works")] = False,
    out: Annotated[Path | None, typer.Option(help="Where figures, pictures and report go")] = None,
) -> None:
    """Run the analyses on real systems and write down what they show."""
    size = Size(requests, seed, rate)
    if quick:
        size = replace(size, requests=min(requests, QUICK_REQUESTS), rate=min(rate, QUICK_RATE))
    folder = out or (QUICK_RESULTS if quick else RESULTS)
    names = list(ANALYSES) if which is Which.ALL else [which.value] if which.value in ANALYSES else []
    measure(names, size, folder, Console(stderr=True))
    for path in draw(folder):
        print(path)
