"""The queue's drills: servers killed, added, removed, crowded and stalled, under clients that write down everything.

    python -m analysis.queue_drills [kill|churn|crowd|idle|stalled …] [--times 200] [--seed N] [--engine carousel]
                                    [--json PATH]

The seed is printed; given again, the same messages are made and the same harm is done. It exits with 1 if a rule was
broken (analysis/queue_drills/judge.py has them) or a limit not met, with 2 if Java or Maven is missing for Kafka.
"""

import random
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from analysis.kafka_peer import lacking
from analysis.queue_drills.churn import churn
from analysis.queue_drills.crowd import crowd
from analysis.queue_drills.drill import Drill, Size
from analysis.queue_drills.engines import ENGINES
from analysis.queue_drills.idle import idle
from analysis.queue_drills.kill import kill
from analysis.queue_drills.report import Report, keep, table_of
from analysis.queue_drills.stalled import stalled

DRILLS: Final[dict[str, Drill]] = {"kill": kill, "churn": churn, "crowd": crowd, "idle": idle, "stalled": stalled}
TEMPORARY: Final = Path(tempfile.gettempdir())


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(DRILLS)} (default: all)")] = None,
    engine: Annotated[str, typer.Option(help=f"Which engine: {', '.join(ENGINES)}")] = "carousel",
    times: Annotated[int, typer.Option(min=1, help="Kills")] = 200,
    changes: Annotated[int, typer.Option(min=1, help="/add and /rm of the churn")] = 20,
    rate: Annotated[float, typer.Option(min=1, help="Messages a second")] = 1000,
    crowded: Annotated[int, typer.Option("--crowd", min=1, help="Partitions, and connections, of the crowd")] = 2000,
    sends: Annotated[int, typer.Option(min=1, help="Synchronous ones, for a percentile")] = 2000,
    seed: Annotated[int | None, typer.Option(min=0, help="Of messages and harm (default: a new one)")] = None,
    parent: Annotated[Path, typer.Option(help="Where data directories are made")] = TEMPORARY,
    json_path: Annotated[Path | None, typer.Option("--json", help="Keep the figures here")] = None,
) -> None:
    """Run the drills and print what they showed."""
    chosen = random.randrange(1 << 32) if seed is None else seed
    print(f"seed {chosen}", file=sys.stderr, flush=True)
    if engine not in ENGINES:
        raise typer.BadParameter(f"no engine {engine!r}: {', '.join(ENGINES)}")
    if engine == "kafka" and (lack := lacking()):
        print(lack, file=sys.stderr)
        raise typer.Exit(2)
    wanted = names or [name for name in DRILLS if engine != "kafka" or name != "churn"]
    size = Size(chosen, parent, times, changes, rate, crowded, sends=sends)
    reports = run(wanted, engine, size, json_path)
    if not all(report.clean for report in reports):
        raise typer.Exit(1)


def run(names: list[str], engine: str, size: Size, kept_at: Path | None) -> list[Report]:
    """One after another. Raises BadParameter for an unknown name, before anything runs."""
    for name in names:
        if name not in DRILLS:
            raise typer.BadParameter(f"no drill {name!r}: {', '.join(DRILLS)}")
    reports: list[Report] = []
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        reports.append(DRILLS[name](ENGINES[engine], engine, size))
        Console(width=200).print(table_of(reports[-1:]))
        if kept_at is not None:  # each time, so that a drill that breaks does not take the others' figures along
            keep(reports, kept_at)
    return reports


if __name__ == "__main__":
    typer.run(main)
