"""How evenly each ring shares out the keys, and what it costs: `python -m analysis.ring_shares [--json
PATH]`.

Shares are exact (every slot counted), not sampled. The hashed ring is measured on random sets of node ids,
since its spread is a matter of luck; the course presets on indexes 1 … N, where their polynomials leave
nothing to luck.
"""

import argparse
import json
import random
import statistics
import timeit
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from analysis.provenance import provenance
from loadbalancer import ring_hashed
from loadbalancer.hashes import PRESETS
from loadbalancer.ring import Ring, RingMember, RingSpec, build_ring

FEWEST, MOST = 3, 16
SETS = 100
LARGEST_FLEET = 64
NODE_IDS = range(1, 100_000)
LOOKUPS = 100_000
SPREAD_LIMIT, LOOKUP_LIMIT_NS, REBUILD_LIMIT_MS = 1.05, 1000, 100


@dataclass(frozen=True, slots=True)
class Spread:
    """Largest share over mean share, for rings of `members`: the worst of all sets and the usual one."""

    members: int
    worst: float
    median: float


@dataclass(frozen=True, slots=True)
class Costs:
    """The best of several runs, in one process. Cold: no points kept from an earlier ring."""

    lookup_ns: float
    build_cold_ms: float
    rebuild_ms: float
    add_member_ms: float
    remove_member_ms: float


def max_over_mean(ring: Ring) -> float:
    shares = ring.shares().values()
    return float(max(shares) * len(shares))


def growing(node_ids: list[int], spec: RingSpec) -> Iterator[Ring]:
    """The rings of the first FEWEST … MOST of these."""
    members = [RingMember(node_id, index) for index, node_id in enumerate(node_ids, 1)]
    ring = build_ring(spec, members[:FEWEST])
    yield ring
    for member in members[FEWEST:]:
        ring = ring.with_member(member)
        yield ring


def hashed_spread(sets: int, seed: int) -> list[Spread]:
    """The spread of the mmh3 ring over `sets` random sets of node ids."""
    chance = random.Random(seed)
    found: dict[int, list[float]] = {members: [] for members in range(FEWEST, MOST + 1)}
    for _ in range(sets):
        for ring in growing(chance.sample(NODE_IDS, MOST), RingSpec()):
            found[len(ring.members)].append(max_over_mean(ring))
    return [Spread(members, max(values), statistics.median(values)) for members, values in found.items()]


def course_spread(hash_name: str, probe: str) -> list[Spread]:
    rings = growing(list(range(1, MOST + 1)), RingSpec(hash_name, probe))
    return [Spread(len(ring.members), max_over_mean(ring), max_over_mean(ring)) for ring in rings]


def lookup_ns(ring: Ring) -> float:
    """Of one owner(), over random six-digit keys, the loop's own time included."""
    chance = random.Random(1)
    keys = [chance.randrange(100_000, 1_000_000) for _ in range(LOOKUPS)]
    owner = ring.owner

    def look_up_all() -> None:
        for key in keys:
            owner(key)

    return _best_s(look_up_all) / LOOKUPS * 1e9


def costs(spec: RingSpec, fleet: int) -> Costs:
    """What a ring of `fleet` members of weight 1 costs."""
    members = [RingMember(node_id, node_id) for node_id in range(1, fleet + 1)]
    last = members[-1]
    ring, smaller = build_ring(spec, members), build_ring(spec, members[:-1])
    return Costs(
        lookup_ns=lookup_ns(ring),
        build_cold_ms=_best_s(lambda: _build_cold(spec, members)) * 1e3,
        rebuild_ms=_best_s(lambda: build_ring(spec, members)) * 1e3,
        add_member_ms=_best_s(lambda: smaller.with_member(last)) * 1e3,
        remove_member_ms=_best_s(lambda: ring.without(last.node_id)) * 1e3,
    )


def _build_cold(spec: RingSpec, members: list[RingMember]) -> Ring:
    ring_hashed.forget_points()
    return build_ring(spec, members)


def _best_s(action: Callable[[], object]) -> float:
    return min(timeit.repeat(action, number=1, repeat=7))


def measure(sets: int, seed: int) -> dict[str, Any]:
    """All figures, as JSON keeps them."""
    hashed = hashed_spread(sets, seed)
    largest = {"mmh3": costs(RingSpec(), LARGEST_FLEET), "spec": costs(RingSpec("spec"), 56)}
    worst = max(spread.worst for spread in hashed)
    return {
        "provenance": provenance(),
        "ring": build_ring(RingSpec(), []).describe() | {"sets": sets, "seed": seed},
        "spread": {"mmh3": [asdict(spread) for spread in hashed]}
        | {name: [asdict(spread) for spread in course_spread(name, "linear")] for name in PRESETS},
        "costs": {name: asdict(cost) for name, cost in largest.items()},
        "worst_max_over_mean": worst,
        "met": {
            "spread": worst <= SPREAD_LIMIT,
            "lookup": largest["mmh3"].lookup_ns < LOOKUP_LIMIT_NS,
            "rebuild": largest["mmh3"].rebuild_ms < REBUILD_LIMIT_MS,
        },
    }


def show(figures: dict[str, Any], console: Console) -> None:
    spread = Table("N", "mmh3 worst", "mmh3 median", *PRESETS, title="Largest share over mean share, exact")
    columns = [figures["spread"][name] for name in ("mmh3", *PRESETS)]
    for row in zip(*columns, strict=True):
        first, *course = row
        numbers = [first["worst"], first["median"], *(preset["worst"] for preset in course)]
        spread.add_row(str(first["members"]), *(f"{number:.3f}" for number in numbers))
    console.print(spread)
    cost = Table("best of 7", "mmh3, 64 replicas", "spec, 56 replicas", title="Cost of the largest ring")
    for name in Costs.__slots__:
        cost.add_row(name, *(f"{figures['costs'][ring][name]:.4g}" for ring in ("mmh3", "spec")))
    console.print(cost)
    console.print(f"worst max/mean {figures['worst_max_over_mean']:.4f} over {figures['ring']['sets']} sets")
    console.print("met:", ", ".join(f"{what} {'yes' if met else 'NO'}" for what, met in figures["met"].items()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m analysis.ring_shares", description="Shares and costs of the rings")
    parser.add_argument("--json", type=Path, metavar="PATH", help="keep the figures there")
    parser.add_argument("--sets", type=int, default=SETS, help="random sets of node ids (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of those sets (%(default)s)")
    chosen = parser.parse_args()
    figures = measure(chosen.sets, chosen.seed)
    show(figures, Console())
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
