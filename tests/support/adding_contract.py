"""What adding partitions asks of a Kafka cluster (partition_adding.Cluster), by tests: for the one in memory, our own
servers and Apache Kafka."""

import uuid
from typing import Any

from loadbalancer.partition_adding import AlreadyThere, Cluster, add_partition, sweep_names
from wire.http_queue import partition_names


class AddingContract:
    cluster: Cluster

    def topic(self) -> str:
        """A name that nothing has."""
        return f"contract-{uuid.uuid4().hex[:12]}"

    def shown(self, topic: str) -> tuple[str, ...]:
        given = {number: name for (of, number), name in self.cluster.names().items() if of == topic}
        return partition_names(self.cluster.partitions(topic), given)

    def test_asking_for_a_topic_does_not_make_it(self: Any) -> None:
        topic = self.topic()
        for _ in range(2):
            self.assertEqual(self.cluster.partitions(topic), 0)
            self.assertFalse(self.cluster.appears((topic, 0)))
        self.assertNotIn(topic, self.cluster.all_partitions())

    def test_partitions_are_made_one_by_one(self: Any) -> None:
        topic = self.topic()
        for number in range(3):
            self.assertTrue(self.cluster.make((topic, number)))
            self.assertTrue(self.cluster.appears((topic, number)))
            self.assertEqual(self.cluster.partitions(topic), number + 1)
            self.assertEqual(self.cluster.all_partitions()[topic], number + 1)
            self.assertFalse(self.cluster.make((topic, number)), "it is there")
        self.assertFalse(self.cluster.make((self.topic(), 1)), "there is no such topic")

    def test_names_are_kept(self: Any) -> None:
        topic = self.topic()
        self.cluster.write_names({(topic, 0): "a", (topic, 1): "ü"})
        self.cluster.write_names({(topic, 0): "b", (topic, 2): "c"})
        self.cluster.write_names({(topic, 2): None})
        kept = {place: name for place, name in self.cluster.names().items() if place[0] == topic}
        self.assertEqual(kept, {(topic, 0): "b", (topic, 1): "ü"})

    def test_named_partitions_are_added(self: Any) -> None:
        topic = self.topic()
        for part in ("P1", "left", "P3"):
            add_partition(self.cluster, topic, part)
        for part in ("P1", "left", "P3"):
            with self.assertRaises(AlreadyThere):
                add_partition(self.cluster, topic, part)
        self.assertEqual(self.shown(topic), ("P1", "left", "P3"))

    def test_names_of_what_is_not_there_are_swept_away(self: Any) -> None:
        topic = self.topic()
        add_partition(self.cluster, topic, "a")
        self.cluster.write_names({(topic, 1): "void"})
        sweep_names(self.cluster)
        kept = {place: name for place, name in self.cluster.names().items() if place[0] == topic}
        self.assertEqual(kept, {(topic, 0): "a"})
