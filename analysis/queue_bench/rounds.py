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
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from typing import IO, Final

from analysis.door_bench.accounting import cpu_times, pss_of, spent
from analysis.door_bench.rounds import turned
from analysis.queue_bench.asked import READY, Ask, Told, told_from
from analysis.queue_bench.engines import WORDS, Engine
from analysis.queue_bench.lag import Lag
from analysis.queue_bench.plans import HTTP, asks, combined
from analysis.queue_bench.scenarios import Load, Scenario
from analysis.queue_bench.syncs import Syncs, counted
from analysis.running import alive

LOAD_S: Final = 300.0
READY_S: Final = 120.0
"""Two minutes to make a hundred clients, or to end them."""
GRACE_S: Final = 2.0
"""Between a client's last word and its end."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One engine under one load in one round; `values` by the names in measures.METRICS, of which some loads have no
    more than a few."""

    scenario: str
    load: str
    round: int
    engine: str
    values: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Failure:
    """What has no measurement, and why: in one line, then the words of the client or of the server's log. `load` may be
    what was done to a topic, and a `round` of -1 is the warm-up."""

    scenario: str
    load: str
    round: int
    engine: str
    why: str = ""

    @property
    def reason(self) -> str:
        """In one line."""
        return self.why.partition("\n")[0]

    def __str__(self) -> str:
        when = f"round {self.round + 1}" if self.round >= 0 else "warm-up"
        return f"{self.engine}, {self.scenario}, {self.load}, {when}: {self.why}"


Failed = Callable[[Failure], None]


def rounds(
    scenario: Scenario, engines: Sequence[Engine], count: int, scale: float, failed: Failed
) -> Iterator[Measurement]:
    """One measurement after another, as they are made, each of `scale` of the scenario's messages. A load that fails is
    told to `failed`, and has no measurement."""
    named = {engine.name: engine for engine in engines}
    for engine in engines if count > 1 else ():
        list(_all_loads(scenario, engine, -1, scale / 10, failed))
    for number in range(count):
        for name in turned(list(named), number):
            yield from _all_loads(scenario, named[name], number, scale, failed)


def _all_loads(scenario: Scenario, engine: Engine, number: int, scale: float, failed: Failed) -> Iterator[Measurement]:
    made: set[str] = set()
    for load in [one for one in scenario.loads if engine.name in one.engines]:
        topic = f"{scenario.name}-{number + 1}-{load.topic or load.kind}"
        with told_to(failed, Failure(scenario.name, load.kind, number, engine.name)):
            servers_of(engine)
            if topic not in made:
                engine.create_topic(topic, scenario.partitions)
                made.add(topic)
            yield _measure(scenario, load, engine, number, topic, load.count_for(engine.name, scale))
    for topic in made:
        with told_to(failed, Failure(scenario.name, f"deletion of {topic}", number, engine.name)):
            servers_of(engine)
            engine.delete_topic(topic, scenario.partitions)


@contextlib.contextmanager
def told_to(failed: Failed, what: Failure) -> Generator[None]:
    """Five client libraries raise what they like, and an hour's measurements are not lost for one of them."""
    try:
        yield
    except Exception as error:
        failed(replace(what, why=str(error) if isinstance(error, RuntimeError) else repr(error)))


def servers_of(engine: Engine) -> list[int]:
    """The processes that hold its queue. Raises RuntimeError if one has ended: asking such an engine for a topic takes
    half a minute of each load that is left."""
    servers = engine.servers()
    if not all(map(alive, servers)):
        raise RuntimeError(f"its server has ended\n{engine.words()}")
    return servers


def _measure(scenario: Scenario, load: Load, engine: Engine, number: int, topic: str, count: int) -> Measurement:
    servers, everything = servers_of(engine), engine.everything()
    os.sync()
    with contextlib.ExitStack() as stack:
        clients = stack.enter_context(ready(asks(scenario, load, engine.where, topic, count)))
        syncs = stack.enter_context(counted(servers, engine.directory))
        lag = stack.enter_context(Lag(engine.system)) if load.kind.startswith(HTTP) else None
        before = cpu_times(everything)
        told = told_by(clients)
        after = cpu_times(everything)
    if servers_of(engine) != servers:
        raise RuntimeError(f"a server was started anew while it was measured\n{engine.words()}")
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
        """Why, or how it ended by itself, and the end of its complaints. It is gone afterwards."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0 if why else GRACE_S)
        status = self.process.poll()
        self.process.kill()
        self.process.wait()
        self.said.seek(0)
        words = self.said.read().decode(errors="replace")[-WORDS:].rstrip()
        how = why or ("not what was expected" if status is None else f"ended with {status}")
        last = words.rpartition("\n")[2]
        return RuntimeError(f"{self.ask.kind} at {self.ask.address}: {how}: {last}\n{words}")


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
        for client in _speaking(clients, READY_S):
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
        raise client.failed()


def _speaking(clients: Sequence[Client], timeout_s: float) -> Iterator[Client]:
    """Each as soon as it says something or has ended, so that the first one that fails is heard and not the one that
    waits for it. Raises RuntimeError for one that is silent for too long."""
    deadline = time.monotonic() + timeout_s
    silent = {client.process.stdout.fileno(): client for client in clients if client.process.stdout is not None}
    while silent:
        heard = wait(list(silent), max(0.0, deadline - time.monotonic()))
        if not heard:
            raise next(iter(silent.values())).failed(f"not within {timeout_s:g} s")
        yield from [silent.pop(one) for one in list(silent) if one in heard]


def told_by(clients: Sequence[Client]) -> list[Told]:
    """Let all begin, and wait for what they say. Raises RuntimeError."""
    for client in clients:
        assert client.process.stdin is not None
        try:
            client.process.stdin.write("\n")
            client.process.stdin.flush()
        except BrokenPipeError as error:
            raise client.failed() from error
    return [_ended(client) for client in _speaking(clients, LOAD_S)]


def _ended(client: Client) -> Told:
    """What it says is its last word."""
    try:
        output, _ = client.process.communicate(timeout=READY_S)
    except subprocess.TimeoutExpired as error:
        raise client.failed("it does not end") from error
    if client.process.returncode:
        raise client.failed()
    return told_from(output)
