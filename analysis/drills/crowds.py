"""Many at once: requests, connections, changes."""

import asyncio
import contextlib
import random
import resource
import time
from collections import Counter
from pathlib import Path

from analysis.drills.base import Report, Size, loaded, report_load
from analysis.load import Result, burst
from analysis.running import Running, descendants, open_files, running, wait_until
from analysis.served import Served

LAZY_FILES = 8  # opened at the first use and then kept: the store's log, the metrics' sockets


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


def change_under_load(system: Served, size: Size, report: Report) -> None:
    """Random /add and /rm while requests come, and back to three; reported with the seed and what was refused."""
    seed = random.randrange(1 << 32)
    refused: list[str] = []

    def harm() -> None:
        refused.extend(change_at_random(system, random.Random(seed), size.changes))

    result, _ = loaded(system, size, harm)
    restore(system)
    report_load(report, result)
    report.zeros["refused"] = len(refused)
    report.other |= {"seed": seed, "changes": size.changes, "refusals": refused[:5]}


def churn(size: Size) -> Report:
    """Random /add and /rm under load: nothing fails, nothing leaks."""
    report = Report("churn")
    with running() as system:
        before = footprint(system)
        change_under_load(system, size, report)
        wait_until(lambda: len(system.children("replica")) == 3, 45, "leavers end")
        after = settled_footprint(system, before)
        report.zeros["leaked processes"] = max(0, after["processes"] - before["processes"])
        report.zeros["leaked locks"] = max(0, after["locks"] - before["locks"])
        report.zeros["leaked descriptors"] = max(0, after["files"] - before["files"] - LAZY_FILES)
        report.other |= {"before": before, "after": after}
    return report


def change_at_random(system: Served, rng: random.Random, changes: int) -> list[str]:
    refused: list[str] = []
    for _ in range(changes):
        have = len(system.names())
        growing = have <= 2 or (have < 8 and rng.random() < 0.5)
        n = rng.randint(1, 2) if growing else rng.randint(1, have - 1)
        status, answer = system.call("POST" if growing else "DELETE", "/add" if growing else "/rm", {"n": n})
        if status != 200:
            refused.append(str(answer))
    return refused


def restore(system: Served) -> None:
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


def settled_footprint(system: Running, before: dict[str, int]) -> dict[str, int]:
    """The footprint when the pooled connections of the load, idle for 30 s, are closed; as it is after 45 s at most."""
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: footprint(system)["files"] <= before["files"] + LAZY_FILES, 45, "connections close")
    return footprint(system)


def held(lock: Path) -> bool:
    """Whether some process holds a flock on this file."""
    inode = f":{lock.stat().st_ino} "
    return any(inode in line for line in Path("/proc/locks").read_text().splitlines())
