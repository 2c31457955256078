"""`wire.metadata_answers`: byte by byte as kio writes, for every version."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from wire import messages
from wire.answer_parts import Endpoint
from wire.metadata_answers import MetadataAnswer, PartitionAnswer, TopicAnswer, pack_metadata

INT32 = st.integers(-(2**31), 2**31 - 1)
CODES = st.integers(-1, 120)
NODES = st.lists(INT32, max_size=3)
TEXT = st.text(max_size=9)
ENDPOINTS = st.builds(Endpoint, INT32, TEXT, INT32, st.none() | TEXT)
PARTITIONS = st.builds(PartitionAnswer, CODES, INT32, INT32, INT32, NODES, NODES, NODES)
IDS = st.binary(min_size=16, max_size=16)
TOPICS = st.builds(TopicAnswer, CODES, st.none() | TEXT, IDS, st.booleans(), st.lists(PARTITIONS, max_size=3), INT32)
ANSWERS = st.builds(MetadataAnswer, st.lists(ENDPOINTS, max_size=3), TEXT, INT32, st.lists(TOPICS, max_size=3), INT32)


def as_kio_writes(version: int, answer: MetadataAnswer) -> bytes:
    topics = [
        {
            "error_code": topic.error_code,
            "name": topic.name if topic.name is not None or version >= 12 else "",
            "topic_id": topic.topic_id,
            "is_internal": topic.is_internal,
            "topic_authorized_operations": topic.operations,
            "partitions": [
                {
                    "error_code": partition.error_code, "partition_index": partition.partition,
                    "leader_id": partition.leader, "leader_epoch": partition.leader_epoch,
                    "replica_nodes": partition.replicas, "isr_nodes": partition.isr,
                    "offline_replicas": partition.offline,
                }
                for partition in topic.partitions
            ],
        }
        for topic in answer.topics
    ]  # fmt: skip
    values = {
        "throttle_time": 0,
        "brokers": [broker._asdict() for broker in answer.brokers],
        "cluster_id": answer.cluster_id,
        "controller_id": answer.controller_id,
        "topics": topics,
        "cluster_authorized_operations": answer.cluster_operations,
        "error_code": 0,
    }
    return messages.encode(messages.build(3, version, values))


class MetadataAnswersTest(unittest.TestCase):
    @given(ANSWERS)
    def test_every_version(self, answer: MetadataAnswer) -> None:
        for version in range(14):
            self.assertEqual(pack_metadata(version, answer), as_kio_writes(version, answer), version)
