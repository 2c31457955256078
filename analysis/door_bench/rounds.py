"""The rounds: in each, every front meets every scenario once, and who begins changes.

On a machine with other work, a measurement may be spoilt: strangers take the core from whoever is measured. How much
they took is known (what the cores did, less what our processes did), so such a measurement is taken again, a bounded
number of times, and the quietest one counts. That looks at the strangers only, never at the figures.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from analysis.door_bench.accounting import CpuTime, busy_s, core_ticks, cpu_times, pss_of, rss_bytes, spent, tree
from analysis.door_bench.load import Load, wrk
from analysis.door_bench.peers import FRONTS, Backends, Front, Start
from analysis.door_bench.pinning import Cores
from analysis.door_bench.scenarios import Scenario

WARM_UP_S = 2.0
QUIET = 0.05
"""Strangers may take so much of one core's time without a measurement being repeated."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One front under one scenario in one round; times are per request.

    `cpu_us` is that of all the front's processes, `data_us` of the one that carries requests (of the first, if there
    are two), `wrk_us` and `backends_us` what the other core was busy with. `front_busy` and `load_busy` are the parts
    of their time that the cores worked, for whomever, and `foreign` what strangers took, in cores. `failed` must be 0.
    """

    scenario: str
    round: int
    front: str
    requests: int
    failed: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    user_us: float
    system_us: float
    data_us: float
    wrk_us: float
    backends_us: float
    pss_bytes: int
    data_rss_bytes: int
    front_busy: float
    load_busy: float
    foreign: float
    retakes: int = 0


@dataclass(frozen=True, slots=True)
class Ground:
    """Where it is measured: the backends, the cores, for how long, and how often again if it was not quiet."""

    backends: Backends
    at: Cores
    seconds: float
    patience: int = 0
    fronts: Mapping[str, Start] = field(default_factory=lambda: FRONTS)


def rounds(ground: Ground, scenarios: Sequence[Scenario], fronts: Sequence[str], count: int) -> Iterator[Measurement]:
    """One measurement after another, as they are made."""
    for number in range(count):
        for place, scenario in enumerate(scenarios):
            for name in turned(fronts, number + place):
                yield quiet_one(ground, scenario, name, number)


def turned(names: Sequence[str], by: int) -> list[str]:
    """The same names, another first."""
    by %= len(names)
    return [*names[by:], *names[:by]]


def quiet_one(ground: Ground, scenario: Scenario, name: str, number: int) -> Measurement:
    """One that strangers left alone, as far as the ground's patience goes."""
    return quietest(lambda: measure(ground, scenario, name, number), ground.patience)


def quietest(take: Callable[[], Measurement], patience: int) -> Measurement:
    """Take one until it was quiet, at most `patience` times again; the quietest of them."""
    taken = [take()]
    while taken[-1].foreign > QUIET and len(taken) <= patience:
        taken.append(take())
    return replace(min(taken, key=lambda one: one.foreign), retakes=len(taken) - 1)


def measure(ground: Ground, scenario: Scenario, name: str, number: int) -> Measurement:
    """Start the front, warm it up, load it, end it."""
    at = ground.at
    on = {at.front} if scenario.workers == 1 else {at.front, at.load}
    with ground.fronts[name](ground.backends.ports, scenario.workers, on) as front:
        wrk(front.url, scenario, min(WARM_UP_S, ground.seconds), at.load)
        return _loaded(ground, scenario, front, number)


def _loaded(ground: Ground, scenario: Scenario, front: Front, number: int) -> Measurement:
    begun, cores_before = monotonic(), core_ticks()
    before, backends_before = cpu_times(front.pids()), cpu_times(tree(ground.backends.pid))
    load = wrk(front.url, scenario, ground.seconds, ground.at.load)
    after, backends_after = cpu_times(front.pids()), cpu_times(tree(ground.backends.pid))
    window_s, cores_after = monotonic() - begun, core_ticks()
    used = Used(
        front=spent(before, after),
        data=spent(before, {front.data_pid: after[front.data_pid]}),
        backends=spent(backends_before, backends_after),
        front_core=busy_s(cores_before, cores_after, ground.at.front) / window_s,
        load_core=busy_s(cores_before, cores_after, ground.at.load) / window_s,
        window_s=window_s,
    )
    return measurement(scenario, number, front, load, used)


@dataclass(frozen=True, slots=True)
class Used:
    """What was used in a window of `window_s`: CPU times of the front, of its data-path process and of the backends;
    the shares in which the two cores were busy."""

    front: CpuTime
    data: CpuTime
    backends: CpuTime
    front_core: float
    load_core: float
    window_s: float


def measurement(scenario: Scenario, number: int, front: Front, load: Load, used: Used) -> Measurement:
    """Put together what was read; the front's memory is read now."""
    us = 1e6 / max(load.requests, 1)
    pids = front.pids()
    cpu_us, user_share = used.front.run_s * us, used.front.user_share
    ours_s = used.front.run_s + used.backends.run_s + load.cpu_s
    return Measurement(
        scenario=scenario.name, round=number, front=front.name,
        requests=load.requests, failed=load.failed, rate=load.rate, p50_ms=load.p50_ms, p99_ms=load.p99_ms,
        cpu_us=cpu_us, user_us=cpu_us * user_share, system_us=cpu_us * (1 - user_share),
        data_us=used.data.run_s * us, wrk_us=load.cpu_s * us, backends_us=used.backends.run_s * us,
        pss_bytes=pss_of(pids), data_rss_bytes=rss_bytes(front.data_pid),
        front_busy=used.front_core, load_busy=used.load_core,
        foreign=max(used.front_core + used.load_core - ours_s / used.window_s, 0),
    )  # fmt: skip
