"""Redis Streams, NATS JetStream and RabbitMQ from Debian's packages, each a child of the bench on a port of its own.

What each does before an ack:

| | not synced | synced |
|---|---|---|
| Redis | `appendonly`, `appendfsync no`: written to the append-only file | `appendfsync always`: fdatasync, one for all commands of a turn of its loop |
| JetStream | written to the stream's file | `sync_interval: always`, from version 2.10; Debian 12's 2.9 has no such thing and is left out |
| RabbitMQ | a classic queue of version 2: written, no sync | a quorum queue: its Raft log is synced, one for all that came meanwhile |
"""  # noqa: E501

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from analysis.door_bench.accounting import tree
from analysis.door_bench.peers import program_path
from analysis.ports import free_ports
from analysis.queue_bench.engines import Engine, until_first_ack
from analysis.queue_bench.plans import Where

END_S: Final = 20.0
PROGRAMS: Final[Mapping[str, str]] = {
    "redis": "redis-server",
    "jetstream": "nats-server",
    "rabbitmq": "rabbitmq-server",
}
"""By engine: programs and their Debian packages, which are called the same."""
MODULES: Final[Mapping[str, str]] = {"redis": "redis", "jetstream": "nats", "rabbitmq": "aio_pika"}
RABBIT: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The server itself; what is in PATH is Debian's wrapper, which changes to a user of its own."""


@dataclass(frozen=True, slots=True)
class Program:
    """How to start a server: its command, what is added to our environment, what must run beside it, and what the
    kernel calls the process that is the server, where that is a child of the command's (it has others, for moments)."""

    command: Sequence[str]
    environment: Mapping[str, str]
    beside: Sequence[str] = ()
    server: str = ""


Prepare = Callable[[Path, int, bool], Program]
"""(its directory, its port, synced) -> the program, with its configuration written."""


def lacking(engine: str, synced: bool) -> str:
    """Why this engine can't be measured here, in one line; "" if it can."""
    if program_path(PROGRAMS[engine]) is None:
        return f"no {PROGRAMS[engine]}: on Debian, apt-get install --no-install-recommends {PROGRAMS[engine]}"
    if importlib.util.find_spec(MODULES[engine]) is None:
        return f"no Python module {MODULES[engine]}: make setup-dev"
    if engine == "jetstream" and synced and (refusal := _refuses_sync()):
        return f"{version(engine)} can't sync before each ack: {refusal}"
    return ""


def version(engine: str) -> str:
    """As its package calls itself, or its program."""
    if engine == "rabbitmq":
        done = subprocess.run(["dpkg-query", "-W", PROGRAMS[engine]], capture_output=True, text=True, check=False)
        return " ".join(done.stdout.split()) or "rabbitmq-server"
    done = subprocess.run([_program(engine), "--version"], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split()[:3])


def _program(engine: str) -> str:
    return program_path(PROGRAMS[engine]) or PROGRAMS[engine]


@cache
def _refuses_sync() -> str:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        command = prepare_jetstream(Path(directory), -1, True).command
        done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip().rpartition(": ")[2]


# How each is set up


def prepare_redis(directory: Path, port: int, synced: bool) -> Program:
    """Without snapshots and rewrites of its file, which would fall into one measurement and not into another."""
    settings = {
        "bind": "127.0.0.1", "port": port, "dir": directory, "daemonize": "no", "save": '""', "appendonly": "yes",
        "appendfsync": "always" if synced else "no", "auto-aof-rewrite-percentage": 0, "loglevel": "warning",
    }  # fmt: skip
    return Program([_program("redis"), _written(directory / "redis.conf", settings, " ")], {})


def prepare_jetstream(directory: Path, port: int, synced: bool) -> Program:
    sync = "\n  sync_interval: always" if synced else ""
    path = directory / "nats.conf"
    path.write_text(f'host: 127.0.0.1\nport: {port}\njetstream {{\n  store_dir: "{directory}"{sync}\n}}\n')
    return Program([_program("jetstream"), "-c", str(path)], {})


def prepare_rabbitmq(directory: Path, port: int, synced: bool) -> Program:
    """Erlang's schedulers don't spin while they wait (+sbwt none, as RabbitMQ's guide says of shared cores), and its
    daemon of names is one of our own, which ends with us."""
    del synced  # a property of the queue
    names, distribution = free_ports(2)
    settings = {"listeners.tcp.1": f"127.0.0.1:{port}", "log.file.level": "warning"}
    environment = {
        "HOME": directory, "ERL_EPMD_PORT": names, "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"bench{port}@localhost", "RABBITMQ_DIST_PORT": distribution,
        "RABBITMQ_MNESIA_BASE": directory / "data", "RABBITMQ_LOG_BASE": directory / "logs",
        "RABBITMQ_CONFIG_FILE": _written(directory / "rabbitmq.conf", settings, " = "),
        "RABBITMQ_CONF_ENV_FILE": _written(directory / "rabbitmq-env.conf", {}, "="),
        "RABBITMQ_ENABLED_PLUGINS_FILE": _plugins(directory / "enabled_plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none -start_epmd false",
    }  # fmt: skip
    return Program(
        [str(RABBIT)],
        {name: str(value) for name, value in environment.items()},
        ("epmd", "-port", str(names), "-address", "127.0.0.1"),
        "beam.smp",
    )


def _plugins(path: Path) -> Path:
    path.write_text("[].\n")
    return path


def _written(path: Path, settings: Mapping[str, object], between: str) -> str:
    path.write_text("".join(f"{name}{between}{value}\n" for name, value in settings.items()))
    return str(path)


PREPARED: Final[Mapping[str, Prepare]] = {
    "redis": prepare_redis,
    "jetstream": prepare_jetstream,
    "rabbitmq": prepare_rabbitmq,
}


# How they run


@contextlib.contextmanager
def peer(name: str, synced: bool, parent: Path) -> Generator[Engine]:
    """One of PREPARED. Raises RuntimeError with its log's end if it does not take a message in time."""
    directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    try:
        port = free_ports(1)[0]
        program = PREPARED[name](directory, port, synced)
        begun = time.monotonic()
        with contextlib.ExitStack() as stack:
            commands = [command for command in (program.beside, program.command) if command]
            pids = [stack.enter_context(_running(command, program.environment, directory)) for command in commands]
            where = Where(name, f"127.0.0.1:{port}")
            try:
                until_first_ack(where, synced)
            except TimeoutError as error:
                raise RuntimeError(f"{name}: {error}\n{(directory / 'said').read_text()[-4000:]}") from error
            yield Engine(
                name, where, synced, time.monotonic() - begun, directory, lambda: _servers(pids[-1], program.server),
                lambda: [pid for root in pids for pid in tree(root)],
            )  # fmt: skip
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _servers(root: int, called: str) -> list[int]:
    """The first that is called so: what it starts has its name too until it is something else."""
    for pid in tree(root) if called else ():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == called:
                return [pid]
    return [root]


@contextlib.contextmanager
def _running(command: Sequence[str], environment: Mapping[str, str], directory: Path) -> Generator[int]:
    """A child's pid; it and all below it are gone afterwards."""
    with (directory / "said").open("ab") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd=directory,
            env={**os.environ, **environment},
            start_new_session=True,  # for the scheduler a group of its own, as our servers are
        )
    try:
        yield process.pid
    finally:
        below = tree(process.pid)[1:]
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
