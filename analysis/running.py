"""A system under test: started as a user would, in a directory of its own on ports of its own, and ended again."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.served import Served
from loadbalancer.cli.remote import RemoteError, tell_supervisor

START_S = 30.0
END_S = 30.0
POLL_S = 0.005


@dataclass(slots=True)
class Running(Served):
    """A running system; `started_s` is the time from its start to the first answered request with all replicas."""

    process: subprocess.Popen[bytes]
    state_dir: Path
    port: int = 0
    second_port: int = 0
    started_s: float = 0.0

    def children(self, role: str | None = None) -> list[dict[str, Any]]:
        """The supervisor's children: name, role (control, worker or replica), pid."""
        found = tell_supervisor(self.state_dir, {"op": "list"})["children"]
        return [child for child in found if role is None or child["role"] == role]

    def pids(self) -> list[int]:
        """Every process of the system, grandchildren too."""
        return [self.process.pid, *descendants(self.process.pid)]

    def end(self) -> int:
        """Ctrl-C, and wait. Returns the exit status; what does not end is killed and reported as -9."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> float:
    """Poll `condition`; returns the seconds that it took. Raises TimeoutError that names `what`."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > timeout_s:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(POLL_S)
    return time.monotonic() - start


@contextlib.contextmanager
def running(*flags: str, replicas: int = 3, state_dir: Path | None = None) -> Generator[Running]:
    """Start `carousel up` with these flags, yield it when all its replicas serve, and end it."""
    directory = state_dir or Path(tempfile.mkdtemp(prefix="carousel-", dir="/tmp"))
    system = start(directory, *flags, replicas=replicas)
    try:
        wait_ready(system, replicas)
        yield system
    finally:
        system.end()
        if state_dir is None:
            shutil.rmtree(directory, ignore_errors=True)


def start(directory: Path, *flags: str, replicas: int = 3) -> Running:
    """Start it and return at once. With its bytecode kept, whatever our own shell says of that: as a user has it."""
    ours = ("CAROUSEL_", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    (directory / "ports.json").unlink(missing_ok=True)
    with (directory / "system.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadbalancer", "up", "--state-dir", str(directory), "--port", "0",
             "--second-port", "0", "--queue-port", "0", "--replicas", str(replicas), *flags],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
        )  # fmt: skip
    return Running(process, directory)


def wait_ready(system: Running, replicas: int) -> None:
    """Until every replica is healthy and one request was answered. Raises RuntimeError with the log's end."""
    begun = time.monotonic()
    try:
        wait_until(lambda: _serves(system, replicas), START_S, "start")
    except TimeoutError as error:
        system.end()
        raise RuntimeError(f"{error}\n{(system.state_dir / 'system.log').read_text()[-4000:]}") from error
    system.started_s = time.monotonic() - begun


def _serves(system: Running, replicas: int) -> bool:
    if system.process.poll() is not None:
        raise TimeoutError(f"the system ended with {system.process.returncode}")
    try:
        ports = json.loads((system.state_dir / "ports.json").read_text())
        system.port, system.second_port = ports["main"], ports["second"]
        states = [replica["state"] for replica in system.cluster()["replicas"]]
        if states.count("healthy") < replicas:
            return False
        return replicas == 0 or system.call("GET", "/home")[0] == 200
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException, RemoteError):
        return False


def descendants(pid: int) -> list[int]:
    """Children, their children and so on, that live now."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def alive(pid: int) -> bool:
    """Whether this process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pss_bytes(pid: int) -> int:
    """Proportional set size: shared pages count by the share that falls to this process."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def open_files(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0
