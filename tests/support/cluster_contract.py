"""What every `server.rest.cluster.Cluster` must do. A twin gives `make_cluster` and `topic`."""

import asyncio
import unittest
from collections.abc import Callable, Sequence

from server.rest.cluster import Cluster, NoTopic, Record

PATIENCE_S = 20.0


class Following:
    """What a cluster tells of followed topics."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._changed = asyncio.Event()

    def told(self, records: Sequence[Record]) -> None:
        self.records += records
        self._changed.set()

    async def until(self, holds: Callable[[list[Record]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self.records):
                self._changed.clear()
                await self._changed.wait()


class ClusterContract(unittest.IsolatedAsyncioTestCase):
    __test__ = False
    topic: str
    """One of two partitions, empty."""

    async def make_cluster(self) -> Cluster:
        raise NotImplementedError

    async def asyncSetUp(self) -> None:
        self.cluster = await self.make_cluster()
        self.addAsyncCleanup(self.cluster.close)

    async def test_produce_in_order_and_read(self) -> None:
        cluster, topic = self.cluster, self.topic
        calls = [cluster.produce(topic, 0, b"%d" % at) for at in range(100)]
        self.assertEqual(await asyncio.gather(*calls), list(range(100)))
        self.assertEqual(await cluster.ends(topic, (0, 1)), {0: 100, 1: 0})
        self.assertEqual(await cluster.begins(topic, (0, 1)), {0: 0, 1: 0})
        for offset in (0, 1, 99, 50):
            message = await cluster.read(topic, 0, offset, 100)
            self.assertEqual(message, (offset, b"%d" % offset))

    async def test_readers_at_many_offsets(self) -> None:
        await asyncio.gather(*[self.cluster.produce(self.topic, 0, b"%d" % at) for at in range(1000)])
        reads = [self.cluster.read(self.topic, 0, offset, 1000) for offset in range(0, 1000, 37)]
        self.assertEqual([one and one.offset for one in await asyncio.gather(*reads)], list(range(0, 1000, 37)))

    async def test_what_was_acknowledged_is_below_the_end(self) -> None:
        for at in range(20):
            await self.cluster.produce(self.topic, 1, b"x")
            asked = await asyncio.gather(*[self.cluster.ends(self.topic, (1,)) for _ in range(5)])
            self.assertEqual([ends[1] for ends in asked], [at + 1] * 5)
            message = await self.cluster.read(self.topic, 1, at, at + 1)
            self.assertEqual(message, (at, b"x"))

    async def test_topics_are_created_once_and_followed(self) -> None:
        names = ("__carousel_cursors", "__carousel_names")
        for _ in range(2):
            await self.cluster.create(names)
        async with asyncio.timeout(PATIENCE_S):
            while not set(names) <= set((await self.cluster.metadata()).leaders):
                await asyncio.sleep(0.05)
        await self.cluster.produce(names[0], 0, b"before", b"k")
        following = Following()
        self.cluster.follow(names, following.told)
        await following.until(lambda told: any(not record.is_end for record in told))
        for at in range(10):
            offset = await self.cluster.produce(names[at % 2], 0, b"%d" % at, b"k")
            await following.until(lambda told, at=at: told[-1].is_end or told[-1].value == b"%d" % at)  # type: ignore[misc]
            self.assertGreaterEqual(offset, 0)
        await following.until(lambda told: sum(not record.is_end for record in told) == 11)
        values = {name: [r.value for r in following.records if r.topic == name and not r.is_end] for name in names}
        self.assertEqual(values[names[0]], [b"before", b"0", b"2", b"4", b"6", b"8"])
        self.assertEqual(values[names[1]], [b"1", b"3", b"5", b"7", b"9"])

    async def test_metadata_and_who_leads(self) -> None:
        metadata = await self.cluster.metadata()
        self.assertEqual([leader in metadata.brokers for leader in metadata.leaders[self.topic]], [True, True])

    async def test_a_topic_that_does_not_exist(self) -> None:
        for asking in (
            lambda: self.cluster.ends("none", (0,)),
            lambda: self.cluster.produce("none", 0, b"x"),
            lambda: self.cluster.produce(self.topic, 9, b"x"),
            lambda: self.cluster.ends(self.topic, (9,)),
        ):
            with self.assertRaises(NoTopic):
                async with asyncio.timeout(PATIENCE_S):
                    await asking()
        self.assertNotIn("none", (await self.cluster.metadata()).leaders)
