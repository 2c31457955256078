"""What processes cost, by their own accounting in /proc: CPU time, memory; and how busy the cores are."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from analysis.running import descendants, pss_bytes

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Of some processes, since they began. `run_ns` is the scheduler's, exact; user and system are sampled by ticks."""

    run_ns: int = 0
    user_ticks: int = 0
    system_ticks: int = 0

    def __add__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(
            self.run_ns + other.run_ns, self.user_ticks + other.user_ticks, self.system_ticks + other.system_ticks
        )

    def since(self, earlier: "CpuTime") -> "CpuTime":
        return CpuTime(
            self.run_ns - earlier.run_ns,
            self.user_ticks - earlier.user_ticks,
            self.system_ticks - earlier.system_ticks,
        )

    @property
    def run_s(self) -> float:
        return self.run_ns / 1e9

    @property
    def user_share(self) -> float:
        """1 before the first tick."""
        ticks = self.user_ticks + self.system_ticks
        return self.user_ticks / ticks if ticks else 1.0


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    return [pid, *descendants(pid)]


def cpu_times(pids: Iterable[int]) -> dict[int, CpuTime]:
    """Of each process, all its threads together; who has ended is left out."""
    found: dict[int, CpuTime] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            found[pid] = _cpu_time(Path(f"/proc/{pid}"))
    return found


def spent(before: Mapping[int, CpuTime], after: Mapping[int, CpuTime]) -> CpuTime:
    """By all of them between two looks; who came meanwhile counts in full, who ended does not count."""
    return sum((time.since(before.get(pid, CpuTime())) for pid, time in after.items()), CpuTime())


def _cpu_time(process: Path) -> CpuTime:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    run_ns = sum(int((task / "schedstat").read_text().split()[0]) for task in (process / "task").iterdir())
    return CpuTime(run_ns, int(fields[11]), int(fields[12]))


def rss_bytes(pid: int) -> int:
    """Resident set size, shared pages included; 0 if the process has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def pss_of(pids: Iterable[int]) -> int:
    return sum(map(pss_bytes, pids))


def core_ticks() -> dict[int, int]:
    """For each core, the ticks in which it was busy since the machine began; waiting for I/O is idle, what the host
    took is busy."""
    found: dict[int, int] = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, values[:8])
            found[int(name[3:])] = user + nice + system + irq + softirq + steal
    return found


def busy_s(before: Mapping[int, int], after: Mapping[int, int], core: int) -> float:
    """How long a core had something to do between two looks."""
    return (after[core] - before[core]) * TICK_S
