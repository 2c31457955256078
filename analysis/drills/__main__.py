"""The fault drills: a running system under a steady load while something is killed, hung or frozen.

    python -m analysis.drills [NAMES…] [--requests 50000] [--rate 1000] [--json PATH]

Each drill starts a system of its own, applies an open-loop load without client retries (analysis/load.py), does its
harm a fifth of the way in, and counts failed requests; times run from the harm to the first 200 of the new name.
It exits with 1 if any zero that the drill promises (failed, leaked, restarted) is not one. Times are reported only.
Those with containers are `python -m analysis.drills.containers`.
"""

from pathlib import Path
from typing import Annotated

import typer

from analysis.drills.base import Size
from analysis.drills.show import run
from analysis.drills.table import DRILLS


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(DRILLS)} (default: all)")] = None,
    requests: Annotated[int, typer.Option(help="Requests for each drill")] = 50_000,
    rate: Annotated[float, typer.Option(help="Requests a second")] = 1000,
    changes: Annotated[int, typer.Option(help="/add and /rm calls of the churn")] = 100,
    json_path: Annotated[Path | None, typer.Option("--json", help="Keep the figures here")] = None,
) -> None:
    """Run the fault drills and print what they showed."""
    run(DRILLS, names or [], Size(requests, rate, changes), json_path)


if __name__ == "__main__":
    typer.run(main)
