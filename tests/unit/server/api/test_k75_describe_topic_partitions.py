"""DescribeTopicPartitions: whatever the size of a page, all pages together are the same."""

import unittest
from typing import Any

from support.cluster_world import IDS, Asking, ClusterWorld

from server.api import k75_describe_topic_partitions

ALL = [("__consumer_offsets", 0), ("down", 0), ("down", 1), ("orders", 0), ("orders", 1)]


def ask(*names: str, limit: int = 2000, cursor: tuple[str, int] | None = None) -> Any:
    request = {
        "topics": [{"name": name} for name in names],
        "response_partition_limit": limit,
        "cursor": None if cursor is None else {"topic_name": cursor[0], "partition_index": cursor[1]},
    }
    return Asking(k75_describe_topic_partitions, 0, request, ClusterWorld()).answer


def listed(answer: Any) -> list[tuple[str, int]]:
    return [(topic.name, partition.partition_index) for topic in answer.topics for partition in topic.partitions]


class DescribeTopicPartitionsTest(unittest.TestCase):
    def test_all_topics(self) -> None:
        answer = ask()
        self.assertEqual((listed(answer), answer.next_cursor), (ALL, None))
        self.assertEqual([topic.is_internal for topic in answer.topics], [True, False, False])

    def test_pages(self) -> None:
        for limit in range(7):
            found: list[tuple[str, int]] = []
            cursor: tuple[str, int] | None = None
            while True:
                answer = ask(limit=limit, cursor=cursor)
                self.assertLessEqual(len(listed(answer)), max(1, limit))
                found += listed(answer)
                if answer.next_cursor is None:
                    break
                cursor = (answer.next_cursor.topic_name, answer.next_cursor.partition_index)
            self.assertEqual(found, ALL, limit)

    def test_a_partition(self) -> None:
        (topic,) = ask("orders").topics
        told = topic.partitions[1]
        self.assertEqual((topic.topic_id.hex, told.leader_id, told.leader_epoch), (IDS["orders"], 2, 5))
        self.assertEqual((told.replica_nodes, told.isr_nodes, told.eligible_leader_replicas), ((2, 3), (2,), (3,)))
        self.assertEqual((told.offline_replicas, told.error_code), ((3,), 0))

    def test_missing_ones(self) -> None:
        topics = ask("orders", "nobody", "a b").topics
        self.assertEqual(
            [(topic.name, topic.error_code) for topic in topics], [("a b", 17), ("nobody", 3), ("orders", 0)]
        )

    def test_a_cursor_beyond_everything(self) -> None:
        for cursor in (("zzz", 0), ("orders", 2), ("orders", 99)):
            self.assertEqual(listed(ask(cursor=cursor)), [])
        self.assertEqual(listed(ask(cursor=("orders", -5))), ALL[-2:])
