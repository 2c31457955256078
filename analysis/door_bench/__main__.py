"""The front doors side by side: nginx, HAProxy and Carousel before the same three static backends.

    python -m analysis.door_bench [--rounds 5] [--seconds 5] [--only get-32,memory] [--two-workers] [--json PATH]

wrk and the backends share one core, the front under test has the other one to itself, with all its processes: control
and the supervisor are Carousel's cost too. One worker each. The fronts take turns, in rounds. Where the load's core is
full the front waits for it, so CPU per request is what tells fronts apart then, not requests/s.
It exits with 1 if any request failed, with 2 if a program or a second core is missing.
"""

import json
import shlex
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from analysis.door_bench.measures import all_ratios
from analysis.door_bench.memory import Memory, memories
from analysis.door_bench.peers import FRONTS, PACKAGES, backends, carousel, lacking, versions
from analysis.door_bench.pinning import cores
from analysis.door_bench.plot import draw
from analysis.door_bench.rounds import Ground, Measurement, rounds
from analysis.door_bench.scenarios import DEFAULT, SCENARIOS, TWO_WORKERS, Scenario
from analysis.door_bench.show import fronts_table, memory_table, noise, ratios_table
from analysis.provenance import provenance

MEMORY = "memory"


def main(
    only: Annotated[str, typer.Option(help=f"Of {', '.join(SCENARIOS)}, {MEMORY}")] = ",".join((*DEFAULT, MEMORY)),
    fronts: Annotated[str, typer.Option(help="Which ones")] = ",".join(FRONTS),
    count: Annotated[int, typer.Option("--rounds", min=1)] = 5,
    seconds: Annotated[float, typer.Option(min=1, help="Of each measurement, after its warm-up")] = 5,
    patience: Annotated[int, typer.Option(min=0, help="How often one is repeated while others use the machine")] = 2,
    flags: Annotated[str, typer.Option(help="Further flags of Carousel, as one word")] = "",
    two_workers: Annotated[bool, typer.Option("--two-workers", help="Also with two workers each: no goal")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="One short round, to see that it works")] = False,
    json_path: Annotated[Path | None, typer.Option("--json", help="Keep the figures here, and a picture")] = None,
) -> None:
    """Measure, and print what came out."""
    if lack := lacking(*PACKAGES):
        print(lack, file=sys.stderr)
        raise typer.Exit(2)
    if quick:
        count, seconds, patience = 1, 1, 0
    names = _chosen(fronts, FRONTS)
    wanted = _chosen(only, (*SCENARIOS, MEMORY)) + (list(TWO_WORKERS) if two_workers else [])
    scenarios = [SCENARIOS[name] for name in wanted if name != MEMORY]
    started = {**FRONTS, "carousel": partial(carousel, flags=shlex.split(flags))}
    at = cores()
    with backends(at.load) as running:
        ground = Ground(running, at, seconds, patience, started)
        made = _measure(ground, scenarios, names, count)
        held = list(memories(ground, names)) if MEMORY in wanted else []
    _show(made, held)
    if json_path is not None:
        keep(json_path, made, held, count, seconds)
    if any(one.failed for one in made):
        raise typer.Exit(1)


def _chosen(text: str, known: Collection[str]) -> list[str]:
    for name in text.split(","):
        if name not in known:
            raise typer.BadParameter(f"no {name!r}: {', '.join(known)}")
    return text.split(",")


def _measure(ground: Ground, scenarios: Sequence[Scenario], names: Sequence[str], count: int) -> list[Measurement]:
    made: list[Measurement] = []
    for one in rounds(ground, scenarios, names, count):
        made.append(one)
        print(
            f"round {one.round + 1} {one.scenario} {one.front}: {one.rate:,.0f}/s, p99 {one.p99_ms:.2f} ms, "
            f"CPU {one.cpu_us:.1f} µs, foreign {one.foreign:.0%}",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    return made


def _show(made: Sequence[Measurement], held: Sequence[Memory]) -> None:
    console = Console(width=200)
    if made:
        console.print(fronts_table(made))
        console.print(noise(made), markup=False)
    against = all_ratios(made)
    if against:
        console.print(ratios_table(against))
    if held:
        console.print(memory_table(held))


def keep(path: Path, made: Sequence[Measurement], held: Sequence[Memory], count: int, seconds: float) -> None:
    """The figures as JSON, and their picture beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {
        **provenance(),
        "versions": versions(),
        "rounds": count,
        "seconds": seconds,
        "measurements": [asdict(one) for one in made],
        "ratios": [asdict(ratio) for ratio in all_ratios(made)],
        "memory": [asdict(one) for one in held],
    }
    path.write_text(json.dumps(figures, indent=1) + "\n")
    if figures["ratios"]:
        draw(figures, path.with_suffix(".png"))


if __name__ == "__main__":
    typer.run(main)
