"""One balance experiment: a running system of its own, the same requests at each size, counts beside exact shares."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analysis.asking import Advance, ask_all
from analysis.measures import agreement, spread
from analysis.running import Running, running
from analysis.workloads import ROUTE_BY, six_digit_keys
from loadbalancer.policy_maglev import table_of
from loadbalancer.ring import Ring, RingMember, RingSpec, build_ring

SEEDED, OWN = "seeded", "own"
"""Keys from the client's seed by header, or the front door's own random ids."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a system is started with."""

    ring_hash: str = "mmh3"
    policy: str = "ring"
    keys: str = SEEDED

    @property
    def flags(self) -> tuple[str, ...]:
        route_by = ROUTE_BY if self.keys == SEEDED else "random"
        return "--ring-hash", self.ring_hash, "--policy", self.policy, "--route-by", route_by


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything; the seed is that of the keys."""

    requests: int
    seed: int
    rate: float = 1000.0
    fleets: tuple[int, ...] = (2, 3, 4, 5, 6)


def sweep(setup: Setup, fleets: Sequence[int], size: Size, advance: Advance) -> list[dict[str, Any]]:
    """A figure for each fleet, smallest first: one system that grows by /add, whose newcomers take all at once."""
    figures: list[dict[str, Any]] = []
    with running(*setup.flags, "--slow-start", "0", replicas=fleets[0]) as system:
        for fleet in fleets:
            grow(system, fleet)
            figures.append(measured(system, setup, size, advance))
    return figures


def grow(system: Running, fleet: int) -> None:
    """Raises RuntimeError if /add does."""
    missing = fleet - len(system.names())
    if missing > 0:
        status, answer = system.call("POST", "/add", {"n": missing})
        if status != 200:
            raise RuntimeError(f"/add answered {status}: {answer}")


def measured(system: Running, setup: Setup, size: Size, advance: Advance) -> dict[str, Any]:
    """Send the requests to the system as it is now; the figure as JSON keeps it.

    Every setup gets the same keys, so that setups compare; every size of the fleet its own, so that p-values don't hang
    together.
    """
    fleet = len(system.names())
    keys = six_digit_keys(size.seed, size.requests, fleet) if setup.keys == SEEDED else [None] * size.requests
    tally = asyncio.run(ask_all(f"{system.url}/home", keys, advance))
    return figure(setup, system.cluster(), tally.by_name, tally.failed)


def figure(setup: Setup, cluster: dict[str, Any], counts: Counter[str], failed: Counter[str]) -> dict[str, Any]:
    """Counts and shares by name in order of index, and what they amount to."""
    ordered = sorted(cluster["replicas"], key=lambda replica: replica["index"])
    names = {replica["node_id"]: replica["name"] for replica in ordered}
    by_name = {name: counts[name] for name in names.values()}
    shares = expected_shares(setup.policy, cluster)
    named = None if shares is None else {name: shares[node_id] for node_id, name in names.items()}
    return {
        **asdict(setup),
        "n": len(names),
        "requests": sum(counts.values()) + sum(failed.values()),
        "failed": dict(failed),
        "counts": by_name,
        "shares": named,
        **asdict(spread(list(by_name.values()))),
        **tested(by_name, named),
    }


def tested(counts: dict[str, int], shares: dict[str, float] | None) -> dict[str, Any]:
    """The chi-squared test as JSON keeps it; nulls where there is no share to test against."""
    if shares is None:
        return {"chi_squared": None, "freedom": None, "p_value": None}
    return asdict(agreement(counts, shares))


def expected_shares(policy: str, cluster: dict[str, Any]) -> dict[int, float] | None:
    """The exact share of each node id for policies that go by the key alone; None for those that look at the load."""
    ring = ring_of(cluster)
    weighted = tuple((member.node_id, member.weight) for member in ring.members)
    match policy:
        case "ring":
            return {node_id: float(share) for node_id, share in ring.shares().items()}
        case "maglev":
            return _parts(table_of(weighted))
        case "rendezvous":
            return _parts(node_id for node_id, weight in weighted for _ in range(weight))
        case _:
            return None


def _parts(holders: Iterable[int]) -> dict[int, float]:
    counted = Counter(holders)
    return {node_id: count / counted.total() for node_id, count in counted.items()}


def ring_of(cluster: dict[str, Any]) -> Ring:
    """The ring that GET /admin/cluster describes, as each data-path worker builds it."""
    described = cluster["ring"]
    members = [RingMember(m["node_id"], m["index"], m["weight"], tuple(m["slots"])) for m in described["members"]]
    return build_ring(RingSpec(described["hash"], described["probe"]), members)
