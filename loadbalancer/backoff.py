"""How long a place waits for its next incarnation: at once after an accident, longer and longer in a crash
loop."""

FIRST_DELAY_S = 0.5
MAX_DELAY_S = 30.0
SERVED_DEATHS = 3
"""No more deaths count of those that had become healthy, so their successors wait 1 s at most: the program works, and
what only it holds (its shards) is away until the next one is there. A start costs some 0.3 s of CPU, so one that serves
and dies again and again takes a third of a core at most."""
STEADY_S = 10.0
"""Healthy for this long, an incarnation proves that the place is sound: earlier deaths are forgotten.
(Kubernetes takes 10 minutes and systemd counts starts in 10 s; ours must tell a crash loop from a person
with kill -9.)"""


def deaths_in_a_row(before: int, healthy_since: float | None, now: float) -> int:
    """The count with this death in it, given the count before and since when the dead one had been
    healthy."""
    steady = healthy_since is not None and now - healthy_since >= STEADY_S
    return 1 if steady else before + 1


def delay_s(deaths: int, failed_starts: int) -> float:
    """0 after the first death, then 0.5 s doubling to 30 s. `failed_starts`: how many of the last of them came before
    the incarnation was healthy."""
    counted = min(deaths, failed_starts + SERVED_DEATHS)
    if counted <= 1:
        return 0.0
    return min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** min(counted - 2, 16))
