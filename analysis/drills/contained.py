"""The drills on containers: a replica's is harmed, the front door's is, or the fleet grows and shrinks at random."""

import contextlib
import http.client
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analysis import faulty_server
from analysis.composed import FRONT_IMAGE, REPLICAS, Composed, composed
from analysis.drills.base import Drill, Report, Size, loaded, report_load
from analysis.drills.crowds import LAZY_FILES, change_under_load
from analysis.drills.replicas import events_of
from analysis.running import wait_until
from loadbalancer.spawn.docker import CALL_THREADS

BACK_S = 60.0
KEPT_FILES = LAZY_FILES + CALL_THREADS  # each thread that calls the engine opens a connection at its first need
SETTLE_S = 45.0  # pooled connections are closed after 30 s without a request

# The faulty server as one argument of python's, so that the bundled image runs it, sealed as it always is.
FAULTY = {
    "CAROUSEL_SERVER_COMMAND": shlex.join(["python3", "-c", Path(faulty_server.__file__).read_text()]),
    "CAROUSEL_UNKNOWN_PATH": "course",
}

COUNT_FILES = """
import os
count = 0
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) != os.getpid():
        count += len(os.listdir(f"/proc/{pid}/fd"))
print(count)
"""
KILL_ALL_BUT_FIRST = """
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) not in (1, os.getpid()):
        os.kill(int(pid), signal.SIGKILL)
"""


# A replica


def replaced(name: str, harm: Callable[[Any], None], **settings: str) -> Drill:
    """One container of three comes to harm, and is to be replaced unnoticed by one with the same volume."""

    def drill(size: Size) -> Report:
        report = Report(name)
        with composed(**settings) as system:
            before, volumes = system.ids(), volume_names(system)
            target = system.names()[1]
            container = system.replicas()[target]
            result, at = loaded(system, size, lambda: harm(container))
            new = [seen for seen in result.first_seen if seen not in before]
            after = system.ids()
            report_load(report, result)
            report.seconds["replaced after"] = result.first_seen[new[0]] - at if new else float("inf")
            report.zeros["not replaced"] = int(len(new) != 1)
            report.zeros["others restarted"] = sum(after.get(n) != i for n, i in before.items() if n != target)
            report.zeros["old one there"] = int(target in after)
            report.zeros["volumes changed"] = len(volumes ^ volume_names(system))
            report.other["events"] = events_of(system, target, *new)
        return report

    return drill


def fault(kind: str) -> Callable[[Any], None]:
    """Ask the faulty server for a fault of its own, from within its container, and don't wait for it."""
    ask = f"import urllib.request as u; u.urlopen('http://127.0.0.1:5000/fault/{kind}', b'')"
    return lambda container: container.exec_run(["python3", "-c", ask], detach=True)


def volume_names(system: Composed) -> set[str]:
    return {volume.name for volume in system.volumes()}


# The front door


def adopted(name: str, harm: Callable[[Composed], None], **settings: str) -> Drill:
    """The front door comes to harm: its next control finds the fleet, and no replica was restarted.

    While the container is away nobody listens at the published port, so those requests fail; they are only counted.
    """

    def drill(size: Size) -> Report:
        report = Report(name)
        with composed(**settings) as system:
            before, generation = system.ids(), system.cluster()["generation"]
            back: list[float] = []

            def harm_and_wait() -> None:
                harm(system)
                with contextlib.suppress(TimeoutError):
                    back.append(wait_until(lambda: serves_anew(system, generation), BACK_S, "the front door is back"))

            result, _ = loaded(system, size, harm_and_wait)
            report_load(report, result)
            report.other["failed while it was away"] = report.zeros.pop("failed")
            report.seconds["back after"] = back[0] if back else float("inf")
            report.zeros["not back"] = int(not back)
            after = system.ids()
            report.zeros["restarted"] = sum(after.get(replica) != i for replica, i in before.items())
            report.zeros["missing"] = REPLICAS - len(system.healthy())
            report.zeros["too many"] = len(after) - REPLICAS
        return report

    return drill


def serves_anew(system: Composed, generation: int) -> bool:
    """Whether all replicas serve, by the word of a control that was not there before the harm."""
    try:
        newer = system.cluster()["generation"] > generation
        return newer and len(system.healthy()) == REPLICAS and system.call("GET", "/home", timeout_s=5)[0] == 200
    except (OSError, http.client.HTTPException, KeyError, TypeError):
        return False


def kill_processes(system: Composed) -> None:
    """kill -9 of every process in its container but the first, which none there can kill."""
    system.front().exec_run(["python3", "-c", KILL_ALL_BUT_FIRST])


def crash(system: Composed) -> None:
    """kill -9 of the first, by the host: all end with it, and the engine starts the container again by its policy."""
    pid = system.front().attrs["State"]["Pid"]
    kill = ["-c", f"import os; os.kill({pid}, 9)"]
    system.client.containers.run(
        FRONT_IMAGE, kill, entrypoint="python3", pid_mode="host", network_mode="none", remove=True
    )


def kill_and_start(system: Composed) -> None:
    """`docker kill`, after which no policy holds, and `docker start`."""
    system.front().kill()
    system.front().start()


def restart(system: Composed) -> None:
    """`docker restart`: SIGTERM, the end within the grace period, a new start."""
    system.front().restart(timeout=45)


# Many changes


def churn(size: Size) -> Report:
    """Random /add and /rm under load: nothing fails, and nothing of a container that left is left."""
    report = Report("container-churn")
    with composed() as system:
        before = footprint(system)
        change_under_load(system, size, report)
        system.until_healthy(REPLICAS)
        after = settled_footprint(system, before)
        for kind in ("containers", "volumes", "endpoints"):
            report.zeros[f"leaked {kind}"] = max(0, after[kind] - before[kind])
        report.zeros["leaked descriptors"] = max(0, after["files"] - before["files"] - KEPT_FILES)
        report.other |= {"before": before, "after": after}
    return report


def footprint(system: Composed) -> dict[str, int]:
    """What could leak: on the engine, and in the front door's container."""
    network = system.networks()[0]
    network.reload()
    return {
        "containers": len(system.replicas()),
        "volumes": len(system.volumes()),
        "endpoints": len(network.attrs["Containers"]),
        "files": int(system.front().exec_run(["python3", "-c", COUNT_FILES]).output),
    }


def settled_footprint(system: Composed, before: dict[str, int]) -> dict[str, int]:
    """The footprint when leavers have ended and the load's connections are closed; else that of SETTLE_S later."""

    def settled() -> bool:
        now = footprint(system)
        return all(now[kind] <= before[kind] + (KEPT_FILES if kind == "files" else 0) for kind in now)

    with contextlib.suppress(TimeoutError):
        wait_until(settled, SETTLE_S, "it settles")
    return footprint(system)
