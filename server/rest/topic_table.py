"""Which topics there are, for the plain HTTP interface: Metadata, kept for a moment, and partitions' names."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from server.rest.cluster import Cluster, Metadata
from server.rest.flights import Flights
from server.rest.view_follower import ViewFollower
from wire.http_queue import NAMES_TOPIC, is_hidden, partition_names

KEPT_S: Final = 1.0
"""How old what is said of a topic may be that somebody else's tools have changed: what was changed through this
interface is known at once, by its names."""
LAG_S: Final = 2.0
"""How long a broker's Metadata may lag behind a creation that was answered."""
PAUSE_S: Final = 0.05


class TopicTable:
    def __init__(self, cluster: Cluster, follower: ViewFollower) -> None:
        self._cluster = cluster
        self._follower = follower
        self._flights = Flights[None, None, Metadata](self._ask)
        self._kept: Metadata | None = None
        self._kept_at = 0.0
        self._in_vain: dict[str, tuple[int, int]] = {}
        """How many partitions of a topic were waited for that didn't come (its names are those of one that is gone),
        and when its names had last changed: where they have since, it may be there again."""

    async def metadata(self) -> Metadata:
        """As it is now."""
        return (await self._flights.get(None, (None,)))[None]

    async def all(self) -> Metadata:
        """The same, with every partition that has a name."""
        await self._follower.caught_up(NAMES_TOPIC)
        return await self._with({topic: self._least(topic) for topic in self._follower.view.names})

    async def count(self, topic: str, wanted: int = 0) -> int:
        """How many partitions it has; 0: there is no such topic, for this interface. `wanted`: so many there were."""
        if is_hidden(topic):
            return 0
        least = self._least(topic, wanted)
        kept = 0 if self._kept is None or _now() - self._kept_at > KEPT_S else len(self._kept.leaders.get(topic, ()))
        return kept if kept and kept >= least else len((await self._with({topic: least})).leaders.get(topic, ()))

    async def _with(self, wanted: Mapping[str, int]) -> Metadata:
        """Metadata that has as many partitions of each topic; after LAG_S, what there is."""
        deadline = _now() + LAG_S
        named_at = {topic: self._follower.view.named_at(topic) for topic in wanted}
        while True:
            found = await self.metadata()
            lacking = {topic for topic, least in wanted.items() if len(found.leaders.get(topic, ())) < least}
            if not lacking or _now() > deadline:
                self._in_vain |= {topic: (wanted[topic], named_at[topic]) for topic in lacking}
                return found
            await asyncio.sleep(PAUSE_S)

    def _least(self, topic: str, wanted: int = 0) -> int:
        """How many partitions it must have, by its names or `wanted`; 0 if they have been waited for in vain."""
        view = self._follower.view
        least = max(wanted, view.least_partitions(topic))
        waited, named_at = self._in_vain.get(topic, (0, 0))
        return least if least > waited or view.named_at(topic) != named_at else 0

    async def names(self, topic: str) -> Sequence[str]:
        """Its partitions' names, with all that was made before this call; none: there is no such topic."""
        await self._follower.caught_up(NAMES_TOPIC)
        return partition_names(await self.count(topic), self._follower.view.given_names(topic))

    async def _ask(self, _: None, __: frozenset[None]) -> dict[None, Metadata]:
        self._kept = await self._cluster.metadata()
        self._kept_at = _now()
        return {None: self._kept}


def _now() -> float:
    return asyncio.get_running_loop().time()
