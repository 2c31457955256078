"""A-3: every endpoint, and a replica killed under an open-loop load: time to notice, to replace, failed requests.

The kill is a kill -9 of the replica's process or a `docker kill` of its container. Times run from just before it to the
fleet's own events (dead, starting, healthy) and to the first answer of the newcomer, as a client sees it.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any, get_args

from analysis.asking import Advance
from analysis.balance import Size
from analysis.endpoints import CALLS, WITHOUT_REPLICAS, exercise
from analysis.running import Running, running
from analysis.timeline import Load, Sample, apply
from loadbalancer.settings import Settings

FLEET = 3
RUNTIMES = ("process", "docker")
ENGINE_TIMEOUT_S = 30.0
SETTLED_S = 10.0


def steps(size: Size) -> int:
    return len(CALLS) + len(WITHOUT_REPLICAS) + len(RUNTIMES) * size.requests


def run(size: Size, advance: Advance) -> dict[str, Any]:
    return {
        "rate": size.rate,
        "endpoints": _endpoints(advance),
        "kills": {runtime: _kill_or_reason(runtime, size, advance) for runtime in RUNTIMES},
    }


def _endpoints(advance: Advance) -> list[dict[str, Any]]:
    with running(replicas=FLEET) as system:
        rows = exercise(system)
    advance(len(rows))
    return rows


def _kill_or_reason(runtime: str, size: Size, advance: Advance) -> dict[str, Any]:
    """The figures, or {"skipped": why}."""
    if runtime == "process":
        return killed(size, advance, _kill_process)
    reason = _no_docker()
    if reason:
        advance(size.requests)
        return {"skipped": reason}
    own = f"analysis-{secrets.token_hex(4)}"
    try:
        return killed(size, advance, _kill_container, "--runtime", "docker", "--cluster-id", own, "--network", own)
    except RuntimeError as error:  # no image, a name that is taken …: the log's last line tells
        return {"skipped": str(error).strip().splitlines()[-1]}
    finally:
        _remove_leftovers(own)


def _no_docker() -> str:
    """Why there can be no run with containers; "" if there can."""
    if "docker" not in get_args(Settings.model_fields["runtime"].annotation):
        return "this version has no --runtime docker"
    try:
        engine = _docker("info", "--format", "{{.ServerVersion}}")
    except (OSError, subprocess.SubprocessError) as error:
        return f"no Docker engine answers: {type(error).__name__}"
    return "" if engine.strip() else "no Docker engine answers"


def _docker(*arguments: str) -> str:
    """What `docker` prints. Raises OSError or SubprocessError."""
    found = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=ENGINE_TIMEOUT_S)
    return found.stdout


def _remove_leftovers(own: str) -> None:
    """The volumes and the network that the run's own cluster has left, as they outlive it; ours by label and name."""
    for kind, known in (("volume", f"label=carousel.cluster={own}"), ("network", f"name={own}")):
        names = _docker(kind, "ls", "-q", "--filter", known).split()
        if names:
            _docker(kind, "rm", *names)


def _kill_process(target: dict[str, Any]) -> None:
    os.kill(target["pid"], signal.SIGKILL)


def _kill_container(target: dict[str, Any]) -> None:
    _docker("kill", target["container"])


def killed(size: Size, advance: Advance, kill: Callable[[dict[str, Any]], None], *flags: str) -> dict[str, Any]:
    """Load a fleet of three, kill the second replica, and tell what was seen of it.

    Without a slow start, so that the newcomer's first answer tells when it serves.
    """
    with running("--slow-start", "0", *flags, replicas=FLEET) as system:
        before = system.cluster()["replicas"]
        target = before[1]
        moments: list[float] = []

        def harm() -> None:
            moments.append(time.time())
            kill(target)

        load = Load(f"{system.url}/home", size.rate, size.requests, harm)
        asyncio.run(apply(load, advance))
        events = settled_events(system, target["name"])
    return figures(load, moments[0], target["name"], [replica["name"] for replica in before], events)


def settled_events(system: Running, victim: str) -> list[dict[str, Any]]:
    """The events once the victim's replacement is healthy, or those of SETTLED_S later."""
    end = time.monotonic() + SETTLED_S
    while True:
        events = system.call("GET", "/admin/events?since=0")[1]
        times = story(events, victim)
        if "healthy" in times or time.monotonic() > end:
            return events
        time.sleep(0.05)


def story(events: list[dict[str, Any]], victim: str) -> dict[str, tuple[float, str]]:
    """When (seconds since the epoch) and to whom: the victim `dead`, its replacement `starting` and `healthy`."""
    found: dict[str, tuple[float, str]] = {}
    for event in events:
        kind, name = event["kind"], event["replica"]
        begun = kind == "starting" and event["reason"].endswith(f"replaces {victim}")
        risen = kind == "healthy" and "starting" in found and name == found["starting"][1]
        if (kind == "dead" and name == victim) or begun or risen:
            found.setdefault(kind, (event["time"], name))
    return found


def figures(
    load: Load, killed_at: float, victim: str, before: list[str], events: list[dict[str, Any]]
) -> dict[str, Any]:
    """As JSON keeps it: seconds after the kill (negative before it), and every sample in columns."""
    times = story(events, victim)
    successor = times.get("starting", (0.0, ""))[1]
    first = min((sample.end for sample in load.samples if sample.name == successor and successor), default=None)
    after = {kind: round(moment - killed_at, 6) for kind, (moment, _) in times.items()}
    samples = sorted(load.samples, key=lambda sample: sample.due)
    return {
        "requests": len(samples),
        "failed": sum(bool(sample.reason) for sample in samples),
        "victim": victim,
        "successor": successor,
        "replicas": [*before, successor] if successor else before,
        "noticed_s": after.get("dead"),
        "starting_s": after.get("starting"),
        "healthy_s": after.get("healthy"),
        "first_answer_s": None if first is None else round(first - killed_at, 6),
        "latency_ms": percentiles(samples),
        "columns": columns(samples, killed_at),
    }


def percentiles(samples: list[Sample]) -> dict[str, float]:
    ordered = sorted(sample.end - sample.due for sample in samples)
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3, 3)
        for name, share in shares.items()
    }


def columns(samples: list[Sample], killed_at: float) -> dict[str, list[Any]]:
    """`due_s` after the kill, `latency_ms`, `name` and `reason` of each request, in the samples' order."""
    return {
        "due_s": [round(sample.due - killed_at, 4) for sample in samples],
        "latency_ms": [round((sample.end - sample.due) * 1e3, 2) for sample in samples],
        "name": [sample.name for sample in samples],
        "reason": [sample.reason for sample in samples],
    }
