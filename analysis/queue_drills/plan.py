"""What is done when: drawn from a seed, before anything runs. Pure.

Moments and picks are the seed's; a pick chooses among what is there at that moment. A run can so be made again with the
same harm, though not to the millisecond.
"""

import random
from dataclasses import dataclass

BEFORE_S = 1.0
"""Producers run that long before the first harm."""
SERVING_S = (0.0, 1.0)
"""A kill comes that long after all partitions have given acks again."""
STARTING_S = (0.0, 0.5)
"""One that hits the start comes that long after the kill before it: recovery is where logs are cut."""
STARTING_SHARE = 0.2
ADD_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Kill:
    """`wait_s` counts from when all serve again, or from the kill before it if it is to hit the `starting`. `pick`,
    from 0 to below 1, chooses among the servers."""

    wait_s: float
    starting: bool
    pick: float


@dataclass(frozen=True, slots=True)
class Change:
    """/add or /rm of `count` servers, `wait_s` after the change before it has settled."""

    wait_s: float
    adds: bool
    count: int


def kills(seed: int, times: int) -> tuple[Kill, ...]:
    chance = random.Random(f"{seed}/kills")
    drawn: list[Kill] = []
    for number in range(times):
        starting = number > 0 and chance.random() < STARTING_SHARE
        wait_s = chance.uniform(*(STARTING_S if starting else SERVING_S))
        drawn.append(Kill(wait_s, starting, chance.random()))
    return tuple(drawn)


def changes(seed: int, times: int, begins_with: int, most: int) -> tuple[Change, ...]:
    """Never below one server, never above `most`."""
    chance = random.Random(f"{seed}/changes")
    drawn: list[Change] = []
    have = begins_with
    for _ in range(times):
        adds = have == 1 or (have < most and chance.random() < ADD_SHARE)
        count = chance.randint(1, min(2, most - have if adds else have - 1))
        have += count if adds else -count
        drawn.append(Change(chance.uniform(*SERVING_S), adds, count))
    return tuple(drawn)
