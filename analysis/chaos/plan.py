"""Which harm is done when: drawn from a seed, before anything runs. Pure.

Moments, kinds, lengths and strengths are the seed's. So is which replica is hit, as a place in the list of those that
are well at that moment, because names come and go. A run can so be made again with the same harm, though not to the
millisecond.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

BEFORE_S, AFTER_S = 1.0, 4.0
"""Without harm: at the start, and at the end, in which the last replacement is seen to serve."""
APART_S = 1.2
"""Between two harms, on average: a replacement takes some 0.3 s, and 1.5 s if nobody but heartbeats notices."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of harm. `share` says how often it comes; `lasts_s` between what bounds it lasts.

    `cuts`: an answer that has begun may be broken off by it, which HTTP can't mend. `ours`: it hits our own processes
    and not a replica.
    """

    share: int
    lasts_s: tuple[float, float] = (0.0, 0.0)
    cuts: bool = False
    ours: bool = False


KINDS = {
    "kill": Kind(6, cuts=True),  # kill -9
    "freeze": Kind(2, cuts=True),  # SIGSTOP, until the fleet finds out and kills it
    "pause": Kind(4, (0.1, 1.2), cuts=True),  # SIGSTOP and SIGCONT: below a second unnoticed, above it killed
    "slow": Kind(3, (0.5, 4.0)),  # each answer takes up to `strength` seconds more
    "reset": Kind(4, cuts=True),  # all its connections, by RST
    "deaf": Kind(3, (0.1, 1.5), cuts=True),  # accepts, and reads nothing
    "shut": Kind(3, (0.1, 1.0), cuts=True),  # refuses connections; those that are there go on
    "drop": Kind(3, (0.1, 0.5), cuts=True),  # acts on requests, and closes instead of answering
    "tear": Kind(3, (0.1, 0.5), cuts=True),  # closes within answers
    "replace": Kind(3),  # /rm of it, and /add
    "reload": Kind(1, ours=True),
    "control": Kind(1, ours=True),  # kill -9 of all of control
}
WORKERS_TOO = {"worker": Kind(2, ours=True)}
"""kill -9 of a data-path worker: what was under way in it is lost, whoever writes such a worker."""

STRENGTH_S = (0.05, 0.4)


@dataclass(frozen=True, slots=True)
class Fault:
    """`at_s` counts from the start of the load. `pick`, from 0 to below 1, chooses among those that may be hit."""

    at_s: float
    kind: str
    pick: float
    lasts_s: float
    strength: float


def plan(seed: int, seconds: float, workers_too: bool = False, apart_s: float = APART_S) -> tuple[Fault, ...]:
    """Every kind once before chance alone decides, so that a run that has the time for it misses none."""
    chance = random.Random(f"{seed}/plan")
    kinds = KINDS | WORKERS_TOO if workers_too else KINDS
    order = _order(chance, kinds)
    faults: list[Fault] = []
    at_s = BEFORE_S
    while at_s < seconds - AFTER_S:
        name = next(order)
        lasts_s = chance.uniform(*kinds[name].lasts_s)
        faults.append(Fault(at_s, name, chance.random(), lasts_s, chance.uniform(*STRENGTH_S)))
        at_s += chance.uniform(0.2 * apart_s, 1.8 * apart_s)
    return tuple(faults)


def _order(chance: random.Random, kinds: dict[str, Kind]) -> Iterator[str]:
    first = list(kinds)
    chance.shuffle(first)
    yield from first
    while True:
        yield chance.choices(list(kinds), [kind.share for kind in kinds.values()])[0]
