"""Two looks from outside, where the machine allows them: which system calls a request makes (strace), and in which
shared objects its time is spent (perf). Both slow down what they look at, so they give parts, not times."""

import contextlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from analysis.door_bench.load import wrk
from analysis.door_bench.peers import FRONTS, Backends, backends
from analysis.door_bench.pinning import Cores, cores
from analysis.door_bench.scenarios import SCENARIOS

SCENARIO = SCENARIOS["get-32"]
WATCHED_S = 3.0
ATTACH_S = 0.5
_CALL = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", re.MULTILINE)
_OBJECT = re.compile(r"^\s*([\d.]+)%\s+(\S+)", re.MULTILINE)


def system_calls() -> dict[str, float]:
    """Calls per request of the worker, by name, the most frequent first; empty without a working strace."""
    if shutil.which("strace") is None:
        return {}
    said, requests = _watched(["strace", "-c", "-f", "-p"])
    return {name: count / requests for name, count in parsed_calls(said).items() if count / requests >= 0.01}


def shared_objects() -> dict[str, float]:
    """The share of the worker's samples in each shared object, the kernel as `[kernel.kallsyms]`; empty without a
    working perf."""
    if shutil.which("perf") is None:
        return {}
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        data = str(Path(directory) / "perf.data")
        _watched(["perf", "record", "-q", "-F", "1999", "-o", data, "-p"])
        report = subprocess.run(
            ["perf", "report", "-i", data, "--sort", "dso", "--stdio", "-q"],
            capture_output=True,
            text=True,
            check=False,
        )
    return parsed_objects(report.stdout)


def parsed_calls(table: str) -> dict[str, int]:
    """Calls by name from the table that `strace -c` prints."""
    found = {name: int(count) for count, name in _CALL.findall(table) if name != "total"}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def parsed_objects(report: str) -> dict[str, float]:
    """Shares by shared object, of 1, from `perf report --sort dso`; those below a hundredth are left out."""
    return {name: float(share) / 100 for share, name in _OBJECT.findall(report) if float(share) >= 1}


def _watched(watcher: Sequence[str]) -> tuple[str, int]:
    """What the watcher said of the worker under load, and the requests that it served meanwhile."""
    at = cores()
    with backends(at.load) as running, _loaded_front(running, at) as (url, pid):
        watching = subprocess.Popen([*watcher, str(pid)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        time.sleep(ATTACH_S)
        load = wrk(url, SCENARIO, WATCHED_S, at.load)
        watching.send_signal(signal.SIGINT)
        said = watching.communicate(timeout=30)[1]
    return said, load.requests


@contextlib.contextmanager
def _loaded_front(running: Backends, at: Cores) -> Generator[tuple[str, int]]:
    with FRONTS["carousel"](running.ports, 1, {at.front}) as front:
        wrk(front.url, SCENARIO, 1, at.load)
        yield front.url, front.data_pid
