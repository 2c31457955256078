"""What /proc knows of processes: start times, and which ones are leftovers of a cluster of ours.

A pid alone is used again by the kernel; pid and start time together name one process. Every process that the
supervisor starts carries CAROUSEL_CLUSTER=<cluster id> in its environment, and so do its own children: so the
next start finds what a killed supervisor could not take along (grandchildren of a custom command).
"""

import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

CLUSTER_VARIABLE = "CAROUSEL_CLUSTER"
PROC = Path("/proc")
SWEEPS = 5  # somebody who forks while we kill is met by the next round; five in a row is a fork bomb


def start_time(pid: int) -> int | None:
    """Clock ticks since boot, from /proc/<pid>/stat; None if there is no such process."""
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    return int(stat[stat.rindex(b")") + 2 :].split()[19])  # the name in brackets may hold anything


def parent(pid: int) -> int:
    """0 if there is none or no such process."""
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return 0
    return int(stat[stat.rindex(b")") + 2 :].split()[1])


def members(cluster_id: str) -> list[int]:
    """Living processes of this user that carry the cluster's mark. (A zombie has no environment left.)"""
    mark = f"{CLUSTER_VARIABLE}={cluster_id}".encode()
    pids = [int(path.name) for path in PROC.iterdir() if path.name.isdecimal()]
    return [pid for pid in pids if _carries(pid, mark)]


def sweep(cluster_id: str, patience_s: float = 5.0) -> list[int]:
    """Kill what is left of this cluster, except us and our ancestors; return the pids once they are gone.

    Raises TimeoutError if one of them outlives SIGKILL for `patience_s` (it hangs in the kernel).
    """
    swept: list[int] = []
    for _ in range(SWEEPS):
        spared = set(_ancestry())
        found = [pid for pid in members(cluster_id) if pid not in spared]
        if not found:
            break
        for pid in found:
            _kill(pid, cluster_id, time.monotonic() + patience_s)
        swept += found
    return swept


def _ancestry() -> Iterator[int]:
    pid = os.getpid()
    while pid:
        yield pid
        pid = parent(pid)


def _carries(pid: int, mark: bytes) -> bool:
    try:
        if (PROC / str(pid)).stat().st_uid != os.getuid():
            return False
        if (PROC / str(pid) / "ns/pid").readlink() != (PROC / "self/ns/pid").readlink():
            return False  # a container's process: Docker is its parent, and may be asked to end it
        environ = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False  # gone, or not ours to read
    return mark in environ.split(b"\0")


def _kill(pid: int, cluster_id: str, until: float) -> None:
    """By pidfd: looked at once more behind it, the pid can't have become somebody else's."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not _carries(pid, f"{CLUSTER_VARIABLE}={cluster_id}".encode()):
            return
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        if not select.select([pidfd], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError(f"process {pid} of an earlier run does not die")
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)
