"""Our own processes come to harm: control, data path, supervisor; and a reload, which is harm on purpose."""

import http.client
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analysis.drills.base import Drill, Report, Size, loaded, report_load
from analysis.running import Running, alive, descendants, running, start, wait_ready, wait_until
from loadbalancer.cli.remote import RemoteError, tell_supervisor


def control_killed(name: str, pick: Callable[[list[int]], list[int]], replica_too: bool = False) -> Drill:
    """kill -9 of gunicorn's arbiter, its worker or both; replicas must live on and /rep come back."""

    def drill(size: Size) -> Report:
        report = Report(name)
        with running() as system:
            arbiter = system.children("control")[0]["pid"]
            replicas = system.children("replica")
            doomed = pick([arbiter, *descendants(arbiter)])
            if replica_too:
                doomed.append(replicas[0]["pid"])
            generation = system.cluster()["generation"]
            back: list[float] = []

            def harm() -> None:
                for pid in doomed:
                    os.kill(pid, signal.SIGKILL)
                back.append(wait_until(lambda: answers(system, generation), 30, "/rep answers again"))

            result, _ = loaded(system, size, harm)
            report_load(report, result)
            report.seconds["/rep back after"] = back[0]
            kept = {c["pid"] for c in system.children("replica")}
            wanted = {c["pid"] for c in replicas} - set(doomed)
            report.zeros["restarted"] = len(wanted - kept)
            report.zeros["missing"] = 3 - len(system.names())
        return report

    return drill


def answers(system: Running, killed_generation: int) -> bool:
    """Whether /rep answers 200, from a control that was not there before the kill."""
    try:
        newer = system.cluster()["generation"] > killed_generation
        return newer and system.call("GET", "/rep", timeout_s=5)[0] == 200
    except (OSError, http.client.HTTPException, KeyError):
        return False


def door_killed(size: Size) -> Report:
    """kill -9 of one of two data-path workers: only the requests open on it may fail."""
    report = Report("door-worker")
    with running("--workers", "2") as system:
        door = system.children("worker")[0]
        back: list[float] = []

        def harm() -> None:
            os.kill(door["pid"], signal.SIGKILL)
            back.append(wait_until(lambda: new_door(system, door), 30, "the worker is back"))

        result, _ = loaded(system, size, harm)
        open_ones = sum(result.reasons[r] for r in ("ClientOSError", "ServerDisconnectedError", "ConnectionResetError"))
        report_load(report, result)
        report.zeros["failed"] = result.failed - open_ones
        report.other["failed on its open connections"] = open_ones
        report.seconds["back after"] = back[0]
    return report


def new_door(system: Running, old: dict[str, Any]) -> bool:
    """Whether the slot has a new process that listens: its first answer is what a client would see."""
    doors = {door["name"]: door["pid"] for door in system.children("worker")}
    pid = doors.get(old["name"], old["pid"])
    if pid == old["pid"]:
        return False
    return ready_worker(pid)


def ready_worker(pid: int) -> bool:
    """A data-path worker that accepts waits in epoll; before that it has no event loop's descriptor."""
    try:
        links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return False
    return any("eventpoll" in link for link in links)


def reload(size: Size) -> Report:
    """Two reloads under load: new workers and a new control, no request lost, no replica restarted."""
    report = Report("reload")
    with running("--workers", "2") as system:
        replicas = {c["pid"] for c in system.children("replica")}
        took: list[float] = []

        def harm() -> None:
            for _ in range(2):
                old = {c["pid"] for c in system.children() if c["role"] != "replica"}
                tell_supervisor(system.state_dir, {"op": "reload"})
                took.append(wait_until(lambda old=old: renewed(system, old), 60, "all are new"))

        result, _ = loaded(system, size, harm)
        report_load(report, result)
        report.seconds["all new after"] = max(took)
        report.zeros["restarted"] = len(replicas - {c["pid"] for c in system.children("replica")})
    return report


def renewed(system: Running, old: set[int]) -> bool:
    """Whether none of `old` is left, and control answers."""
    try:
        gone = not old & {child["pid"] for child in system.children()}
        return gone and system.call("GET", "/rep", timeout_s=5)[0] == 200
    except (OSError, http.client.HTTPException, RemoteError):
        return False


def supervisor_killed(size: Size) -> Report:
    """kill -9 of the supervisor: nothing is left, and the next start is clean."""
    report = Report("supervisor")
    with running() as system:
        pids = system.pids()
        system.process.kill()
        report.seconds["all gone after"] = wait_until(lambda: not any(map(alive, pids)), 10, "everything ends")
        report.zeros["left running"] = sum(map(alive, pids))
        again = start(system.state_dir)
        try:
            wait_ready(again, 3)
            report.seconds["next start"] = again.started_s
            report.zeros["missing"] = 3 - len(again.names())
        finally:
            report.zeros["unclean end"] = abs(again.end())
    return report
