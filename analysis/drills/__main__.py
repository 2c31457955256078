"""The fault drills: a running system under a steady load while something is killed, hung or frozen.

    python -m analysis.drills [NAMES…] [--requests 50000] [--rate 1000] [--json PATH]

Each drill starts a system of its own, applies an open-loop load without client retries (analysis/load.py), does its
harm a fifth of the way in, and counts failed requests; times run from the harm to the first 200 of the new name.
It exits with 1 if any zero that the drill promises (failed, leaked, restarted) is not one. Times are reported only.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from analysis.drills.base import Report, Size
from analysis.drills.table import DRILLS
from analysis.provenance import provenance

SHOWN = ("answers", "idle PSS, MB", "reasons", "failed on its open connections", "seed", "refusals")


def table_of(reports: list[Report]) -> Table:
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


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(DRILLS)} (default: all)")] = None,
    requests: Annotated[int, typer.Option(help="Requests for each drill")] = 50_000,
    rate: Annotated[float, typer.Option(help="Requests a second")] = 1000,
    changes: Annotated[int, typer.Option(help="/add and /rm calls of the churn")] = 100,
    json_path: Annotated[Path | None, typer.Option("--json", help="Keep the figures here")] = None,
) -> None:
    """Run the fault drills and print what they showed."""
    reports: list[Report] = []
    for name in names or list(DRILLS):
        if name not in DRILLS:
            raise typer.BadParameter(f"no drill {name!r}: {', '.join(DRILLS)}")
        print(f"{name} …", file=sys.stderr, flush=True)
        reports.append(DRILLS[name](Size(requests, rate, changes)))
        Console(width=180).print(table_of(reports[-1:]))
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        kept = {**provenance(), "rate": rate, "drills": [asdict(report) for report in reports]}
        json_path.write_text(json.dumps(kept, indent=1) + "\n")
    if any(value for report in reports for value in report.zeros.values()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
