"""From the measured parts to one table: where the microseconds of a request go. Pure arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.door_profile.live import Cost
from analysis.door_profile.path import Halves

STAGE, REST, SUM = "timed alone", "what is left", "sum"


@dataclass(frozen=True, slots=True)
class Row:
    """`how` says where the figure comes from."""

    part: str
    what: str
    us: float
    how: str


@dataclass(slots=True)
class Profile:
    """All that was measured. `rare_us` is not in the sums; `outside` has what strace and perf said, if asked."""

    rows: list[Row]
    functions_us: dict[str, float]
    rare_us: dict[str, float]
    costs: dict[str, Cost]
    outside: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])


def python_rows(path: Halves, request: Mapping[str, float], answer: Mapping[str, float]) -> list[Row]:
    """The Python path in memory: its stages, in microseconds, and what is left of its halves."""
    rows = [Row("request", what, us, STAGE) for what, us in request.items()]
    rows.append(Row("request", "exchange, pool, connection", path.request_us - sum(request.values()), REST))
    rows += [Row("answer", what, us, STAGE) for what, us in answer.items()]
    rows.append(Row("answer", "recognise it, count, pool", path.answer_us - sum(answer.values()), REST))
    return [*rows, Row("Python", "the path in memory", path.both_us, SUM)]


def live_rows(path: Halves, bare_path: Halves, carousel: Cost, bare: Cost) -> list[Row]:
    """What a running front adds to it.

    The loop is what the bare proxy's user time is without its own Python; so what is left of the front's user time is
    what the same Python costs more between system calls and other processes than alone, with its caches warm.
    """
    loop_us = max(bare.user_us - bare_path.both_us, 0.0)
    return [
        Row("running", "loop and transports", loop_us, "bare proxy's user time"),
        Row("running", "colder caches, timers", carousel.user_us - path.both_us - loop_us, REST),
        Row("running", "system calls", carousel.system_us, "the worker's system time"),
        Row("running", "control and supervisor", carousel.total_us - carousel.data_us, "their CPU time"),
        Row("all", "CPU per request", carousel.total_us, SUM),
    ]
