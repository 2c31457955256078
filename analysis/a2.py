"""A-2: the same requests on fleets of two to six: the mean load of a replica, and how far replicas are from it."""

from typing import Any

from analysis.asking import Advance
from analysis.balance import Setup, Size, sweep

SETUPS = (Setup("mmh3"), Setup("spec"))


def steps(size: Size) -> int:
    return len(SETUPS) * len(size.fleets) * size.requests


def run(size: Size, advance: Advance) -> dict[str, Any]:
    return {"runs": [figure for setup in SETUPS for figure in sweep(setup, size.fleets, size, advance)]}
