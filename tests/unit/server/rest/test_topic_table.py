"""`server.rest.topic_table`: partitions that have names are waited for, once."""

import asyncio
import unittest
from unittest import mock

from server.http_view import View
from server.rest import topic_table
from server.rest.memory_cluster import MemoryCluster, Topics
from server.rest.topic_table import TopicTable
from server.rest.view_follower import ViewFollower
from wire.http_queue import CURSORS_TOPIC, NAMES_TOPIC, TOPICS, encode_name, name_key


class TopicTableTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.topics = Topics()
        for topic in TOPICS:
            self.topics.make(topic, 1)
        cluster = MemoryCluster(self.topics)
        follower = ViewFollower(View("a"), cluster)
        follower.start()
        self.table = TopicTable(cluster, follower)

    def name(self, topic: str, partition: int, name: str | None) -> None:
        self.topics.append(NAMES_TOPIC, 0, name_key(topic, partition), None if name is None else encode_name(name))

    async def test_names(self) -> None:
        self.assertEqual(await self.table.names("T"), ())
        self.topics.make("T", 2)
        self.name("T", 1, "second")
        self.assertEqual(await self.table.names("T"), ("P1", "second"))

    async def test_our_own_topics_are_hidden(self) -> None:
        self.assertEqual(await self.table.names(CURSORS_TOPIC), ())

    async def test_metadata_that_lags(self) -> None:
        self.topics.make("T", 1)
        self.assertEqual(await self.table.count("T"), 1)
        self.name("T", 1, "late")
        asking = [asyncio.create_task(self.table.names("T")), asyncio.create_task(self.table.all())]
        for _ in range(20):
            await asyncio.sleep(0)
        self.assertFalse(any(one.done() for one in asking))
        self.topics.make("T", 2)
        names, metadata = await asyncio.gather(*asking)
        self.assertEqual((names, len(metadata.leaders["T"])), (("P1", "late"), 2))

    async def test_a_partition_that_is_known_from_elsewhere(self) -> None:
        self.topics.make("T", 1)
        self.assertEqual(await self.table.count("T", 1), 1)
        asking = asyncio.create_task(self.table.count("T", 2))
        for _ in range(20):
            await asyncio.sleep(0)
        self.assertFalse(asking.done())
        self.topics.make("T", 2)
        self.assertEqual(await asking, 2)

    async def test_a_topic_that_is_gone_is_waited_for_once(self) -> None:
        self.name("T", 0, "P1")
        with mock.patch.object(topic_table, "LAG_S", 0.001):
            self.assertEqual(await self.table.names("T"), ())
        self.assertEqual(await self.table.names("T"), ())
        self.assertNotIn("T", (await self.table.all()).leaders)
        self.topics.make("T", 1)
        self.assertEqual(await self.table.names("T"), ("P1",))

    async def test_a_topic_that_was_made_anew_is_waited_for_again(self) -> None:
        """Else a partition that was just made is unknown for a second, as if POST /topics/add hadn't been answered."""
        self.name("T", 0, "P1")
        self.name("T", 1, "P2")
        with mock.patch.object(topic_table, "LAG_S", 0.001):
            self.assertEqual(await self.table.names("T"), ())
        self.name("T", 0, None)
        self.name("T", 1, None)
        self.topics.make("T", 1)
        self.name("T", 0, "P1")
        self.assertEqual(await self.table.names("T"), ("P1",))
        self.name("T", 1, "P2")
        asking = asyncio.create_task(self.table.names("T"))
        for _ in range(20):
            await asyncio.sleep(0)
        self.assertFalse(asking.done())
        self.topics.make("T", 2)
        self.assertEqual(await asking, ("P1", "P2"))


if __name__ == "__main__":
    unittest.main()
