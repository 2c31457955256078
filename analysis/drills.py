"""The fault drills: a running system under a steady load while something is killed, hung or frozen.

    python -m analysis.drills [NAMES…] [--requests 50000] [--rate 1000] [--json PATH]

Each drill starts a system of its own, applies an open-loop load without client retries (analysis/load.py), does its
harm a fifth of the way in, and counts failed requests; times run from the harm to the first 200 of the new name.
It exits with 1 if any zero that the drill promises (failed, leaked, restarted) is not one. Times are reported only.
"""

import asyncio
import http.client
import json
import os
import random
import resource
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from analysis.load import Result, burst, open_loop
from analysis.provenance import provenance
from analysis.running import (
    Running, alive, descendants, open_files, pss_bytes, running, start, wait_ready, wait_until,
)  # fmt: skip

HARM_AT = 0.2  # of the load
SHOWN = ("answers", "idle PSS, MB", "reasons", "failed on its open connections", "seed", "refusals")
FAULTY = f"{sys.executable} -m analysis.faulty_server"


@dataclass(slots=True)
class Report:
    """One drill's figures. `zeros` must all be 0; `seconds` are only reported."""

    drill: str
    requests: int = 0
    zeros: dict[str, int] = field(default_factory=dict[str, int])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    other: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Size:
    """How much load."""

    requests: int
    rate: float
    changes: int


Drill = Callable[[Size], Report]


def loaded(system: Running, size: Size, harm: Callable[[], None]) -> tuple[Result, float]:
    """Apply the load, do the harm; returns what the load saw and when (monotonic) the harm was done."""
    result = Result()
    harmed: list[float] = []

    def do_harm() -> None:
        harmed.append(time.monotonic())
        harm()

    timer = threading.Timer(HARM_AT * size.requests / size.rate, do_harm)
    timer.start()
    try:
        asyncio.run(open_loop(f"{system.url}/home", size.rate, size.requests, result))
    finally:
        timer.join()
    return result, harmed[0]


def report_load(report: Report, result: Result) -> None:
    report.requests = result.sent
    report.zeros["failed"] = result.failed
    report.seconds["worst latency"] = result.worst_s
    report.seconds["p99 latency"] = result.percentile(0.99)
    if result.reasons:
        report.other["reasons"] = dict(result.reasons)


def victim(system: Running) -> dict[str, Any]:
    return system.children("replica")[1]


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


def events_of(system: Running, *names: str) -> list[str]:
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
        links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return False
    return any("eventpoll" in link for link in links)


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


def burst_drill(size: Size) -> Report:
    """10 000 asynchronous GETs at once, by aiohttp with its defaults, on N = 3."""
    report = Report("burst")
    with running() as system:
        result = Result()
        begin = time.monotonic()
        asyncio.run(burst(f"{system.url}/home", min(size.requests, 10_000), result))
        report.seconds["all answered after"] = time.monotonic() - begin
        report_load(report, result)
        report.zeros["failed"] -= result.reasons["too slow"]  # all are started at once: each waits for the others
        report.other["by name"] = dict(result.by_name)
        report.zeros["replicas replaced"] = len(set(system.names()) - {"server1", "server2", "server3"})
    return report


def connections(size: Size) -> Report:
    """10 000 connections at once on one worker, a request on each: served, or told that there are too many."""
    report = Report("connections")
    count = min(size.requests, 10_000)
    with running("--workers", "1") as system:
        worker = system.children("worker")[0]["pid"]
        statuses = asyncio.run(crowd(system.port, count))
        report.requests = count
        report.zeros["neither 200 nor 503"] = count - statuses["200"] - statuses["503"]
        report.zeros["worker restarted"] = int(system.children("worker")[0]["pid"] != worker)
        report.zeros["refused afterwards"] = int(system.call("GET", "/home")[0] != 200)
        log = (system.state_dir / "system.log").read_text()
        report.zeros["EMFILE"] = log.count("Too many open files")
        report.other["answers"] = dict(statuses)
    return report


async def crowd(port: int, count: int) -> Counter[str]:
    """Statuses of `count` connections that are all open at the same time."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    opening = asyncio.Semaphore(256)

    async def join() -> asyncio.StreamReader | None:
        async with opening:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return None
            writer.write(b"GET /home HTTP/1.1\r\nHost: carousel\r\n\r\n")
            writers.append(writer)
            return reader

    writers: list[asyncio.StreamWriter] = []
    readers = await asyncio.gather(*(join() for _ in range(count)))
    lines = await asyncio.gather(*(status_of(reader) for reader in readers))
    for writer in writers:
        writer.transport.abort()
    return Counter(lines)


async def status_of(reader: asyncio.StreamReader | None) -> str:
    if reader is None:
        return "not connected"
    try:
        async with asyncio.timeout(30):
            return (await reader.readline())[9:12].decode() or "closed"
    except OSError as error:
        return error.__class__.__name__


def churn(size: Size) -> Report:
    """Random /add and /rm under load: nothing fails, nothing leaks."""
    report = Report("churn")
    with running() as system:
        before = footprint(system)
        seed = random.randrange(1 << 32)
        refused: list[str] = []

        def harm() -> None:
            refused.extend(change_at_random(system, random.Random(seed), size.changes))

        result, _ = loaded(system, size, harm)
        restore(system)
        wait_until(lambda: len(system.children("replica")) == 3, 45, "leavers end")
        after = footprint(system)
        report_load(report, result)
        report.zeros["refused"] = len(refused)
        report.zeros["leaked processes"] = max(0, after["processes"] - before["processes"])
        report.zeros["leaked locks"] = max(0, after["locks"] - before["locks"])
        # The load's own connections come and go in the pools: fewer than 64 descriptors are those, more would be a leak.
        report.zeros["leaked descriptors"] = max(0, after["files"] - before["files"] - 64)
        report.other |= {"seed": seed, "changes": size.changes, "before": before, "after": after}
        report.other["refusals"] = refused[:5]
    return report


def change_at_random(system: Running, rng: random.Random, changes: int) -> list[str]:
    refused: list[str] = []
    for _ in range(changes):
        have = len(system.names())
        growing = have <= 2 or (have < 8 and rng.random() < 0.5)
        n = rng.randint(1, 2) if growing else rng.randint(1, have - 1)
        status, answer = system.call("POST" if growing else "DELETE", "/add" if growing else "/rm", {"n": n})
        if status != 200:
            refused.append(str(answer))
    return refused


def restore(system: Running) -> None:
    have = len(system.names())
    if have > 3:
        system.call("DELETE", "/rm", {"n": have - 3})
    elif have < 3:
        system.call("POST", "/add", {"n": 3 - have})


def footprint(system: Running) -> dict[str, int]:
    """What could leak."""
    own = [child["pid"] for child in system.children() if child["role"] != "replica"]
    pids = [system.process.pid, *own, *(grandchild for pid in own for grandchild in descendants(pid))]
    return {
        "processes": len(system.pids()),
        "locks": sum(
            str(system.state_dir.stat().st_dev) != "" and held(path) for path in system.state_dir.rglob("lock")
        ),
        "files": sum(map(open_files, pids)),
    }


def held(lock: Path) -> bool:
    """Whether some process holds a flock on this file."""
    inode = f":{lock.stat().st_ino} "
    return any(inode in line for line in Path("/proc/locks").read_text().splitlines())


DRILLS: dict[str, Drill] = {
    "startup": startup,
    "kill": replaced("kill", kill),
    "exit": replaced("exit", fault("exit"), "--server-command", FAULTY, "--unknown-path", "course"),
    "hang": replaced("hang", fault("hang"), "--server-command", FAULTY, "--unknown-path", "course"),
    "freeze": replaced("freeze", freeze),
    "arbiter": control_killed("arbiter", lambda pids: pids[:1]),
    "control-worker": control_killed("control-worker", lambda pids: pids[1:]),
    "control-both": control_killed("control-both", lambda pids: pids),
    "control-and-replica": control_killed("control-and-replica", lambda pids: pids, replica_too=True),
    "door-worker": door_killed,
    "supervisor": supervisor_killed,
    "burst": burst_drill,
    "connections": connections,
    "churn": churn,
}


def table_of(reports: list[Report]) -> Table:
    table = Table(title="fault drills", title_justify="left")
    for heading in ("drill", "requests", "must be zero", "seconds", "other"):
        table.add_column(heading)
    for report in reports:
        table.add_row(
            report.drill, str(report.requests or ""),
            ", ".join(f"{name} {value}" for name, value in report.zeros.items()),
            ", ".join(f"{name} {value:.3f}" for name, value in report.seconds.items()),
            ", ".join(f"{k} {v}" for k, v in report.other.items() if k in SHOWN),
        )  # fmt: skip
    return table


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(DRILLS)} (default: all)")] = None,
    requests: Annotated[int, typer.Option(help="Requests for each drill")] = 50_000,
    rate: Annotated[float, typer.Option(help="Requests a second")] = 1000,
    changes: Annotated[int, typer.Option(help="/add and /rm calls of the churn")] = 100,
    json_path: Annotated[Path | None, typer.Option("--json", help="Keep the figures here")] = None,
) -> None:
    """Run the fault drills and print what they showed."""
    reports: list[Report] = []
    for name in names or list(DRILLS):
        if name not in DRILLS:
            raise typer.BadParameter(f"no drill {name!r}: {', '.join(DRILLS)}")
        print(f"{name} …", file=sys.stderr, flush=True)
        reports.append(DRILLS[name](Size(requests, rate, changes)))
        Console(width=180).print(table_of(reports[-1:]))
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        kept = {**provenance(), "rate": rate, "drills": [asdict(report) for report in reports]}
        json_path.write_text(json.dumps(kept, indent=1) + "\n")
    if any(value for report in reports for value in report.zeros.values()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
