"""Which client processes a load takes, and what comes of their words together. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from analysis.queue_bench.asked import Ask, Told, shares
from analysis.queue_bench.scenarios import CROWD, HTTP_CLIENTS, PACE, WAITING, Load, Scenario

PROCESSES: Final = 2
"""Among which the producers that wait are shared: 64 threads of one Python process wait for its lock, not for acks."""
TOOLS: Final = "tools-"
HTTP: Final = "http-"


@dataclass(frozen=True, slots=True)
class Where:
    """An engine's product (a name in loads.PRODUCTS), address and front door."""

    product: str
    address: str
    url: str = ""


def asks(scenario: Scenario, load: Load, where: Where, topic: str, count: int) -> list[Ask]:
    """One for each process. Where messages come and go at once, the receiver is the first."""
    ask = Ask(
        where.product, load.kind, where.address, topic, count, scenario.size, scenario.partitions, scenario.synced,
        url=where.url,
    )  # fmt: skip
    if load.kind == "waiting":
        return [
            replace(ask, count=part, clients=WAITING // PROCESSES, first=place * WAITING // PROCESSES)
            for place, part in enumerate(shares(count, PROCESSES))
        ]
    if load.kind == "end-to-end":
        return [replace(ask, kind=kind, rate=PACE) for kind in ("receive", "paced")]
    if load.kind == "crowd":
        return [replace(ask, kind=kind, clients=CROWD) for kind in ("crowd-consume", "crowd-produce")]
    if load.kind.startswith(TOOLS):
        return [replace(ask, product="kafka-tools", kind=load.kind.removeprefix(TOOLS))]
    if load.kind.startswith(HTTP):
        return [replace(ask, product="http", kind=load.kind.removeprefix(HTTP), clients=HTTP_CLIENTS)]
    return [ask]


def combined(load: Load, count: int, size: int, told: Sequence[Told]) -> dict[str, float]:
    """The metrics that the clients' words give: rate, MB/s, client CPU in seconds for a million, latencies.

    Of several processes that each know percentiles the mean is taken, weighted alike: they did the same.
    """
    seconds = max(one.ended for one in told) - min(one.begun for one in told)
    found = {"rate": count / seconds, **_means([one.metrics for one in told if one.metrics])}
    if load.kind.startswith(HTTP):
        return {**found, "client_cpu": sum(one.cpu_s for one in told) / count * 1e6}
    cpu = sum(one.cpu_s for one in told) / count * 1e6
    return {**found, "mb_s": found["rate"] * size / 1e6, "client_cpu": cpu}


def _means(many: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(one[name] for one in many) / len(many) for name in (many[0] if many else ())}
