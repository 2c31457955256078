"""What all drills share: how much load, when the harm is done, and what is reported."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from analysis.load import Result, open_loop
from analysis.served import Served

HARM_AT = 0.2  # of the load


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


def loaded(system: Served, size: Size, harm: Callable[[], None]) -> tuple[Result, float]:
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
