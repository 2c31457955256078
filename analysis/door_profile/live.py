"""CPU per request of running fronts, by the processes' own accounting: the front door's, and the bare proxy's."""

import contextlib
import statistics
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from analysis.door_bench.peers import FRONTS, Front, backends, started
from analysis.door_bench.pinning import cores
from analysis.door_bench.rounds import Ground, Measurement, quiet_one
from analysis.door_bench.scenarios import SCENARIOS
from analysis.ports import free_ports

SCENARIO = SCENARIOS["get-32"]


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds a request, medians over the rounds. `total_us` is that of all processes, `data_us` the worker's."""

    rate: float
    total_us: float
    data_us: float
    user_us: float
    system_us: float
    foreign: float


def live(rounds: int, seconds: float) -> dict[str, Cost]:
    """Of `carousel` and `bare`, measured in turns."""
    at = cores()
    made: dict[str, list[Measurement]] = {name: [] for name in MEASURED}
    with backends(at.load) as running:
        ground = Ground(running, at, seconds, patience=2, fronts=MEASURED)
        for number in range(rounds):
            for name, found in made.items():
                found.append(quiet_one(ground, SCENARIO, name, number))
    return {name: _cost(found) for name, found in made.items()}


@contextlib.contextmanager
def bare(ports: Sequence[int], workers: int, on: set[int]) -> Generator[Front]:
    """The least that proxies (bare.py), of one worker whatever is asked."""
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "analysis.door_profile.bare", str(port), *map(str, ports)]
    with started(command, on, port) as pid:
        yield Front("bare", port, pid, pid)


MEASURED = {"carousel": FRONTS["carousel"], "bare": bare}


def _cost(found: Sequence[Measurement]) -> Cost:
    def middle(field: str) -> float:
        return statistics.median(getattr(one, field) for one in found)

    user_share = statistics.median(one.user_us / one.cpu_us for one in found)
    data_us = middle("data_us")
    return Cost(
        middle("rate"), middle("cpu_us"), data_us, data_us * user_share, data_us * (1 - user_share), middle("foreign")
    )
