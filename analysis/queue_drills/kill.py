"""kill -9 of a server at random moments under producers: what was acknowledged is there, once, in order."""

import time
from collections.abc import Sequence
from typing import Final

from analysis.measures import percentile
from analysis.queue_drills.drill import Size
from analysis.queue_drills.engines import Engine, Start
from analysis.queue_drills.figures import acks, back_after, worst_pause
from analysis.queue_drills.judge import judge
from analysis.queue_drills.load import Load
from analysis.queue_drills.plan import Kill, kills
from analysis.queue_drills.report import Report, add_broken, add_verdict
from analysis.running import wait_until

SERVERS: Final = 3
BACK_S: Final = 60.0
"""A server that is not back by then stays away."""


def kill(start: Start, name: str, size: Size) -> Report:
    report = Report("kill", name, size.seed)
    with start(SERVERS, size.parent) as engine:
        load = Load(engine, size.rate, size.seed)
        load.start()
        kills_s, missed, away = harm(engine, load, kills(size.seed, size.times))
        lanes = load.end()
        add_verdict(report, judge(lanes, load.read()))
    add_broken(report, "producers", load.broken())
    report.zeros["did not come back"] = away
    report.counts |= {"kills": len(kills_s), "kills that found no server": missed}
    report.seconds["worst pause of a partition"] = worst_pause(acks(lanes), load.begin_s, load.end_s).lasted_s
    add_back(report, back_after(lanes, kills_s))
    return report


def harm(engine: Engine, load: Load, plan: Sequence[Kill]) -> tuple[list[float], int, int]:
    """When it was killed, how often there was nothing to kill, and 1 if partitions stayed away, which ends it."""
    kills_s: list[float] = []
    missed = 0
    for one in plan:
        if not one.starting and kills_s and not came_back(engine, load, kills_s[-1]):
            return kills_s, missed, 1
        time.sleep(one.wait_s)
        at = time.monotonic()
        if engine.kill(one.pick):
            kills_s.append(at)
        else:
            missed += 1
    return kills_s, missed, int(bool(kills_s) and not came_back(engine, load, kills_s[-1]))


def came_back(engine: Engine, load: Load, since_s: float) -> bool:
    try:
        wait_until(engine.whole, BACK_S, "all servers answer")
        load.wait_fresh(since_s, BACK_S)
    except TimeoutError:
        return False
    return True


def add_back(report: Report, back: Sequence[float | None]) -> None:
    """Times from a kill to acks of all partitions; kills that another one followed before that have none."""
    known = sorted(after for after in back if after is not None)
    report.counts["killed again before that"] = len(back) - len(known)
    report.seconds["acks from all again, p50"] = percentile(known, 0.5) if known else None
    report.seconds["p95"] = percentile(known, 0.95) if known else None
    report.seconds["worst"] = known[-1] if known else None
