"""The queue beside Apache Kafka, Redis Streams, NATS JetStream and RabbitMQ, on one machine, one after another.

    python -m analysis.queue_bench [--only 100b,1k-12] [--engines carousel,kafka] [--rounds 5] [--scale 0.1]
                                   [--parent DIR] [--json PATH]

One server each, all up at the same time and asked in turns, each by the Python client that its users would take; data
on the same file system, durability set alike. An engine that is not installed is left out, and the reason is told.
Rates and CPU mean something only on a machine that has nothing else to do. A load that fails is told, in the JSON too,
and the others go on; it exits with 1 then. What there is so far is in PATH's neighbour .part.json.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from analysis.kafka_peer import lacking as kafka_lacking
from analysis.provenance import provenance
from analysis.queue_bench import peers
from analysis.queue_bench.engines import Engine, carousel, has_http, kafka, sync_us
from analysis.queue_bench.measures import START, all_ratios, outcomes
from analysis.queue_bench.plot import draw
from analysis.queue_bench.rounds import Failure, Measurement, rounds, told_to
from analysis.queue_bench.scenarios import ENGINES, SCENARIOS, Scenario
from analysis.queue_bench.show import engines_table, failures_table, goals_table, number, ratios_table
from analysis.queue_bench.syncs import can_trace

TEMPORARY = Path(tempfile.gettempdir())
HTTP, TOOLS = "http", "tools"
STARTS = 2
"""Attempts, as an engine that is not up is not measured at all."""


def main(
    only: Annotated[str, typer.Option(help="Which scenarios")] = ",".join(SCENARIOS),
    engines: Annotated[str, typer.Option(help="Which engines")] = ",".join(ENGINES),
    count: Annotated[int, typer.Option("--rounds", min=1)] = 5,
    scale: Annotated[float, typer.Option(min=0.0001, max=1.0, help="Of each scenario's messages")] = 1.0,
    parent: Annotated[Path, typer.Option(help="Where data directories are made")] = TEMPORARY,
    json_path: Annotated[Path | None, typer.Option("--json", help="Keep the figures here, and a picture")] = None,
) -> None:
    """Measure, and print what came out."""
    bench = Bench(chosen(engines, ENGINES), count, scale, parent, json_path)
    scenarios = [SCENARIOS[name] for name in chosen(only, tuple(SCENARIOS))]
    for synced in (False, True):
        bench.measure([one for one in scenarios if one.synced is synced], synced)
    bench.start_more()
    show(bench)
    if json_path is not None:
        bench.save()
        bench.part(json_path).replace(json_path)
        if (figures := bench.figures())["ratios"]:
            draw(figures, json_path.with_suffix(".png"))
    if bench.failed:
        raise typer.Exit(1)


def chosen(text: str, known: Sequence[str]) -> list[str]:
    """In the order that is known. Raises typer.BadParameter."""
    names = text.split(",")
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"no {name!r}: {', '.join(known)}")
    return [name for name in known if name in names]


class Bench:
    """What was measured so far; `skipped`: what can't be measured here, in words; `failed`: what went wrong."""

    def __init__(self, names: Sequence[str], count: int, scale: float, parent: Path, kept: Path | None) -> None:
        self._names = names
        self._count = count
        self._scale = scale
        self._parent = parent
        self._kept = kept
        self._where = provenance()  # now: what is kept later makes the tree a changed one
        self._versions = {
            name: peers.version(name) for name in names if name in peers.PREPARED and not peers.lacking(name, False)
        }
        self.fdatasync_us = sync_us(parent)
        self.made: list[Measurement] = []
        self.skipped: list[str] = []
        self.failed: list[Failure] = []

    def measure(self, scenarios: Sequence[Scenario], synced: bool) -> None:
        """All that are `synced` alike, on engines that stay up."""
        if not scenarios:
            return
        with ExitStack() as stack:
            up = list(self._started(stack, synced))
            for scenario in scenarios:
                with told_to(self._fail, Failure(scenario.name, "all", 0, ",".join(self._names))):
                    able = self._able(scenario, up)
                    for one in rounds(scenario, able, self._count, self._scale, self._fail) if able else ():
                        self._keep(one)

    def start_more(self) -> None:
        """Until each engine was started once for each round."""
        for number_ in range(self._count):
            for name in self._names:
                starts = sum(one.scenario == START and one.engine == name for one in self.made)
                if starts <= number_ and not self._lack(name, False):
                    with told_to(self._fail, Failure(START, START, number_, name)), ExitStack() as stack:
                        self._start(stack, name, False)

    @staticmethod
    def part(kept: Path) -> Path:
        return kept.with_suffix(".part.json")

    def save(self) -> None:
        """What there is, beside the figures of the last whole run: one that was broken off does not replace those."""
        if self._kept is not None:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            self.part(self._kept).write_text(json.dumps(self.figures(), indent=1) + "\n")

    def figures(self) -> dict[str, Any]:
        ratios = all_ratios(self.made)
        return {
            **self._where,
            "versions": self._versions,
            "rounds": self._count,
            "scale": self._scale,
            "fdatasync_us": self.fdatasync_us,
            "skipped": self.skipped,
            "failed": [asdict(one) for one in self.failed],
            "measurements": [asdict(one) for one in self.made],
            "ratios": [asdict(ratio) for ratio in ratios],
        }

    def _started(self, stack: ExitStack, synced: bool) -> Iterator[Engine]:
        """Each that can be, one after another."""
        for name in self._names:
            if lack := self._lack(name, synced):
                self._skip(f"{name}{', synced' if synced else ''}: {lack}")
                continue
            for _ in range(STARTS):
                with told_to(self._fail, Failure(START, START, 0, name)):
                    yield self._start(stack, name, synced)
                    break

    def _start(self, stack: ExitStack, name: str, synced: bool) -> Engine:
        """The time counts as a round's; an engine of the synced kind starts as the other one does."""
        own = {"carousel": carousel, "kafka": kafka}
        begun = own[name](synced, self._parent) if name in own else peers.peer(name, synced, self._parent)
        engine = stack.enter_context(begun)
        past = sum(one.scenario == START and one.engine == name for one in self.made)
        self._keep(Measurement(START, START, past, name, {"start_s": engine.started_s}))
        return engine

    def _lack(self, name: str, synced: bool) -> str:
        if name in peers.PREPARED:
            return peers.lacking(name, synced)
        return kafka_lacking() if name == "kafka" else ""

    def _able(self, scenario: Scenario, up: Sequence[Engine]) -> list[Engine]:
        able = [one for one in up if any(one.name in load.engines for load in scenario.loads)]
        if scenario.name == HTTP and able and not has_http(able[0]):
            self._skip("http: POST /producer/register is 404, the interface is not there")
            return []
        if scenario.name == TOOLS and (lack := kafka_lacking()):
            self._skip(f"tools: {lack}")
            return []
        return able

    def _skip(self, reason: str) -> None:
        self.skipped.append(reason)
        print(f"left out: {reason}", file=sys.stderr, flush=True)

    def _fail(self, one: Failure) -> None:
        self.failed.append(one)
        print(f"FAILED: {one}", file=sys.stderr, flush=True)
        self.save()

    def _keep(self, one: Measurement) -> None:
        self.made.append(one)
        values = ", ".join(f"{name} {number(name, value)}" for name, value in one.values.items())
        print(f"round {one.round + 1} {one.scenario} {one.load} {one.engine}: {values}", file=sys.stderr, flush=True)
        self.save()


def show(bench: Bench) -> None:
    """The tables, and what they leave open."""
    console = Console(width=230)
    ratios = all_ratios(bench.made)
    console.print(engines_table(bench.made))
    if ratios:
        console.print(ratios_table(ratios))
    if found := outcomes(bench.made, ratios):
        console.print(goals_table(found))
    counts = "perf's of the servers' calls, the device's of flushes" if can_trace() else "the device's own only"
    console.print(f"fdatasync of 4 KiB: {bench.fdatasync_us:.0f} µs; counts of syncs: {counts}", markup=False)
    for reason in bench.skipped:
        console.print(f"left out: {reason}", markup=False)
    if bench.failed:
        console.print(failures_table(bench.failed))


if __name__ == "__main__":
    typer.run(main)
