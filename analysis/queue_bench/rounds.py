"""The rounds: the engines take turns, in each round another begins; all stay up, idle while another is asked.

An engine is warmed up once by a tenth of a scenario before the first round. A topic for each time, so that none finds
what another left.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analysis.door_bench.accounting import cpu_times, pss_of, spent
from analysis.door_bench.rounds import turned
from analysis.queue_bench.engines import Engine
from analysis.queue_bench.scenarios import Scenario

LOAD_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One engine under one load in one round. CPU is in seconds for a million messages; `server_cpu` that of the
    processes that hold the queue, `system_cpu` of all that were started for it, `client_cpu` the client's. `p50_us`,
    `p99_us`: of `sync` alone."""

    scenario: str
    load: str
    round: int
    engine: str
    rate: float
    p50_us: float
    p99_us: float
    server_cpu: float
    system_cpu: float
    client_cpu: float
    pss_bytes: int


def rounds(scenario: Scenario, engines: Sequence[Engine], count: int, part: float = 1.0) -> Iterator[Measurement]:
    """One measurement after another, as they are made, each of `part` of the scenario's messages. Raises RuntimeError
    with the client's words if a load fails."""
    named = {engine.name: engine for engine in engines}
    for engine in engines:
        _all_loads(scenario, engine, -1, part / 10)
    for number in range(count):
        for name in turned(list(named), number):
            yield from _all_loads(scenario, named[name], number, part)


def _all_loads(scenario: Scenario, engine: Engine, number: int, part: float) -> list[Measurement]:
    topic = f"{scenario.name}-{number + 1}"
    engine.create_topic(topic, scenario.partitions)
    amounts = {"produce": scenario.count, "consume": scenario.count, "sync": scenario.sends}
    return [
        _measure(scenario, engine, number, load, topic, max(1, int(amount * part)))
        for load, amount in amounts.items()
        if amount
    ]


def _measure(scenario: Scenario, engine: Engine, number: int, load: str, topic: str, count: int) -> Measurement:
    servers, everything = engine.servers(), engine.everything()
    before = cpu_times(everything)
    told = ask(load, engine.bootstrap, topic, count, scenario.size)
    after = cpu_times(everything)
    if engine.servers() != servers:
        raise RuntimeError(f"{engine.name}: a server was started anew while it was measured")
    of_servers = {pid: time for pid, time in after.items() if pid in servers}
    millions = count / 1e6
    return Measurement(
        scenario.name, load, number, engine.name,
        rate=count / told["seconds"],
        p50_us=told["p50_us"],
        p99_us=told["p99_us"],
        server_cpu=spent(before, of_servers).run_s / millions,
        system_cpu=spent(before, after).run_s / millions,
        client_cpu=told["cpu_s"] / millions,
        pss_bytes=pss_of(servers),
    )  # fmt: skip


def ask(load: str, bootstrap: str, topic: str, count: int, size: int) -> dict[str, Any]:
    """What the client said, run to its end. Raises RuntimeError."""
    command = [
        sys.executable, "-m", "analysis.queue_bench.loads", load, "--bootstrap", bootstrap, "--topic", topic,
        "--count", str(count), "--size", str(size),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{load} at {bootstrap}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)
