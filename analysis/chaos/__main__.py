"""The chaos run: a system under a steady load while its replicas are harmed at random, and a judge.

    python -m analysis.chaos [--seconds 180] [--rate 1000] [--seed N] [--replicas 5] [--workers-too] [--apart 1.2]
                             [--json PATH] [-- FLAGS of `carousel up`]

The seed is printed; given again, the same requests are sent and the same harm is done. It exits with 1 if a rule was
broken (analysis/chaos/judge.py has them) or the fleet was not whole again.
"""

import random
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from analysis.chaos.plan import APART_S
from analysis.chaos.run import Size, chaos
from analysis.chaos.show import keep, table_of


def main(
    flags: Annotated[list[str] | None, typer.Argument(help="Flags of `carousel up`, after --")] = None,
    seconds: Annotated[float, typer.Option(min=10, help="How long the load lasts")] = 180,
    rate: Annotated[float, typer.Option(min=1, help="Requests a second")] = 1000,
    seed: Annotated[int | None, typer.Option(min=0, help="Of requests and harm (default: a new one)")] = None,
    replicas: Annotated[int, typer.Option(min=3, max=16, help="At least 5 for two harmed at once")] = 5,
    workers_too: Annotated[bool, typer.Option(help="Kill data-path workers, too")] = False,
    apart: Annotated[float, typer.Option(min=0.1, help="Seconds between two harms, on average")] = APART_S,
    json_path: Annotated[Path | None, typer.Option("--json", help="Keep the figures here")] = None,
) -> None:
    """Harm a system at random and judge what its clients saw."""
    chosen = random.randrange(1 << 32) if seed is None else seed
    print(f"seed {chosen}", file=sys.stderr, flush=True)
    outcome = chaos(Size(chosen, seconds, rate, replicas, workers_too, apart, tuple(flags or ())))
    Console(width=120).print(table_of(outcome))
    if json_path is not None:
        keep(outcome, json_path)
    if not outcome.clean:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
