"""The rounds: the engines take turns, in each round another begins; all stay up, idle while another is asked.

An engine is warmed up once by a tenth of a scenario before the first of several rounds (a single one only shows that
all works). A topic for each time, so that none finds
what another left, and it is gone afterwards. What was written for one engine is on disk before the next one is asked.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from analysis.door_bench.accounting import cpu_times, pss_of, spent
from analysis.door_bench.rounds import turned
from analysis.queue_bench.asked import READY, Ask, Told, told_from
from analysis.queue_bench.engines import Engine
from analysis.queue_bench.lag import Lag
from analysis.queue_bench.plans import HTTP, asks, combined
from analysis.queue_bench.scenarios import Load, Scenario
from analysis.queue_bench.syncs import Syncs, counted

LOAD_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One engine under one load in one round; `values` by the names in measures.METRICS, of which some loads have no
    more than a few."""

    scenario: str
    load: str
    round: int
    engine: str
    values: Mapping[str, float] = field(default_factory=dict[str, float])


def rounds(
    scenario: Scenario, engines: Sequence[Engine], count: int, scale: float, failed: Callable[[str], None]
) -> Iterator[Measurement]:
    """One measurement after another, as they are made, each of `scale` of the scenario's messages. A load that fails is
    told to `failed`, with the client's words, and has no measurement."""
    named = {engine.name: engine for engine in engines}
    for engine in engines if count > 1 else ():
        list(_all_loads(scenario, engine, -1, scale / 10, failed))
    for number in range(count):
        for name in turned(list(named), number):
            yield from _all_loads(scenario, named[name], number, scale, failed)


def _all_loads(
    scenario: Scenario, engine: Engine, number: int, scale: float, failed: Callable[[str], None]
) -> Iterator[Measurement]:
    made: set[str] = set()
    for load in [one for one in scenario.loads if engine.name in one.engines]:
        topic = f"{scenario.name}-{number + 1}-{load.topic or load.kind}"
        what = f"{engine.name}, {scenario.name}, {load.kind}, round {number + 1}"
        with _told_to(failed, what):
            if topic not in made:
                engine.create_topic(topic, scenario.partitions)
                made.add(topic)
            yield _measure(scenario, load, engine, number, topic, load.count_for(engine.name, scale))
    for topic in made:
        with _told_to(failed, f"{engine.name}, {topic}, deletion"):
            engine.delete_topic(topic, scenario.partitions)


@contextlib.contextmanager
def _told_to(failed: Callable[[str], None], what: str) -> Generator[None]:
    """Five client libraries raise what they like, and an hour's measurements are not lost for one of them."""
    try:
        yield
    except Exception as error:
        failed(f"{what}: {error!r}" if not isinstance(error, RuntimeError) else f"{what}: {error}")


def _measure(scenario: Scenario, load: Load, engine: Engine, number: int, topic: str, count: int) -> Measurement:
    servers, everything = engine.servers(), engine.everything()
    os.sync()
    with contextlib.ExitStack() as stack:
        clients = stack.enter_context(ready(asks(scenario, load, engine.where, topic, count)))
        syncs = stack.enter_context(counted(servers, engine.directory))
        lag = stack.enter_context(Lag(engine.system)) if load.kind.startswith(HTTP) else None
        before = cpu_times(everything)
        told = told_by(clients)
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
            "system_pss_bytes": pss_of(everything),
            **_disk(syncs, count),
            **({"lag_ms": lag.worst_s * 1e3} if lag is not None else {}),
        },
    )  # fmt: skip


def _disk(syncs: Syncs, count: int) -> dict[str, float]:
    """For a thousand messages."""
    counts = {"syncs": syncs.calls, "flushes": syncs.flushes}
    return {name: value / count * 1e3 for name, value in counts.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Client:
    """A client's process, and what it was asked. Its complaints go to a file: a hundred librdkafkas fill a pipe that
    nobody reads yet, and then wait for that."""

    ask: Ask
    process: "subprocess.Popen[str]"
    said: IO[bytes]

    def failed(self, why: str = "") -> RuntimeError:
        self.said.seek(0)
        words = why or self.said.read().decode(errors="replace")[-2000:]
        return RuntimeError(f"{self.ask.kind} at {self.ask.address}: {words}")


@contextlib.contextmanager
def ready(asked: Sequence[Ask]) -> Generator[list[Client]]:
    """A process for each, all ready to begin; they are gone afterwards. Raises RuntimeError with a client's words."""
    clients: list[Client] = []
    try:
        for ask in asked:
            command = [sys.executable, "-m", "analysis.queue_bench.loads", ask.json()]
            said, pipe = tempfile.TemporaryFile(), subprocess.PIPE  # noqa: SIM115 (closed with its process)
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=said, text=True)
            clients.append(Client(ask, process, said))
        for client in clients:
            _await_ready(client)
        yield clients
    finally:
        for client in clients:
            client.process.kill()
        for client in clients:
            client.process.communicate()
            client.said.close()


def _await_ready(client: Client) -> None:
    """Nothing comes after that line before the client is told to begin, so no word of it is left in the buffer."""
    assert client.process.stdout is not None
    if client.process.stdout.readline().strip() != READY:
        client.process.kill()
        client.process.wait()
        raise client.failed()


def told_by(clients: Sequence[Client]) -> list[Told]:
    """Let all begin, and wait for what they say. Raises RuntimeError."""
    for client in clients:
        assert client.process.stdin is not None
        try:
            client.process.stdin.write("\n")
            client.process.stdin.flush()
        except BrokenPipeError as error:
            raise client.failed() from error
    deadline = time.monotonic() + LOAD_S
    return [_ended(client, deadline) for client in clients]


def _ended(client: Client, deadline: float) -> Told:
    try:
        output, _ = client.process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise client.failed(f"not within {LOAD_S} s") from error
    if client.process.returncode:
        raise client.failed()
    return told_from(output)
