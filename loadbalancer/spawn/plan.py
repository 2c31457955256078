"""What the supervisor is to run, as one value, and the few words that it says itself."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from loadbalancer.log_lines import console_line


class Log(Protocol):
    """As structlog's loggers are."""

    def info(self, event: str, /, **fields: object) -> object: ...
    def warning(self, event: str, /, **fields: object) -> object: ...
    def error(self, event: str, /, **fields: object) -> object: ...


class PlainLog:
    """The same lines as loadbalancer.logs writes, without structlog: the supervisor stays at 10 MB.

    `log_format` is json, console, or auto: console on a terminal.
    """

    def __init__(self, log_format: str = "json") -> None:
        self._console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())

    def info(self, event: str, /, **fields: object) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        line = _console_line if self._console else _json_line
        say(line(level, event, fields), error=True)


def _json_line(level: str, event: str, fields: Mapping[str, object]) -> str:
    now = time.time()
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1e6):06d}Z"
    line = {"process": "supervisor", **fields, "event": event, "level": level, "timestamp": stamp}
    return json.dumps(line, default=str)


def _console_line(level: str, event: str, fields: Mapping[str, object]) -> str:
    return console_line(time.strftime("%H:%M:%S"), level, "supervisor", event, fields, sys.stderr.isatty())


@dataclass(frozen=True, slots=True)
class SupervisorPlan:
    """Everything that `run_supervisor` needs. Directories are absolute; they are made, with mode 0700.

    `ports` holds those that are wanted, by name ("main", "second", "admin" …); 0 lets the kernel choose. They
    are handed to each worker under these names. `optional_ports` are a further group, all of which are done without
    if one of them can't be had. `env` is added to the environment of control and workers.
    `files` (name: text) are written into the run directory, mode 0600, before anything starts or is reloaded.
    `queue` is where another cluster is the queue, for the ready line.
    `farewell` is run when every process has ended: for what lives elsewhere.
    `refresh` gives the plan for a reload; it may raise, which refuses the reload.
    """

    state_dir: Path
    run_dir: Path
    cluster_id: str
    control_argv: Sequence[str]
    worker_argv: Callable[[int], Sequence[str]]  # by slot, from 0
    ports: Mapping[str, int]
    optional_ports: Mapping[str, int] = field(default_factory=dict[str, int])
    bind: str = "127.0.0.1"
    workers: int = 1
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    drain_timeout_s: float = 30.0
    queue: str = ""
    farewell: Sequence[str] = ()
    refresh: "Callable[[], SupervisorPlan] | None" = None
    log: Log = field(default_factory=PlainLog)

    def write_files(self) -> None:
        """Raises OSError."""
        for name, text in self.files.items():
            write_private(self.run_dir / name, text)

    def heir(self, newer: "SupervisorPlan") -> "SupervisorPlan":
        """`newer`, but with what a reload can't change: that needs other sockets, another lock or fleet."""
        return replace(
            newer,
            state_dir=self.state_dir,
            run_dir=self.run_dir,
            cluster_id=self.cluster_id,
            ports=self.ports,
            optional_ports=self.optional_ports,
            bind=self.bind,
            workers=self.workers,
        )


def write_private(path: Path, text: str) -> None:
    """The file, whole or not at all, for its owner only. Raises OSError."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)  # its mode would stay what it was
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def say(line: str, error: bool = False) -> None:
    """One line for whoever sits at the terminal; a closed one is no reason to stop."""
    stream = sys.stderr if error else sys.stdout
    with contextlib.suppress(OSError, ValueError):
        stream.write(line + "\n")
        stream.flush()
