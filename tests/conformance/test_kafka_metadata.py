"""A second opinion on the answers that are packed by hand: kafka-python decodes Metadata and ApiVersions of every
version. (That the bytes are kio's is tested by the unit twins.)"""

import unittest
from typing import Any

from support.cluster_world import Asking, ClusterWorld, small_image
from support.kafka_python import kafka

import wire.versions
from server.api import k03_metadata, k18_api_versions


def decoded(message: Any, version: int, frame: bytes) -> Any:
    return message[version].decode(frame[4:], header=True)


class MetadataTest(unittest.TestCase):
    def test_kafka_python_reads_every_version(self) -> None:
        world, image = ClusterWorld(), small_image()
        for version in range(14):
            names = [{"name": name, "topic_id": None} for name in image.topics]
            request = {"topics": names, "allow_auto_topic_creation": False}
            request |= {"include_cluster_authorized_operations": False, "include_topic_authorized_operations": False}
            answer = decoded(
                kafka.protocol.metadata.MetadataResponse,
                version,
                Asking(k03_metadata, version, request, world).frame,
            )
            self.assertEqual(
                [(b.node_id, b.host, b.port) for b in answer.brokers], [(1, "host-1", 9001), (2, "host-2", 9002)]
            )
            self.assertEqual([topic.name for topic in answer.topics], list(image.topics))
            for topic in answer.topics:
                states = image.partitions_of(image.topics[topic.name].id)
                self.assertEqual([p.partition_index for p in topic.partitions], [state.partition for state in states])
                for one, state in zip(topic.partitions, states, strict=True):
                    leader = state.leader if state.leader in (1, 2) else -1
                    self.assertEqual((one.leader_id, one.error_code), (leader, 0 if leader > 0 else 5))
                    self.assertEqual((tuple(one.replica_nodes), tuple(one.isr_nodes)), (state.replicas, state.isr))


class ApiVersionsTest(unittest.TestCase):
    def test_kafka_python_reads_every_version(self) -> None:
        for version in range(5):
            request = {"client_software_name": "kafka-python", "client_software_version": "3.0.12"}
            frame = Asking(k18_api_versions, version, request, ClusterWorld()).frame
            answer = decoded(kafka.protocol.metadata.ApiVersionsResponse, version, frame)
            told = tuple((api.api_key, api.min_version, api.max_version) for api in answer.api_keys)
            self.assertEqual((told, answer.error_code), (wire.versions.ADVERTISED, 0))
