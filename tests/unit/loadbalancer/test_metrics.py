import unittest
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from loadbalancer.counters import ADMIN, NOBODY, PROXY, Counters, Totals
from loadbalancer.metrics import NO_NODE, Reading, render

NAMES = {
    "carousel_requests", "carousel_request_duration_seconds", "carousel_requests_in_flight", "carousel_retries",
    "carousel_retries_denied", "carousel_ejections", "carousel_respawns", "carousel_ring_members",
    "carousel_ring_virtual_nodes", "carousel_replicas", "carousel_client_connections",
    "carousel_upstream_connections", "carousel_tunnels", "carousel_data_path_workers",
    "carousel_control_loop_lag_seconds", "carousel_info", "carousel_tls_handshakes", "carousel_tls_resumed",
    "carousel_tls_handshake_failures", "carousel_access_log_dropped", "carousel_queue_connections",
    "carousel_queue_accepted", "carousel_queue_refused", "carousel_queue_unreached", "carousel_queue_received_bytes",
    "carousel_queue_sent_bytes",
}  # fmt: skip
"""As dashboards know them (counters end in _total)."""


def counters() -> Counters:
    busy = Counters()
    busy.codes(PROXY, 1)[2] += 7
    busy.codes(PROXY, 1)[5] += 1
    busy.codes(ADMIN, NOBODY)[2] += 2
    for seconds in (0.000_01, 0.001, 0.001, 100.0):
        busy.latency[PROXY].add(seconds)
    busy.in_flight[1] = 3
    busy.ejected(2)
    busy.retries, busy.retries_denied = 5, 1
    busy.client_connections, busy.upstream_connections, busy.tunnels = 11, 4, 2
    return busy


READING = Reading(
    report=counters().to_json(), respawns=2, ring_members=3, ring_virtual_nodes=12288,
    replicas={"healthy": 2, "starting": 1}, workers=2, loop_lag_s=0.25,
    version="0.1.0", runtime="process", ring_hash="mmh3", policy="ring",
)  # fmt: skip


def samples(reading: Reading) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = render(reading).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class MetricsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.samples = samples(READING)

    def value(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset(labels.items())]

    def test_every_name_is_there_even_when_nothing_happened(self) -> None:
        text = render(Reading()).decode()
        self.assertLessEqual(NAMES, {family.name for family in text_string_to_metric_families(text)})

    def test_requests_by_node_code_class_and_route(self) -> None:
        self.assertEqual(7, self.value("carousel_requests_total", node="1", code="2xx", route="proxy"))
        self.assertEqual(1, self.value("carousel_requests_total", node="1", code="5xx", route="proxy"))
        self.assertEqual(2, self.value("carousel_requests_total", node=NO_NODE, code="2xx", route="admin"))

    def test_the_queue_has_kafka_s_names(self) -> None:
        moves = {"under_way": 6, "waiting": 7}
        queue = {"topics": 1, "partitions": 2, "offline": 3, "under_replicated": 4, "not_preferred": 5, "brokers": 8,
                 "fenced": 9, "moves": moves, "lost": False}  # fmt: skip
        found = samples(replace(READING, queue=queue))
        values = {name: value for (name, _), value in found.items() if "controller" in name or "carousel_queue" in name}
        kafka = "kafka_controller_kafkacontroller_"
        self.assertLessEqual(
            {
                f"{kafka}activecontrollercount": 1, f"{kafka}globaltopiccount": 1, f"{kafka}globalpartitioncount": 2,
                f"{kafka}offlinepartitionscount": 3, f"{kafka}preferredreplicaimbalancecount": 5,
                f"{kafka}activebrokercount": 8, f"{kafka}fencedbrokercount": 9,
                "carousel_queue_under_replicated_partitions": 4, "carousel_queue_moves_under_way": 6,
                "carousel_queue_moves_waiting": 7,
            }.items(),
            values.items(),
        )  # fmt: skip
        lost = samples(replace(READING, queue=queue | {"lost": True}))
        self.assertEqual(lost[f"{kafka}activecontrollercount", frozenset()], 0)
        self.assertFalse([name for name, _ in self.samples if name.startswith("kafka_")], "without a queue")

    def test_the_histogram_is_cumulative_and_whole(self) -> None:
        name = "carousel_request_duration_seconds"
        self.assertEqual(1, self.value(f"{name}_bucket", le="3.2e-05", route="proxy"))
        self.assertEqual(3, self.value(f"{name}_bucket", le="0.001024", route="proxy"))
        self.assertEqual(3, self.value(f"{name}_bucket", le="67.108864", route="proxy"))
        self.assertEqual(4, self.value(f"{name}_bucket", le="+Inf", route="proxy"))
        self.assertEqual(4, self.value(f"{name}_count", route="proxy"))
        self.assertAlmostEqual(100.00201, self.value(f"{name}_sum", route="proxy"))

    def test_the_rest(self) -> None:
        self.assertEqual(3, self.value("carousel_requests_in_flight", node="1"))
        self.assertEqual(1, self.value("carousel_ejections_total", node="2"))
        self.assertEqual(5, self.value("carousel_retries_total"))
        self.assertEqual(1, self.value("carousel_retries_denied_total"))
        self.assertEqual(2, self.value("carousel_respawns_total"))
        self.assertEqual(1, self.value("carousel_replicas", state="starting"))
        self.assertEqual(2, self.value("carousel_tunnels"))
        self.assertEqual(0.25, self.value("carousel_control_loop_lag_seconds"))
        info = {"version": "0.1.0", "runtime": "process", "ring_hash": "mmh3", "policy": "ring"}
        self.assertEqual(1, self.value("carousel_info", **info))

    def test_a_worker_s_death_takes_no_counter_back(self) -> None:
        totals = Totals()
        totals.hear(100, counters().to_json())
        totals.hear(101, counters().to_json())
        before = samples(replace(READING, report=totals.sum()))
        totals.end(100)
        after = samples(replace(READING, report=totals.sum()))
        counted = [key for key in before if key[0].endswith(("_total", "_bucket", "_count", "_sum"))]
        self.assertGreater(len(counted), 20)
        for key in counted:
            self.assertEqual(before[key], after[key], key)
        self.assertEqual(3, after["carousel_requests_in_flight", frozenset({("node", "1")})])


if __name__ == "__main__":
    unittest.main()
