"""`/metrics`: Prometheus text of all data-path workers and of control together.

The counting happened elsewhere (`counters.Totals` keeps the sums from going back when a worker dies);
this is a table of names. Labels stay few: node id, code class, route. Answers that no replica gave have
the node `none`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from loadbalancer.counters import BOUNDS_S, EMPTY_REPORT, NOBODY, Report

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NO_NODE = "none"
FIRST_BOUND = 5
"""The first bound shown is 32 µs: nothing crosses two sockets faster, and each bound is a series a route."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All that is shown. `report` sums over workers that are and were; `replicas` counts them by state."""

    report: Report = field(default_factory=lambda: EMPTY_REPORT)
    respawns: int = 0
    ring_members: int = 0
    ring_virtual_nodes: int = 0
    replicas: Mapping[str, int] = field(default_factory=dict[str, int])
    workers: int = 0
    loop_lag_s: float = 0.0
    version: str = ""
    runtime: str = ""
    ring_hash: str = ""
    policy: str = ""
    queue: Mapping[str, Any] | None = None
    """Queue.view's; None: there is no queue."""


COUNTERS: tuple[tuple[str, str, Callable[[Reading], float]], ...] = (
    ("retries", "Requests tried again on another replica.", lambda r: r.report["retries"]),
    ("retries_denied", "Retries that the budget did not allow.", lambda r: r.report["retries_denied"]),
    ("hedges", "Slow requests sent to a second replica too.", lambda r: r.report["hedges"]),
    ("hedges_won", "Those that the second replica answered first.", lambda r: r.report["hedges_won"]),
    ("rate_limited", "Requests refused by the rate limit.", lambda r: r.report["rate_limited"]),
    ("dns_failures", "Names of backends that could not be resolved, each time.", lambda r: r.report["dns_failures"]),
    ("respawns", "Replicas started in the place of others.", lambda r: r.respawns),
    ("clients_accepted", "Connections taken from clients.", lambda r: r.report["clients_accepted"]),
    (
        "clients_refused",
        "Connections of clients past the limit, or without the PROXY header asked of them.",
        lambda r: r.report["clients_refused"],
    ),
    ("received_bytes", "Bytes from clients.", lambda r: r.report["bytes_in"]),
    ("sent_bytes", "Bytes to clients.", lambda r: r.report["bytes_out"]),
    ("tls_handshakes", "Connections by TLS.", lambda r: r.report["tls_handshakes"]),
    ("tls_resumed", "Those of them that went on with an earlier session.", lambda r: r.report["tls_resumed"]),
    (
        "tls_handshake_failures",
        "Connections to the TLS port that never got through the handshake.",
        lambda r: r.report["tls_handshake_failures"],
    ),
    ("access_log_dropped", "Lines not written to the access log.", lambda r: r.report["access_log_dropped"]),
    ("queue_accepted", "Connections taken at the queue's ports.", lambda r: r.report["queue_accepted"]),
    ("queue_refused", "Those past the limit.", lambda r: r.report["queue_refused"]),
    ("queue_unreached", "Those for which no server could be reached.", lambda r: r.report["queue_unreached"]),
    ("queue_received_bytes", "Bytes from clients at the queue's ports.", lambda r: r.report["queue_bytes_in"]),
    ("queue_sent_bytes", "Bytes to them.", lambda r: r.report["queue_bytes_out"]),
)
"""Those without labels: name without its prefix and `_total`, help, value."""

GAUGES: tuple[tuple[str, str, Callable[[Reading], float]], ...] = (
    ("ring_members", "Places in the layout, filled or not.", lambda r: r.ring_members),
    ("ring_virtual_nodes", "Virtual nodes on the ring.", lambda r: r.ring_virtual_nodes),
    ("client_connections", "Open connections of clients.", lambda r: r.report["client_connections"]),
    ("upstream_connections", "Open connections to replicas.", lambda r: r.report["upstream_connections"]),
    ("tunnels", "Connections that have changed their protocol.", lambda r: r.report["tunnels"]),
    ("queue_connections", "Open connections at the queue's ports.", lambda r: r.report["queue_connections"]),
    ("data_path_workers", "Data-path workers that report.", lambda r: r.workers),
    ("control_loop_lag_seconds", "How late control's loop last was.", lambda r: r.loop_lag_s),
)


_KAFKA = "kafka_controller_kafkacontroller_"

QUEUE_GAUGES: tuple[tuple[str, str, Callable[[Mapping[str, Any]], float]], ...] = (
    (f"{_KAFKA}activecontrollercount", "1: this control leads; 0: its state is lost.", lambda q: not q["lost"]),
    (f"{_KAFKA}activebrokercount", "Servers that are registered and not fenced.", lambda q: q["brokers"]),
    (f"{_KAFKA}fencedbrokercount", "Servers that are registered and fenced.", lambda q: q["fenced"]),
    (f"{_KAFKA}globaltopiccount", "Topics.", lambda q: q["topics"]),
    (f"{_KAFKA}globalpartitioncount", "Partitions of all topics.", lambda q: q["partitions"]),
    (f"{_KAFKA}offlinepartitionscount", "Partitions without a leader.", lambda q: q["offline"]),
    (
        f"{_KAFKA}preferredreplicaimbalancecount",
        "Partitions that their first replica doesn't lead.",
        lambda q: q["not_preferred"],
    ),
    ("carousel_queue_under_replicated_partitions", "With replicas out of sync.", lambda q: q["under_replicated"]),
    ("carousel_queue_moves_under_way", "Partitions on their way.", lambda q: q["moves"]["under_way"]),
    ("carousel_queue_moves_waiting", "Partitions that are to move.", lambda q: q["moves"]["waiting"]),
)
"""Named as Kafka's exporters name the controller's beans (prometheus/jmx_exporter's kafka-kraft example)."""


def render(reading: Reading) -> bytes:
    """The body of an answer whose type is CONTENT_TYPE."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(reading))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        reading = self._reading
        yield _info(reading)
        yield _requests(reading.report)
        yield _durations(reading.report)
        yield _by_node(
            GaugeMetricFamily("carousel_requests_in_flight", "Requests under way.", labels=["node"]),
            reading.report["in_flight"],
        )
        yield _by_node(
            CounterMetricFamily("carousel_ejections", "Ejections by a worker's own signs.", labels=["node"]),
            reading.report["ejections"],
        )
        yield _replicas(reading)
        for name, text, value in COUNTERS:
            yield CounterMetricFamily(f"carousel_{name}", text, value=value(reading))
        for name, text, value in GAUGES:
            yield GaugeMetricFamily(f"carousel_{name}", text, value=value(reading))
        if reading.queue is not None:
            for name, text, number in QUEUE_GAUGES:
                yield GaugeMetricFamily(name, text, value=number(reading.queue))


def _info(reading: Reading) -> Metric:
    labels = {
        "version": reading.version,
        "runtime": reading.runtime,
        "ring_hash": reading.ring_hash,
        "policy": reading.policy,
    }
    return InfoMetricFamily("carousel", "What runs here.", value=labels)


def _requests(report: Report) -> Metric:
    family = CounterMetricFamily(
        "carousel_requests",
        "Answered requests by code class; 0xx: a side left before the answer was whole.",
        labels=["node", "code", "route"],
    )
    for route, nodes in report["requests"].items():
        for node, codes in nodes.items():
            for code, count in codes.items():
                family.add_metric([_node(node), code, route], count)
    return family


def _durations(report: Report) -> Metric:
    family = HistogramMetricFamily(
        "carousel_request_duration_seconds", "From a request's head to its answer's end.", labels=["route"]
    )
    bounds = [*map(repr, BOUNDS_S), "+Inf"]
    for route, counts in report["latency"].items():
        buckets = list(zip(bounds, accumulate(counts), strict=True))[FIRST_BOUND:]
        family.add_metric([route], buckets, sum_value=report["latency_sum_s"][route])
    return family


def _by_node(
    family: GaugeMetricFamily | CounterMetricFamily, counts: Mapping[str, int]
) -> GaugeMetricFamily | CounterMetricFamily:
    for node, count in counts.items():
        family.add_metric([_node(node)], count)
    return family


def _replicas(reading: Reading) -> Metric:
    family = GaugeMetricFamily("carousel_replicas", "Replicas by state.", labels=["state"])
    for state, count in reading.replicas.items():
        family.add_metric([state], count)
    return family


def _node(node: str) -> str:
    return NO_NODE if node == str(NOBODY) else node
