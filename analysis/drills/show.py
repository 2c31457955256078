"""Run drills one after another, print each one's figures when it is done, keep them, and judge the zeros."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from analysis.drills.base import Drill, Report, Size
from analysis.provenance import provenance

SHOWN = (
    "answers", "idle PSS, MB", "reasons", "failed on its open connections", "failed while it was away", "seed",
    "refusals",
)  # fmt: skip


def table_of(reports: Sequence[Report]) -> Table:
    table = Table(title="fault drills", title_justify="left")
    for heading in ("drill", "requests", "must be zero", "seconds", "other"):
        table.add_column(heading)
    for report in reports:
        table.add_row(
            report.drill, str(report.requests or ""),
            ", ".join(f"{name} {value}" for name, value in report.zeros.items()),
            ", ".join(f"{name} {value:.3f}" for name, value in report.seconds.items()),
            ", ".join(f"{k} {v}" for k, v in report.other.items() if k in SHOWN),
        )  # fmt: skip
    return table


def run(drills: Mapping[str, Drill], names: Sequence[str], size: Size, kept_at: Path | None) -> None:
    """All of them if none is named. Raises typer.Exit(1) if a zero is not one, BadParameter for an unknown name."""
    for name in names:
        if name not in drills:
            raise typer.BadParameter(f"no drill {name!r}: {', '.join(drills)}")
    reports: list[Report] = []
    for name in names or list(drills):
        print(f"{name} …", file=sys.stderr, flush=True)
        reports.append(drills[name](size))
        Console(width=180).print(table_of(reports[-1:]))
        if kept_at is not None:  # each time, so that a drill that breaks does not take the others' figures along
            keep(reports, size, kept_at)
    if any(value for report in reports for value in report.zeros.values()):
        raise typer.Exit(1)


def keep(reports: Sequence[Report], size: Size, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {**provenance(), "rate": size.rate, "drills": [asdict(report) for report in reports]}
    path.write_text(json.dumps(kept, indent=1) + "\n")
