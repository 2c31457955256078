"""Control's way with a Kafka cluster, by confluent-kafka: our own servers, and Apache Kafka as the reference."""

import unittest
from collections.abc import Generator

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource
from support.adding_contract import AddingContract
from support.kafka_clients import PATIENCE_S
from support.kafka_engines import Engine

from loadbalancer.kafka import cluster as module
from loadbalancer.kafka.cluster import KafkaCluster
from loadbalancer.partition_adding import Refused, Unavailable
from wire.http_queue import NAMES_TOPIC

pytestmark = pytest.mark.system


class TestCluster(AddingContract):
    """Assertions by unittest's words, since the contract has them for the fake too."""

    said = unittest.TestCase()
    assertEqual, assertTrue, assertFalse = said.assertEqual, said.assertTrue, said.assertFalse
    assertNotIn, assertRaises = said.assertNotIn, said.assertRaises

    @pytest.fixture(autouse=True)
    def opened(self, engine: Engine, admin: AdminClient) -> Generator[None]:
        self.cluster = KafkaCluster(engine.bootstrap)
        self.bootstrap = engine.bootstrap
        yield
        self.cluster.close()
        made = [name for name in admin.list_topics(timeout=PATIENCE_S).topics if name.startswith("contract-")]
        for future in admin.delete_topics(made).values() if made else ():
            future.result(PATIENCE_S)

    def test_another_control_reads_the_same_names(self) -> None:
        topic = self.topic()
        self.cluster.write_names({(topic, 0): "a"})
        other = KafkaCluster(self.bootstrap)
        try:
            assert other.names()[topic, 0] == "a"
            other.write_names({(topic, 0): "b"})
            assert self.cluster.names()[topic, 0] == "b"
        finally:
            other.close()

    def test_names_are_compacted(self, admin: AdminClient) -> None:
        self.cluster.write_names({(self.topic(), 0): "a"})
        found = admin.list_topics(NAMES_TOPIC, timeout=PATIENCE_S).topics[NAMES_TOPIC]
        assert len(found.partitions) == 1
        resource = ConfigResource(ConfigResource.Type.TOPIC, NAMES_TOPIC)
        entries = admin.describe_configs([resource])[resource].result(PATIENCE_S)
        assert entries["cleanup.policy"].value == "compact"

    def test_what_the_cluster_refuses_is_the_caller_s_fault(self) -> None:
        with pytest.raises(Refused):
            self.cluster.make(("no topic", 0))

    def test_nobody_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "CALL_S", 0.5)
        nobody = KafkaCluster("127.0.0.1:1")
        try:
            with pytest.raises(Unavailable):
                nobody.partitions("T1")
        finally:
            nobody.close()
