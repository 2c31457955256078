"""`server.queue_metrics`: Kafka's names, true numbers, bounded series; read by Prometheus's own parser."""

import unittest
from typing import Any
from unittest import mock

from prometheus_client.parser import text_string_to_metric_families

from server import queue_metrics
from server.queue_metrics import metrics_text
from server.storage import StorageError
from server.traffic import Requests, Times
from tests.support.broker_world import ME, TOPIC_ID, BrokerWorld, batch
from wire.batches import read_header
from wire.versions import FETCH, PRODUCE

OFFSETS_ID = "0" * 31 + "2"

TOPIC = "kafka_server_brokertopicmetrics"
MANAGER = "kafka_server_replicamanager"


def read(world: BrokerWorld, requests: Requests | None = None, flushes: Times | None = None) -> dict[Any, float]:
    """Each sample's value by (name, its labels' values). Raises ValueError for what is no exposition."""
    text = metrics_text(world.broker, requests or Requests(), flushes or Times())
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(set(names)) == len(names), "each family once"
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
    assert len(found) == len(samples), "each series once"
    return found


def produce(world: BrokerWorld, *values: bytes, number: int = 0) -> int:
    """Bytes of the batch."""
    partition, data = world.partition(number=number), batch(*values)
    partition.append(data, read_header(data), world.now)
    partition.appended(world.now)
    world.turn()
    return len(data)


def fetch(world: BrokerWorld) -> int:
    """Bytes that a consumer got."""
    part = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1 << 20, "current_leader_epoch": -1}
    part |= {"last_fetched_epoch": -1, "log_start_offset": -1}
    values = {"replica_id": -1, "max_wait": 0, "min_bytes": 1, "max_bytes": 1 << 20, "isolation_level": 0}
    values |= {"session_id": 0, "session_epoch": -1, "forgotten_topics_data": [], "rack_id": ""}
    values |= {"topics": [{"topic": "t", "partitions": [part]}]}
    told = world.told(FETCH, world.ask(FETCH, 12, values))
    return len(told.responses[0].partitions[0].records)


class TopicsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.world = BrokerWorld()

    def test_what_came_in_and_went_out(self) -> None:
        self.world.create(partitions=2)
        size = produce(self.world, b"a", b"b") + produce(self.world, b"c", number=1)
        fetched = fetch(self.world) + fetch(self.world)
        found = read(self.world)
        for labels in ((), ("t",)):
            self.assertEqual(found[f"{TOPIC}_messagesin_total", *labels], 3)
            self.assertEqual(found[f"{TOPIC}_bytesin_total", *labels], size)
            self.assertEqual(found[f"{TOPIC}_bytesout_total", *labels], fetched)
        self.assertGreater(fetched, 0)

    def test_a_topic_goes_and_the_total_stays(self) -> None:
        self.world.create()
        produce(self.world, b"a")
        self.world.change({"type": "topic_gone", "id": TOPIC_ID})
        found = read(self.world)
        self.assertEqual(found[f"{TOPIC}_messagesin_total",], 1)
        self.assertNotIn((f"{TOPIC}_messagesin_total", "t"), found)

    def test_series_are_bounded(self) -> None:
        self.world.create(partitions=5)
        self.world.broker.traffic |= {f"u{number}": self.world.broker.traffic["t"] for number in range(5)}
        with mock.patch.multiple(queue_metrics, MAX_TOPICS=2, MAX_PARTITIONS=3):
            found = read(self.world)
        self.assertEqual([key[1] for key in found if key[0] == f"{TOPIC}_bytesin_total" and key[1:]], ["t", "u0"])
        self.assertEqual([key[2] for key in found if key[0] == "kafka_log_log_size"], ["0", "1", "2"])
        self.assertEqual(found["carousel_queue_topics_left_out",], 4)
        self.assertEqual(found["carousel_queue_partitions_left_out",], 2)


class ReplicasTest(unittest.TestCase):
    def setUp(self) -> None:
        self.world = BrokerWorld()

    def managed(self) -> tuple[float, ...]:
        found = read(self.world)
        names = "leadercount", "partitioncount", "underreplicatedpartitions", "offlinereplicacount"
        return tuple(found[f"{MANAGER}_{name}",] for name in names)

    def test_leaders_and_followers(self) -> None:
        self.world.create(partitions=2)
        self.world.change(
            self.world.other_broker(2), self.world.state(1, replicas=[ME, 2], leader=2, partition_epoch=1)
        )
        self.assertEqual(self.managed(), (1, 2, 0, 0))

    def test_an_isr_that_lacks_one(self) -> None:
        self.world.create(replicas=[ME, 2], isr=[ME])
        self.assertEqual(self.managed(), (1, 1, 1, 0))

    def test_a_failed_disk(self) -> None:
        self.world.create(partitions=2)
        self.world.broker.disk_failed(self.world.partition(), StorageError("gone", final=True), self.world.now)
        self.assertEqual(self.managed()[3], 1)

    def test_logs(self) -> None:
        self.world.create()
        size = produce(self.world, b"a", b"b") + produce(self.world, b"c")
        log = self.world.partition().log
        assert log is not None
        log.advance_start(1)
        found = read(self.world)
        self.assertEqual(found["kafka_log_log_size", "t", "0"], size)
        self.assertEqual(found["kafka_log_log_logstartoffset", "t", "0"], 1)
        self.assertEqual(found["kafka_log_log_logendoffset", "t", "0"], 3)


class RequestsTest(unittest.TestCase):
    def test_by_kafka_s_names(self) -> None:
        requests = Requests()
        for key, of_servers in ((PRODUCE, False), (FETCH, False), (FETCH, True), (22, False)):
            requests.of(key, of_servers).requests += 1
        requests.of(PRODUCE).times.add(0.0004)
        requests.of(PRODUCE).times.add(0.002)
        found = read(BrokerWorld(), requests)
        name = "kafka_network_requestmetrics"
        counted = [key[1] for key in found if key[0] == f"{name}_requests_total"]
        self.assertEqual(counted, ["Produce", "FetchConsumer", "FetchFollower", "InitProducerId"])
        self.assertEqual(found[f"{name}_totaltimems_count", "Produce"], 2)
        self.assertAlmostEqual(found[f"{name}_totaltimems_sum", "Produce"], 2.4)
        bounds = [found[f"{name}_totaltimems_bucket", "Produce", bound] for bound in ("0.25", "0.5", "2.5", "+Inf")]
        self.assertEqual(bounds, [0, 1, 2, 2])

    def test_syncs(self) -> None:
        flushes = Times()
        flushes.add(0.003)
        found = read(BrokerWorld(), flushes=flushes)
        name = "kafka_log_logflushstats_logflushrateandtimems"
        self.assertEqual((found[f"{name}_count",], found[f"{name}_sum",]), (1, 3))


class GroupsTest(unittest.TestCase):
    """The coordinator of `g` is here; who leads what it reads differs."""

    def setUp(self) -> None:
        self.world = BrokerWorld()
        self.world.create()
        offsets: dict[str, Any] = {"type": "topic", "name": "__consumer_offsets", "id": OFFSETS_ID, "configs": {}}
        self.world.change(offsets, {**self.world.state(), "topic": OFFSETS_ID})
        self.world.turn()

    def commit(self, group: str, topic: str, offset: int) -> None:
        part = {"partition_index": 0, "committed_offset": offset, "committed_leader_epoch": -1}
        part |= {"committed_metadata": ""}
        values = {"group_id": group, "generation_id_or_member_epoch": -1, "member_id": "", "group_instance_id": None}
        values |= {"topics": [{"name": topic, "partitions": [part]}]}
        told = self.world.told(8, self.world.ask(8, 8, values))
        self.assertEqual(told.topics[0].partitions[0].error_code, 0)

    def test_lag_where_both_are_led_here(self) -> None:
        for value in (b"a", b"b", b"c"):
            produce(self.world, value)
        self.commit('g"\n', "t", 1)
        found = read(self.world)
        self.assertEqual(found["kafka_consumergroup_current_offset", 'g"\n', "t", "0"], 1)
        self.assertEqual(found["kafka_consumergroup_lag", 'g"\n', "t", "0"], 2)

    def test_no_lag_where_the_end_is_not_known(self) -> None:
        self.commit("g", "t", 1)
        leader = self.world.state(replicas=[ME, 2], leader=2, leader_epoch=1, partition_epoch=1)
        self.world.change(self.world.other_broker(2), leader)
        found = read(self.world)
        self.assertEqual(found["kafka_consumergroup_current_offset", "g", "t", "0"], 1)
        self.assertNotIn(("kafka_consumergroup_lag", "g", "t", "0"), found)

    def test_series_are_bounded(self) -> None:
        for number in range(4):
            self.commit(f"g{number}", "t", 0)
        with mock.patch.object(queue_metrics, "MAX_OFFSETS", 3):
            found = read(self.world)
        told = [key[1] for key in found if key[0] == "kafka_consumergroup_current_offset"]
        self.assertEqual((told, found["carousel_queue_offsets_left_out",]), (["g0", "g1", "g2"], 1))
