"""Where the microseconds of one small keyed GET go: a table that anybody can make again, without root.

    python -m analysis.door_profile [--requests 100000] [--no-live] [--outside] [--json PATH]

Measured are the steps that are functions, each alone (stages.py); the whole Python path between fake transports
(path.py) and, by sampling, the functions in it (sampled.py); running fronts, ours and one that does nothing but copy
(bare.py), by their own CPU accounting (live.py). --outside adds what strace and perf say, where they may (kernel.py).
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from analysis.door_bench.peers import lacking
from analysis.door_profile import kernel
from analysis.door_profile.bare import Bare, Near
from analysis.door_profile.live import Cost, live
from analysis.door_profile.path import door, measure
from analysis.door_profile.sampled import sampled, shares
from analysis.door_profile.show import show
from analysis.door_profile.stages import ANSWER, RARE, REQUEST, noted, timed
from analysis.door_profile.table import Profile, live_rows, python_rows
from analysis.provenance import provenance

SAMPLED = 4
"""So many times the requests are sampled: kernels round the timer's thousandth of a second up to their ticks."""


def main(
    requests: Annotated[int, typer.Option(min=1, help="Through the path in memory")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Of the running fronts")] = 5,
    seconds: Annotated[float, typer.Option(min=1, help="Of each")] = 3,
    with_live: Annotated[bool, typer.Option("--live/--no-live", help="Running fronts too: needs nginx and wrk")] = True,
    outside: Annotated[bool, typer.Option("--outside", help="What strace and perf say")] = False,
    json_path: Annotated[Path | None, typer.Option("--json", help="Keep the figures here")] = None,
) -> None:
    """Measure, and print the table."""
    if with_live and (lack := lacking("nginx", "wrk")):
        print(f"{lack}; or --no-live", file=sys.stderr)
        raise typer.Exit(2)
    profile = profiled(requests, live(rounds, seconds) if with_live else {})
    if outside:
        profile.outside = {"system calls": kernel.system_calls(), "shared objects": kernel.shared_objects()}
    show(profile, Console(width=120))
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        figures = {**provenance(), **asdict(profile)}
        json_path.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")


def profiled(requests: int, costs: dict[str, Cost]) -> Profile:
    """All that is measured in this process, and what running fronts cost (empty: not measured)."""
    path = measure(door, requests)
    steps = noted()
    rows = python_rows(path, timed(steps, REQUEST), timed(steps, ANSWER))
    if costs:
        rows += live_rows(path, measure(bare, requests), costs["carousel"], costs["bare"])
    functions = shares(sampled(lambda: measure(door, SAMPLED * requests)), path.both_us)
    return Profile(rows, functions, timed(steps, RARE), costs)


def bare() -> Callable[[], Near]:
    """The bare proxy as a rig of path.py."""
    shared = Bare([1, 2, 3])
    return lambda: Near(shared)


if __name__ == "__main__":
    typer.run(main)
