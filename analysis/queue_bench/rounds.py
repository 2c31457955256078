"""The rounds: the engines take turns, in each round another begins; all stay up, idle while another is asked.

An engine is warmed up once by a tenth of a scenario before the first round. A topic for each time, so that none finds
what another left, and it is gone afterwards. What was written for one engine is on disk before the next one is asked.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from analysis.door_bench.accounting import cpu_times, pss_of, spent
from analysis.door_bench.rounds import turned
from analysis.queue_bench.asked import READY, Ask, Told, told_from
from analysis.queue_bench.engines import Engine
from analysis.queue_bench.lag import Lag
from analysis.queue_bench.plans import HTTP, asks, combined
from analysis.queue_bench.scenarios import Load, Scenario
from analysis.queue_bench.syncs import Syncs, counted

LOAD_S: Final = 300.0
END_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One engine under one load in one round; `values` by the names in measures.METRICS, of which some loads have no
    more than a few."""

    scenario: str
    load: str
    round: int
    engine: str
    values: Mapping[str, float] = field(default_factory=dict[str, float])


def rounds(scenario: Scenario, engines: Sequence[Engine], count: int, scale: float = 1.0) -> Iterator[Measurement]:
    """One measurement after another, as they are made, each of `scale` of the scenario's messages. Raises RuntimeError
    with the client's words if a load fails."""
    named = {engine.name: engine for engine in engines}
    for engine in engines:
        list(_all_loads(scenario, engine, -1, scale / 10))
    for number in range(count):
        for name in turned(list(named), number):
            yield from _all_loads(scenario, named[name], number, scale)


def _all_loads(scenario: Scenario, engine: Engine, number: int, scale: float) -> Iterator[Measurement]:
    made: set[str] = set()
    for load in scenario.loads:
        if engine.name in load.engines:
            topic = f"{scenario.name}-{number + 1}-{load.topic or load.kind}"
            if topic not in made:
                engine.create_topic(topic, scenario.partitions)
                made.add(topic)
            yield _measure(scenario, load, engine, number, topic, load.count_for(engine.name, scale))
    for topic in made:
        engine.delete_topic(topic, scenario.partitions)


def _measure(scenario: Scenario, load: Load, engine: Engine, number: int, topic: str, count: int) -> Measurement:
    asked = asks(scenario, load, engine.where, topic, count)
    os.sync()
    servers, everything = engine.servers(), engine.everything()
    with contextlib.ExitStack() as stack:
        syncs = stack.enter_context(counted(servers, engine.directory))
        lag = stack.enter_context(Lag(engine.system)) if load.kind.startswith(HTTP) else None
        before = cpu_times(everything)
        told = together(asked)
        after = cpu_times(everything)
    if engine.servers() != servers:
        raise RuntimeError(f"{engine.name}: a server was started anew while it was measured")
    of_servers = {pid: spent_by for pid, spent_by in after.items() if pid in servers}
    return Measurement(
        scenario.name, load.kind, number, engine.name,
        {
            **combined(load, count, scenario.size, told),
            "server_cpu": spent(before, of_servers).run_s / count * 1e6,
            "system_cpu": spent(before, after).run_s / count * 1e6,
            "pss_bytes": pss_of(servers),
            **_disk(syncs, count),
            **({"lag_ms": lag.worst_s * 1e3} if lag is not None else {}),
        },
    )  # fmt: skip


def _disk(syncs: Syncs, count: int) -> dict[str, float]:
    """For a thousand messages."""
    counts = {"syncs": syncs.calls, "flushes": syncs.flushes}
    return {name: value / count * 1e3 for name, value in counts.items() if value is not None}


def together(asked: Sequence[Ask]) -> list[Told]:
    """What the clients said, each in a process of its own; none begins before all are ready. Raises RuntimeError."""
    processes: list[subprocess.Popen[str]] = []
    try:
        for ask in asked:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "analysis.queue_bench.loads", ask.json()],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                )
            )  # fmt: skip
        for ask, process in zip(asked, processes, strict=True):
            _await_ready(ask, process)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        deadline = time.monotonic() + LOAD_S
        return [_ended(ask, process, deadline) for ask, process in zip(asked, processes, strict=True)]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


def _await_ready(ask: Ask, process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    if process.stdout.readline().strip() != READY:
        process.kill()
        _, errors = process.communicate()
        raise RuntimeError(f"{ask.kind} at {ask.address}: {errors[-2000:]}")


def _ended(ask: Ask, process: "subprocess.Popen[str]", deadline: float) -> Told:
    try:
        output, errors = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{ask.kind} at {ask.address}: not within {LOAD_S} s") from error
    if process.returncode:
        raise RuntimeError(f"{ask.kind} at {ask.address}: {errors[-2000:]}")
    return told_from(output)
