"""wrk: one run against one front."""

import json
import resource
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from analysis.door_bench.pinning import pinned
from analysis.door_bench.scenarios import Scenario

SCRIPT = Path(__file__).with_name("load.lua")
PATIENCE_S = 30.0
FAILURES = ("connect", "read", "write", "timeout", "status")


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw, and the CPU time it took. `failed`: errors and time-outs of its sockets, and statuses above 399."""

    requests: int
    failed: int
    duration_s: float
    p50_ms: float
    p99_ms: float
    cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        return self.requests / self.duration_s


def wrk(url: str, scenario: Scenario, seconds: float, core: int) -> Load:
    """Load for so many seconds (whole ones), from one thread on `core`. Raises RuntimeError if wrk fails."""
    command = [
        "wrk", "-t1", f"-c{scenario.connections}", f"-d{max(round(seconds), 1)}s", "-s", str(SCRIPT),
        f"{url}{scenario.path}", "--", scenario.mode, scenario.method, secrets.token_hex(4) + "-",
    ]  # fmt: skip
    before = _children_cpu_s()
    with pinned({core}):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds + PATIENCE_S, check=False)
    if ended.returncode:
        raise RuntimeError(f"wrk failed: {(ended.stdout + ended.stderr)[-2000:]}")
    return parsed(ended.stdout, _children_cpu_s() - before)


def parsed(output: str, cpu_s: float) -> Load:
    """Read load.lua's RESULT line. Raises RuntimeError without one."""
    for line in output.splitlines():
        if line.startswith("RESULT "):
            found = json.loads(line.removeprefix("RESULT "))
            return Load(
                requests=found["requests"], failed=sum(found[kind] for kind in FAILURES),
                duration_s=found["duration_us"] / 1e6,
                p50_ms=found["p50_us"] / 1e3, p99_ms=found["p99_us"] / 1e3, cpu_s=cpu_s,
            )  # fmt: skip
    raise RuntimeError(f"wrk gave no result: {output[-2000:]}")


def _children_cpu_s() -> float:
    """Of our children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
