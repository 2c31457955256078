import unittest
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from loadbalancer.queue_topics import MAX_PARTITIONS, OFFSETS, find_topic, more_partitions, new_topic
from loadbalancer.queue_words import MorePartitions, NewTopic, QueueSettings, Refused
from wire.cluster import Image
from wire.errors import ErrorCode as E

NODES = (1, 2, 3)
SETTINGS = QueueSettings(partitions=6, replication=2, offsets_partitions=5)
ID = "a" * 32


def made(wish: NewTopic, image: Image | None = None, nodes: tuple[int, ...] = NODES) -> Any:
    return new_topic(image or Image(), wish, nodes, SETTINGS, ID)


def holding(*wishes: NewTopic) -> Image:
    image = Image()
    for number, wish in enumerate(wishes):
        topic, partitions = new_topic(image, wish, NODES, SETTINGS, f"{number:032x}")
        image = image.with_records([topic.record(), *(p.record() for p in partitions)], 1, image.version + 1)
    return image


class TopicsCase(unittest.TestCase):
    def refused(self, code: E, call: Callable[[], Any]) -> None:
        with self.assertRaises(Refused) as raised:
            call()
        self.assertEqual(raised.exception.code, code)


class TestNewTopic(TopicsCase):
    def test_by_default_it_is_placed_by_the_ring(self) -> None:
        topic, partitions = made(NewTopic("orders"))
        self.assertEqual((topic.name, topic.id, topic.replication, len(partitions)), ("orders", ID, 2, 6))
        for number, partition in enumerate(partitions):
            self.assertEqual((partition.partition, partition.leader), (number, partition.replicas[0]))
            self.assertEqual((partition.isr, len(set(partition.replicas))), (partition.replicas, 2))
        self.assertEqual(partitions, made(NewTopic("orders"))[1])

    def test_a_default_may_be_granted_later_and_a_number_that_is_given_may_not(self) -> None:
        topic, partitions = made(NewTopic("orders"), nodes=(1,))
        self.assertEqual((topic.replication, partitions[0].replicas), (2, (1,)))
        self.refused(E.INVALID_REPLICATION_FACTOR, lambda: made(NewTopic("orders", 1, 2), nodes=(1,)))
        self.refused(E.INVALID_REPLICATION_FACTOR, lambda: made(NewTopic("orders"), nodes=()))

    def test_as_assigned(self) -> None:
        wish = NewTopic("orders", assignments=((1, (2, 3)), (0, (3, 1))))
        self.assertEqual([partition.replicas for partition in made(wish)[1]], [(3, 1), (2, 3)])
        for assignments in (((1, (1,)),), ((0, (1, 1)),), ((0, (9,)),), ((0, ()),), ((0, (1,)), (1, (1, 2)))):
            wish = NewTopic("orders", assignments=assignments)
            self.refused(E.INVALID_REPLICA_ASSIGNMENT, lambda wish=wish: made(wish))
        self.refused(E.INVALID_REQUEST, lambda: made(NewTopic("orders", 1, -1, ((0, (1,)),))))

    def test_kafka_s_own_topic_has_kafka_s_settings(self) -> None:
        topic, partitions = made(NewTopic(OFFSETS, 1, 1))
        self.assertTrue(topic.internal)
        self.assertEqual((topic.configs["cleanup.policy"], len(partitions), topic.replication), ("compact", 5, 2))

    def test_what_is_too_much_is_refused_before_it_is_placed(self) -> None:
        image = holding(NewTopic("orders", 2, 1))
        assigned = NewTopic("b", assignments=tuple((number, (1,)) for number in range(6)))
        with patch("loadbalancer.queue_topics.place", side_effect=AssertionError("placed")):
            for wish in (NewTopic("a", 6), assigned, NewTopic(OFFSETS)):
                self.refused(E.POLICY_VIOLATION, lambda wish=wish: new_topic(image, wish, NODES, SETTINGS, ID, 4))
            more = MorePartitions("orders", 7)
            self.refused(E.POLICY_VIOLATION, lambda: more_partitions(image, more, NODES, 4))

    def test_names_and_numbers(self) -> None:
        image = holding(NewTopic("a.b"))
        self.refused(E.TOPIC_ALREADY_EXISTS, lambda: made(NewTopic("a.b"), image))
        for name in ("", ".", "..", "a b", "x" * 250, "a_b"):
            self.refused(E.INVALID_TOPIC_EXCEPTION, lambda name=name: made(NewTopic(name), image))
        for count in (0, -2, MAX_PARTITIONS + 1):
            self.refused(E.INVALID_PARTITIONS, lambda count=count: made(NewTopic("orders", count)))
        self.refused(E.INVALID_REPLICATION_FACTOR, lambda: made(NewTopic("orders", 1, 0)))


class TestMorePartitions(TopicsCase):
    def setUp(self) -> None:
        self.image = holding(NewTopic("orders", 2, 1))

    def more(self, *fields: Any) -> Any:
        return more_partitions(self.image, MorePartitions(*fields), NODES)

    def test_those_that_it_lacks(self) -> None:
        self.assertEqual([partition.partition for partition in self.more("orders", 5)], [2, 3, 4])
        assigned = self.more("orders", 4, ((3,), (1,)))
        self.assertEqual([(p.partition, p.replicas) for p in assigned], [(2, (3,)), (3, (1,))])

    def test_what_is_refused(self) -> None:
        self.refused(E.UNKNOWN_TOPIC_OR_PARTITION, lambda: self.more("nothing", 5))
        for count in (2, 1, MAX_PARTITIONS + 3):
            self.refused(E.INVALID_PARTITIONS, lambda count=count: self.more("orders", count))
        for assignments in (((1,),), ((1,), (2, 3))):
            self.refused(E.INVALID_REPLICA_ASSIGNMENT, lambda a=assignments: self.more("orders", 4, a))


class TestFindTopic(TopicsCase):
    def test_by_name_or_by_id(self) -> None:
        image = holding(NewTopic("orders"), NewTopic(OFFSETS))
        self.assertEqual(find_topic(image, "orders", None), find_topic(image, None, "0" * 32))
        self.refused(E.INVALID_REQUEST, lambda: find_topic(image, "orders", "0" * 32))
        self.refused(E.INVALID_REQUEST, lambda: find_topic(image, None, None))
        self.refused(E.UNKNOWN_TOPIC_OR_PARTITION, lambda: find_topic(image, "nothing", None))
        self.refused(E.UNKNOWN_TOPIC_ID, lambda: find_topic(image, None, "f" * 32))
        self.refused(E.INVALID_REQUEST, lambda: find_topic(image, OFFSETS, None))


if __name__ == "__main__":
    unittest.main()
