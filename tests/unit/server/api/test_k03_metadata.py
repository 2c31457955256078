"""Metadata: who leads, by whom it is asked; auto-creation; what is kept."""

import unittest
from typing import Any
from uuid import UUID

from support.cluster_world import IDS, Asking, ClusterWorld, image_of, small_image

from server.api import k03_metadata
from wire.cluster import Partition, Topic

LAST = 13


def ask(world: ClusterWorld, topics: Any, version: int = LAST, listener: str = "CLIENT", **more: Any) -> Asking:
    named = None if topics is None else [
        {"name": topic if isinstance(topic, str) else None, "topic_id": topic if isinstance(topic, UUID) else None}
        for topic in topics
    ]  # fmt: skip
    request = {
        "topics": named,
        "allow_auto_topic_creation": False,
        "include_topic_authorized_operations": False,
        "include_cluster_authorized_operations": False,
    }
    if "topics_as_they_are" in more:
        request["topics"] = more.pop("topics_as_they_are")
    return Asking(k03_metadata, version, request | more, world, listener)


class MetadataTest(unittest.TestCase):
    def setUp(self) -> None:
        self.world = ClusterWorld()

    def test_servers_of_the_listener_that_was_asked(self) -> None:
        answer = ask(self.world, []).answer
        self.assertEqual([(b.node_id, b.host, b.port, b.rack) for b in answer.brokers],
                         [(1, "host-1", 9001, "a"), (2, "host-2", 9002, None)])  # fmt: skip
        self.assertEqual((answer.cluster_id, answer.controller_id), ("the-cluster", 1))
        inside = ask(self.world, [], listener="INTERNAL").answer
        self.assertEqual([(b.host, b.port) for b in inside.brokers], [("127.0.0.1", 7001), ("127.0.0.1", 7002)])
        outside = ask(self.world, ["orders"], listener="EXTERNAL").answer
        self.assertEqual((outside.brokers, outside.controller_id), ((), -1))
        self.assertEqual([p.error_code for p in outside.topics[0].partitions], [5, 5])

    def test_null_and_empty(self) -> None:
        for version in range(1, LAST + 1):
            self.assertEqual(len(ask(self.world, None, version).answer.topics), 3, version)
            self.assertEqual(len(ask(self.world, [], version).answer.topics), 0, version)
        self.assertEqual(len(ask(self.world, [], 0).answer.topics), 3)

    def test_partitions(self) -> None:
        (topic,) = ask(self.world, ["orders"]).answer.topics
        self.assertEqual((topic.error_code, topic.name, topic.topic_id.hex, topic.is_internal),
                         (0, "orders", IDS["orders"], False))  # fmt: skip
        first, second = topic.partitions
        self.assertEqual(
            (first.leader_id, first.leader_epoch, first.replica_nodes, first.isr_nodes), (1, 4, (1, 2), (1, 2))
        )
        self.assertEqual((second.leader_id, second.error_code, second.offline_replicas), (2, 0, (3,)))

    def test_without_a_live_leader(self) -> None:
        (topic,) = ask(self.world, ["down"]).answer.topics
        self.assertEqual([(p.leader_id, p.error_code) for p in topic.partitions], [(-1, 5), (-1, 5)])

    def test_internal_topics_say_so(self) -> None:
        (topic,) = ask(self.world, ["__consumer_offsets"]).answer.topics
        self.assertTrue(topic.is_internal)

    def test_by_id(self) -> None:
        known, unknown = UUID(IDS["orders"]), UUID(int=77)
        for version in (12, 13):
            first, second = ask(self.world, [known, unknown], version).answer.topics
            self.assertEqual((first.name, first.error_code), ("orders", 0))
            self.assertEqual((second.name, second.topic_id, second.error_code), (None, unknown, 100))
        for version in (10, 11):
            asking = ask(self.world, None, version, topics_as_they_are=[{"name": "", "topic_id": known}])
            self.assertEqual(asking.answer.topics[0].error_code, 42)

    def test_unknown_and_wrong_names(self) -> None:
        topics = ask(self.world, ["nobody", "a b", "nobody"]).answer.topics
        self.assertEqual([(t.name, t.error_code) for t in topics], [("nobody", 3), ("a b", 17)])

    def test_every_version_is_answered(self) -> None:
        self.world.auto_creates_topics = False
        for version in range(LAST + 1):
            answer = ask(self.world, ["orders", "nobody"], version).answer
            self.assertEqual([topic.name for topic in answer.topics], ["orders", "nobody"], version)

    def test_operations_are_told_when_asked(self) -> None:
        asked = {"include_topic_authorized_operations": True, "include_cluster_authorized_operations": True}
        answer = ask(self.world, ["orders"], 8, **asked).answer
        self.assertEqual(answer.topics[0].topic_authorized_operations, 0b110111111000)
        self.assertEqual(answer.cluster_authorized_operations, 0b1111110100000)
        self.assertEqual(ask(self.world, [], 8).answer.cluster_authorized_operations, -(1 << 31))

    def test_a_missing_topic_is_created_and_waited_for(self) -> None:
        asking = ask(self.world, ["orders", "new", "a b"], allow_auto_topic_creation=True)
        self.assertTrue(asking.is_parked)
        ((names, done),) = self.world.created
        self.assertEqual(names, ("new",))
        new = [Topic("new", "f" * 32).record(), Partition("f" * 32, 0, (2,), (2,), leader=2).record()]
        self.world.image = self.world.image.with_records(new, 1, 8)
        done()
        self.assertEqual(
            [(t.name, t.error_code) for t in asking.answer.topics], [("orders", 0), ("new", 0), ("a b", 17)]
        )

    def test_only_so_many_at_once(self) -> None:
        ask(self.world, [f"new{number}" for number in range(1_200)], allow_auto_topic_creation=True)
        ((names, _),) = self.world.created
        self.assertEqual(len(names), 1_000)

    def test_not_there_in_time(self) -> None:
        asking = ask(self.world, ["new"], allow_auto_topic_creation=True)
        self.world.created[0][1]()
        self.assertEqual(asking.answer.topics[0].error_code, 5)
        self.assertEqual(ask(self.world, ["new"]).answer.topics[0].error_code, 3)

    def test_creation_may_be_off(self) -> None:
        self.assertFalse(ask(self.world, ["new"]).is_parked)
        self.world.auto_creates_topics = False
        self.assertFalse(ask(self.world, ["new"], allow_auto_topic_creation=True).is_parked)
        self.assertEqual(self.world.created, [])

    def test_old_clients_always_allow_creation(self) -> None:
        self.assertTrue(ask(self.world, ["new"], 3).is_parked)

    def test_kept_answers_belong_to_one_image(self) -> None:
        first = ask(self.world, ["orders"]).frame
        self.assertEqual(ask(self.world, ["orders"]).frame, first)
        self.world.image = image_of([])
        self.assertEqual(ask(self.world, ["orders"]).answer.topics[0].error_code, 3)
        self.world.image = small_image()
        self.assertEqual(ask(self.world, ["orders"]).frame, first)
