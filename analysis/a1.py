"""A-1: asynchronous requests on three replicas, counted by replica, beside the ring's exact shares.

Four runs: the default ring and the course's, each with keys from the client's seed and with the front door's own ids.
"""

from typing import Any

from analysis.asking import Advance
from analysis.balance import OWN, SEEDED, Setup, Size, sweep

FLEET = 3
SETUPS = tuple(Setup(ring_hash, "ring", keys) for ring_hash in ("mmh3", "spec") for keys in (SEEDED, OWN))


def steps(size: Size) -> int:
    """Requests in all, for the progress bar."""
    return len(SETUPS) * size.requests


def run(size: Size, advance: Advance) -> dict[str, Any]:
    return {"runs": [figure for setup in SETUPS for figure in sweep(setup, [FLEET], size, advance)]}
