"""The queue beside Apache Kafka, on one machine, with the client that users of both would take.

    python -m analysis.queue_bench [--only 100b,1k-12] [--rounds 5] [--part 0.1] [--parent DIR] [--json PATH]

One server each, both up at the same time and asked in turns; data on the same file system, durability set alike.
It exits with 2 if Kafka is asked for, and Java or Maven is missing.
"""

import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from analysis.kafka_peer import lacking
from analysis.provenance import provenance
from analysis.queue_bench.engines import ENGINES, sync_us
from analysis.queue_bench.measures import PEER, all_ratios
from analysis.queue_bench.rounds import Measurement, rounds
from analysis.queue_bench.scenarios import SCENARIOS, Scenario
from analysis.queue_bench.show import engines_table, ratios_table

TEMPORARY = Path(tempfile.gettempdir())


def main(
    only: Annotated[str, typer.Option(help="Which scenarios")] = ",".join(SCENARIOS),
    engines: Annotated[str, typer.Option(help="Which engines")] = ",".join(ENGINES),
    count: Annotated[int, typer.Option("--rounds", min=1)] = 5,
    part: Annotated[float, typer.Option(min=0.0001, max=1.0, help="Of each scenario's messages")] = 1.0,
    parent: Annotated[Path, typer.Option(help="Where data directories are made")] = TEMPORARY,
    json_path: Annotated[Path | None, typer.Option("--json", help="Keep the figures here")] = None,
) -> None:
    """Measure, and print what came out."""
    if PEER in engines.split(",") and (lack := lacking()):
        print(lack, file=sys.stderr)
        raise typer.Exit(2)
    made: list[Measurement] = []
    started: dict[str, float] = {}
    for name in only.split(","):
        made += _measure(SCENARIOS[name], engines.split(","), count, part, parent, started)
    console = Console(width=200)
    console.print(engines_table(made))
    if ratios := all_ratios(made):
        console.print(ratios_table(ratios))
    figures = {
        **provenance(),
        "rounds": count,
        "part": part,
        "fdatasync_us": sync_us(parent),
        "started_s": started,
        "measurements": [asdict(one) for one in made],
        "ratios": [asdict(ratio) for ratio in ratios],
    }
    console.print(f"fdatasync of 4 KiB: {figures['fdatasync_us']:.0f} µs; start to first answer, s: {started}")
    if json_path is not None:
        json_path.write_text(json.dumps(figures, indent=1) + "\n")


def _measure(
    scenario: Scenario, names: list[str], count: int, part: float, parent: Path, started: dict[str, float]
) -> list[Measurement]:
    made: list[Measurement] = []
    with ExitStack() as stack:
        up = [stack.enter_context(ENGINES[name](scenario.synced, parent)) for name in names]
        started.update({engine.name: round(engine.started_s, 2) for engine in up})
        for one in rounds(scenario, up, count, part):
            made.append(one)
            print(
                f"round {one.round + 1} {one.scenario} {one.load} {one.engine}: {one.rate:,.0f}/s, "
                f"p50 {one.p50_us:.0f} µs, server CPU {one.server_cpu:.2f} s per million",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    return made


if __name__ == "__main__":
    typer.run(main)
