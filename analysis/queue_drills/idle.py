"""A server with the queue on and nothing to do: how small, and how soon it answers."""

import statistics
import time
from typing import Final

from analysis.door_bench.accounting import cpu_times, pss_of, spent
from analysis.queue_drills.drill import Size
from analysis.queue_drills.engines import Engine, Start
from analysis.queue_drills.report import Limit, Report
from analysis.queue_drills.starting import first_answer_s, settle

PSS_MB: Final = 60.0
FIRST_ANSWER_S: Final = 0.6
STARTS: Final = 5
WATCHED_S: Final = 5.0
MB: Final = 1e6


def idle(start: Start, name: str, size: Size) -> Report:
    report = Report("idle", name, size.seed)
    with start(1, size.parent) as engine:
        settle(engine)
        report.limits["PSS, MB"] = Limit(pss_of(engine.servers()) / MB, PSS_MB)
        report.other["idle CPU, % of a core"] = round(idle_cpu(engine) * 100, 2)
        took: list[float] = []
        for _ in range(STARTS):
            took.append(first_answer_s(engine))
            settle(engine)
    report.limits["first answer after a start, s"] = Limit(statistics.median(took), FIRST_ANSWER_S)
    report.seconds["slowest of them"] = max(took)
    return report


def idle_cpu(engine: Engine) -> float:
    """The servers' share of a core, over WATCHED_S."""
    before = cpu_times(engine.servers())
    time.sleep(WATCHED_S)
    return spent(before, cpu_times(engine.servers())).run_s / WATCHED_S
