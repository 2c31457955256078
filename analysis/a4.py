"""A-4: hash presets and policies side by side over A-1 and A-2: presets under `ring`, policies over `mmh3`."""

from typing import Any

from analysis.asking import Advance
from analysis.balance import Setup, Size, sweep

HASHES = ("mmh3", "spec", "alt", "linear")
POLICIES = ("ring", "bounded", "maglev", "rendezvous", "p2c")
SETUPS = (*(Setup(ring_hash) for ring_hash in HASHES), *(Setup("mmh3", policy) for policy in POLICIES[1:]))


def steps(size: Size) -> int:
    return len(SETUPS) * len(size.fleets) * size.requests


def run(size: Size, advance: Advance) -> dict[str, Any]:
    return {"runs": [figure for setup in SETUPS for figure in sweep(setup, size.fleets, size, advance)]}
