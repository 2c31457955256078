"""`server.rest.view_follower`: who waits is told when the view is there, and not for ever."""

import asyncio
import unittest
from unittest import mock

from server.http_view import View
from server.rest import view_follower
from server.rest.cluster import Away, Emptied
from server.rest.memory_cluster import MemoryCluster, Topics
from server.rest.view_follower import ViewFollower
from wire.http_queue import CURSORS_TOPIC, NAMES_TOPIC, TOPICS, encode_turn, producer_key


class ViewFollowerTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.topics = Topics()
        for topic in TOPICS:
            self.topics.make(topic, 1)
        self.cluster = MemoryCluster(self.topics)
        self.follower = ViewFollower(View("a"), self.cluster)
        self.follower.start()

    def put(self, turn: int) -> int:
        return self.topics.append(CURSORS_TOPIC, 0, producer_key(0), encode_turn(turn))

    async def test_caught_up(self) -> None:
        self.put(1)
        await self.follower.caught_up(CURSORS_TOPIC, NAMES_TOPIC)
        self.assertEqual(self.follower.view.turns, {0: 1})

    async def test_each_waits_for_its_own_end(self) -> None:
        self.cluster.is_deaf = True
        waiting = [asyncio.create_task(self.follower.reached(CURSORS_TOPIC, end)) for end in (3, 1, 2)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        self.put(1)
        self.put(2)
        self.cluster.hear()
        await waiting[2]
        self.assertFalse(waiting[0].done())
        self.put(3)
        await waiting[0]

    async def test_what_is_compacted_away_is_reached(self) -> None:
        waiting = asyncio.create_task(self.follower.reached(CURSORS_TOPIC, 7))
        await asyncio.sleep(0)
        self.follower._told([view_follower.Record(CURSORS_TOPIC, 7, None, None, is_end=True)])
        await waiting

    async def test_topics_that_are_others(self) -> None:
        for at in range(3):
            self.put(at)
        await self.follower.caught_up(CURSORS_TOPIC)
        self.topics.log(CURSORS_TOPIC, 0).pop()
        waiting = asyncio.create_task(self.follower.caught_up(CURSORS_TOPIC))
        for _ in range(5):
            await asyncio.sleep(0)
        self.put(3)
        await waiting  # a new leader that had not heard how far the last one was
        self.topics.log(CURSORS_TOPIC, 0).clear()
        waiting = asyncio.create_task(self.follower.caught_up(CURSORS_TOPIC))
        for _ in range(5):
            await asyncio.sleep(0)
        self.follower._told([view_follower.Record(CURSORS_TOPIC, 0, None, None, is_end=True)])
        with self.assertRaises(Emptied):
            await waiting
        del self.topics.logs[CURSORS_TOPIC]
        with self.assertRaises(Emptied):
            await self.follower.caught_up(CURSORS_TOPIC)

    async def test_a_log_that_is_told_from_its_beginning_again_is_another(self) -> None:
        self.put(1)
        await self.follower.caught_up(CURSORS_TOPIC)
        self.put(2)
        await self.follower.caught_up(CURSORS_TOPIC)
        self.follower._told([view_follower.Record(CURSORS_TOPIC, 0, b"k", b"v")])
        with self.assertRaises(Emptied):
            await self.follower.caught_up(NAMES_TOPIC)

    async def test_not_for_ever(self) -> None:
        with mock.patch.object(view_follower, "ASK_S", 0.001), self.assertRaises(Away):
            await self.follower.reached(CURSORS_TOPIC, 1)


if __name__ == "__main__":
    unittest.main()
