"""What a data-path worker counts, and how control adds the workers up.

All numbers are cumulative since the start of the process, except the gauges (what is under way now). So a
lost message loses nothing, and a worker that was replaced is accounted for by keeping its last word
(`Totals`).

The hot path pays one list index for the code class and one for the latency: the buckets are powers of two
microseconds, so that a bucket is found by `int.bit_length`, without a search.
"""

from collections.abc import Collection, Iterable
from typing import Any, TypedDict, cast

BUCKETS = 28
"""Bucket i counts requests that took less than 2**i µs (and not less than half of it); the last takes all
above 67 s."""
BOUNDS_S = tuple(2**i / 1e6 for i in range(BUCKETS - 1))

CLASSES = ("0xx", "1xx", "2xx", "3xx", "4xx", "5xx")
"""Code classes by status // 100; `0xx` are requests whose client or replica left before the answer was
whole."""

KEPT_NODES = 256
"""How many nodes are counted: four fleets of the largest size. Ids are never used again, and a fleet that comes and
goes with the load would fill reports for ever."""

NOBODY = -1
"""The node id of answers that no replica gave: those of the worker itself, and control's."""

PROXY = "proxy"
ADMIN = "admin"
QUEUE = "queue"
"""The routes: to a replica, to control, and the queue's HTTP calls to a replica."""

GAUGES = frozenset(("in_flight", "client_connections", "upstream_connections", "tunnels", "queue_connections"))


KEPT_PARTED = 64
"""Workers that have parted and may come back: more than there are slots."""


class Report(TypedDict):
    """What a worker sends; `Totals.sum` has the same shape. Node ids are text, because JSON's keys are."""

    requests: dict[str, dict[str, dict[str, int]]]  # route -> node id -> code class -> requests
    latency: dict[str, list[int]]  # route -> requests by bucket
    latency_sum_s: dict[str, float]  # route -> seconds
    in_flight: dict[str, int]  # node id -> requests under way
    ejections: dict[str, int]  # node id -> ejections by this worker's own signs
    retries: int
    retries_denied: int
    hedges: int  # second tries beside a slow first one
    hedges_won: int
    rate_limited: int  # requests refused with 429
    dns_failures: int
    client_connections: int
    clients_accepted: int
    clients_refused: int
    upstream_connections: int
    tunnels: int  # connections that have changed their protocol
    bytes_in: int  # from clients
    bytes_out: int  # to clients
    tls_handshakes: int
    tls_resumed: int  # those of them that went on with an earlier session
    tls_handshake_failures: int
    access_log_dropped: int  # lines that were not written
    queue_connections: int  # passed through to the servers' queue
    queue_accepted: int
    queue_refused: int  # past the limit
    queue_unreached: int  # no server could be reached for them
    queue_bytes_in: int  # from the queue's clients
    queue_bytes_out: int  # to them


class Latency:
    """A histogram over BUCKETS and the sum of what went into it."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        self.sum_s += seconds
        bucket = int(seconds * 1e6).bit_length()
        self.counts[bucket if bucket < BUCKETS else BUCKETS - 1] += 1


class Counters:
    """One worker's counters; the owners of the events count up its attributes."""

    def __init__(self) -> None:
        self.latency = {PROXY: Latency(), ADMIN: Latency(), QUEUE: Latency()}
        self.in_flight: dict[int, int] = {}
        self.ejections: dict[int, int] = {}
        self.retries = 0
        self.retries_denied = 0
        self.hedges = 0
        self.hedges_won = 0
        self.rate_limited = 0
        self.dns_failures = 0
        self.client_connections = 0
        self.clients_accepted = 0
        self.clients_refused = 0
        self.upstream_connections = 0
        self.tunnels = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.tls_handshakes = 0
        self.tls_resumed = 0
        self.tls_handshake_failures = 0
        self.access_log_dropped = 0
        self.queue_connections = 0
        self.queue_accepted = 0
        self.queue_refused = 0
        self.queue_unreached = 0
        self.queue_bytes_in = 0
        self.queue_bytes_out = 0
        self._codes: dict[tuple[str, int], list[int]] = {}

    def codes(self, route: str, node_id: int) -> list[int]:
        """The live list of answers by code class, to be counted up by index."""
        return self._codes.setdefault((route, node_id), [0] * len(CLASSES))

    def ejected(self, node_id: int) -> None:
        self.ejections[node_id] = self.ejections.get(node_id, 0) + 1

    def forget_departed(self, present: Collection[int]) -> None:
        """Past KEPT_NODES, drop the lowest ids of those that are not `present`."""
        departed = sorted(self.in_flight.keys() - present - {NOBODY})
        for node_id in departed[: max(0, len(self.in_flight) - KEPT_NODES)]:
            del self.in_flight[node_id]
            self.ejections.pop(node_id, None)
            self._codes.pop((PROXY, node_id), None)
            self._codes.pop((QUEUE, node_id), None)

    def to_json(self) -> Report:
        return Report(
            requests=self._requests(),
            latency={route: list(latency.counts) for route, latency in self.latency.items()},
            latency_sum_s={route: latency.sum_s for route, latency in self.latency.items()},
            in_flight={str(node): count for node, count in self.in_flight.items()},
            ejections={str(node): count for node, count in self.ejections.items()},
            retries=self.retries,
            retries_denied=self.retries_denied,
            hedges=self.hedges,
            hedges_won=self.hedges_won,
            rate_limited=self.rate_limited,
            dns_failures=self.dns_failures,
            client_connections=self.client_connections,
            clients_accepted=self.clients_accepted,
            clients_refused=self.clients_refused,
            upstream_connections=self.upstream_connections,
            tunnels=self.tunnels,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            tls_handshakes=self.tls_handshakes,
            tls_resumed=self.tls_resumed,
            tls_handshake_failures=self.tls_handshake_failures,
            access_log_dropped=self.access_log_dropped,
            queue_connections=self.queue_connections,
            queue_accepted=self.queue_accepted,
            queue_refused=self.queue_refused,
            queue_unreached=self.queue_unreached,
            queue_bytes_in=self.queue_bytes_in,
            queue_bytes_out=self.queue_bytes_out,
        )

    def _requests(self) -> dict[str, dict[str, dict[str, int]]]:
        requests: dict[str, dict[str, dict[str, int]]] = {PROXY: {}, ADMIN: {}, QUEUE: {}}
        for (route, node_id), counts in self._codes.items():
            seen = {name: count for name, count in zip(CLASSES, counts, strict=True) if count}
            if seen:
                requests[route][str(node_id)] = seen
        return requests


EMPTY_REPORT: Report = Counters().to_json()


def merge(reports: Iterable[Report]) -> Report:
    """The sum of all, number by number; unknown fields are skipped, so that versions of workers may be
    mixed."""
    total: Any = EMPTY_REPORT
    for report in reports:
        total = {name: _add(value, report.get(name)) for name, value in total.items()}
    return total


def without_gauges(report: Report) -> Report:
    """What stays true of a process that has ended: nothing is under way in it."""
    empty = {name: value for name, value in EMPTY_REPORT.items() if name in GAUGES}
    ended: Any = {**EMPTY_REPORT, **report, **empty}
    return ended


class Totals:
    """The sum over all workers that ever were, so that Prometheus never sees a counter go back.

    A worker whose connection broke off comes back and goes on counting, so the newest that have parted are kept one
    by one, to be taken out again.
    """

    def __init__(self) -> None:
        self._live: dict[int, Report] = {}
        self._parted: dict[int, Report] = {}
        self._ended = EMPTY_REPORT

    def hear(self, pid: int, report: Report) -> None:
        """A worker's newest report replaces its older one."""
        self._parted.pop(pid, None)
        self._live[pid] = report

    def end(self, pid: int) -> None:
        """That worker is gone; its last report is kept in the sum. An unknown pid is let pass."""
        report = self._live.pop(pid, None)
        if report is not None:
            self._parted[pid] = without_gauges(report)
        if len(self._parted) > KEPT_PARTED:
            self._ended = merge((self._ended, self._parted.pop(next(iter(self._parted)))))

    def sum(self) -> Report:
        return merge((self._ended, *self._parted.values(), *self._live.values()))


def _add(left: Any, right: Any) -> Any:
    """Numbers, lists of them by position, dicts of either by key; None adds nothing."""
    if right is None:
        return left
    if isinstance(left, dict):
        return _add_dicts(cast(dict[str, Any], left), right)
    if isinstance(left, list):
        return [a + b for a, b in zip(cast(list[int], left), right, strict=True)]
    return left + right


def _add_dicts(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return right | {name: _add(value, right.get(name)) for name, value in left.items()}
