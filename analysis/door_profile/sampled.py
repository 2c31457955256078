"""Which functions the path in memory spends its time in, by sampling.

A timer of the process' CPU time interrupts it some hundred times a second, and the function that runs is noted: its own
time, not that of what it calls; C calls (regular expressions, joins, dictionaries) count as their caller's. CPython
delivers a signal at the next call or jump back, so single lines would mislead and neighbours may be off by a little.
"""

import signal
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType

PERIOD_S = 0.001
OURS = ("loadbalancer", "wire")


def sampled(work: Callable[[], object]) -> Counter[str]:
    """Samples by function (`module:Class.function`) while `work` runs; functions that are not the front door's are
    left out. For the main thread."""
    seen: Counter[CodeType] = Counter()

    def note(_number: int, frame: FrameType | None) -> None:
        if frame is not None:
            seen[frame.f_code] += 1

    before = signal.signal(signal.SIGPROF, note)
    signal.setitimer(signal.ITIMER_PROF, PERIOD_S, PERIOD_S)
    try:
        work()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return _named(seen)


def _named(seen: Counter[CodeType]) -> Counter[str]:
    named: Counter[str] = Counter()
    for code, count in seen.items():
        parts = code.co_filename.removesuffix(".py").split("/")
        root = next((at for at, part in enumerate(parts) if part in OURS), None)
        if root is not None:
            named[f"{'.'.join(parts[root:])}:{code.co_qualname}"] += count
    return named


def shares(samples: Counter[str], whole_us: float) -> dict[str, float]:
    """Microseconds of each function if all of them took `whole_us` together, the largest first."""
    total = samples.total()
    return {name: whole_us * count / total for name, count in samples.most_common()} if total else {}
