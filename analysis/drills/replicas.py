"""A replica comes to harm: it must be replaced, and nobody may notice."""

import http.client
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from analysis.drills.base import Drill, Report, Size, loaded, report_load
from analysis.running import Running, alive, descendants, pss_bytes, running
from analysis.served import Served

FAULTY = f"{sys.executable} -m analysis.faulty_server"


def startup(size: Size) -> Report:
    """Time from `carousel up` to the first answered request with three replicas, and idle memory."""
    report = Report("startup")
    times: list[float] = []
    pss: dict[str, int] = {}
    for _ in range(3):
        with running() as system:
            times.append(system.started_s)
            time.sleep(2)  # idle, and settled
            pss = {role: sum(map(pss_bytes, pids)) for role, pids in pids_by_role(system).items()}
    report.seconds["to first answer"] = sorted(times)[1]
    report.other["idle PSS, MB"] = round(sum(pss.values()) / 1e6, 1)
    report.other["PSS by role, MB"] = {role: round(size / 1e6, 1) for role, size in pss.items()}
    return report


def pids_by_role(system: Running) -> dict[str, list[int]]:
    """Each process of the system under its role, grandchildren under their parent's."""
    roles: dict[str, list[int]] = {"supervisor": [system.process.pid]}
    for child in system.children():
        roles.setdefault(child["role"], []).extend([child["pid"], *descendants(child["pid"])])
    return roles


def replaced(name: str, harm: Callable[[Running, dict[str, Any]], None], *flags: str) -> Drill:
    """A drill in which one replica of three comes to harm and is to be replaced unnoticed."""

    def drill(size: Size) -> Report:
        report = Report(name)
        with running(*flags) as system:
            before = set(system.names())
            target = victim(system)
            others = {c["pid"] for c in system.children("replica")} - {target["pid"]}
            result, at = loaded(system, size, lambda: harm(system, target))
            new = [seen for seen in result.first_seen if seen not in before]
            report_load(report, result)
            report.seconds["replaced after"] = result.first_seen[new[0]] - at if new else float("inf")
            report.zeros["not replaced"] = int(len(new) != 1)
            report.zeros["others restarted"] = len(others - {c["pid"] for c in system.children("replica")})
            report.zeros["old one alive"] = int(alive(target["pid"]))
            report.other["events"] = events_of(system, target["name"], *new)
        return report

    return drill


def victim(system: Running) -> dict[str, Any]:
    return system.children("replica")[1]


def events_of(system: Served, *names: str) -> list[str]:
    events = system.call("GET", "/admin/events?since=0")[1]
    return [f"{e['kind']} {e['replica']}: {e['reason']}" for e in events if e["replica"] in names][-12:]


def kill(_: Running, target: dict[str, Any]) -> None:
    os.kill(target["pid"], signal.SIGKILL)


def freeze(_: Running, target: dict[str, Any]) -> None:
    os.kill(target["pid"], signal.SIGSTOP)


def fault(kind: str) -> Callable[[Running, dict[str, Any]], None]:
    """Ask the faulty server for a fault of its own, directly at its port."""

    def harm(system: Running, target: dict[str, Any]) -> None:
        address = next(r["address"] for r in system.cluster()["replicas"] if r["name"] == target["name"])
        connection = http.client.HTTPConnection(address, timeout=5)
        connection.request("POST", f"/fault/{kind}")
        connection.close()

    return harm
