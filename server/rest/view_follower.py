"""Keeps a `View` up to date with the internal topics, and lets callers wait until it is where they need it."""

import asyncio
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Final

from server.http_view import View
from server.rest.cluster import ASK_S, Away, Cluster, Emptied, NoTopic, Record
from wire.http_queue import TOPICS

PARTITION: Final = 0
"""An internal topic's only one."""

BACK_S: Final = 0.5
"""Where a topic ends before what was read of it, it may be another one, of which the follower will hear."""
PAUSE_S: Final = 0.05

Waiting = tuple[int, int, "asyncio.Future[None]"]
"""Until which offset; a number that makes no two alike; who."""


class ViewFollower:
    """`start` once."""

    def __init__(self, view: View, cluster: Cluster) -> None:
        self.view = view
        self._cluster = cluster
        self._waiting: dict[str, list[Waiting]] = {topic: [] for topic in TOPICS}
        self._numbers = count()
        self._is_anew = False
        """Whether a topic was told from a place before what was read: librdkafka begins anew where a log is another."""

    def start(self) -> None:
        self._cluster.follow(TOPICS, self._told)

    async def caught_up(self, *topics: str) -> None:
        """Return when the view holds all that was acknowledged before this call. Raises Away, Emptied."""
        if len(topics) == 1:
            await self._caught_up(topics[0])
        else:
            await asyncio.gather(*[self._caught_up(topic) for topic in topics])

    async def _caught_up(self, topic: str) -> None:
        await self.reached(topic, await self._end(topic))

    async def _end(self, topic: str) -> int:
        """Raises Away, Emptied."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BACK_S
        while True:
            known = self.view.positions[topic]
            try:
                end = (await self._cluster.ends(topic, (PARTITION,)))[PARTITION]
            except NoTopic:
                raise Emptied(f"{topic} was deleted") from None
            if self._is_anew:
                raise Emptied(f"{topic} was made anew")
            if end >= known or loop.time() >= deadline:
                return end
            await asyncio.sleep(PAUSE_S)

    async def reached(self, topic: str, end: int) -> None:
        """Return when the view holds all records below `end`. Raises Away."""
        if self.view.positions[topic] >= end:
            return
        waiter = asyncio.get_running_loop().create_future()
        heappush(self._waiting[topic], (end, next(self._numbers), waiter))
        try:
            async with asyncio.timeout(ASK_S):
                await waiter
        except TimeoutError:
            raise Away(f"{topic} is not read within {ASK_S:g} s") from None

    def _told(self, records: Sequence[Record]) -> None:
        view = self.view
        for topic, offset, key, value, is_end in records:
            self._is_anew = self._is_anew or offset < view.positions[topic]
            if is_end:
                view.reach(topic, offset)
            else:
                view.apply(topic, offset, key, value)
        for topic in TOPICS:
            self._wake(self._waiting[topic], view.positions[topic])

    def _wake(self, waiting: list[Waiting], position: int) -> None:
        while waiting and waiting[0][0] <= position:
            waiter = heappop(waiting)[2]
            if not waiter.done():  # its caller may have gone
                waiter.set_result(None)
