"""`server.rest.cluster.Cluster` in memory: for tests, and held to the same ones as the real one.

Several of them share one `Topics`, as several replicas share a cluster. `is_away`: nothing answers. What a replica
follows comes in later turns of the loop, and not at all while `is_deaf`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from server.read_windows import Message
from server.rest.cluster import Away, Metadata, NoTopic, Record

Log = list[tuple[bytes | None, bytes | None]]
"""Keys and values."""


class Topics:
    """A cluster's logs. `leaders`: by topic and partition, the broker; 1 where nothing else is said."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Log]] = {}
        self.begins: dict[tuple[str, int], int] = defaultdict(int)
        self.leaders: dict[tuple[str, int], int | None] = {}
        self.names: dict[int, str] = {1: "server1"}
        self.is_away = False
        self.changed: list[Callable[[], None]] = []

    def make(self, topic: str, partitions: int) -> None:
        logs = self.logs.setdefault(topic, [])
        logs += [[] for _ in range(partitions - len(logs))]

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> int:
        log = self.log(topic, partition)
        log.append((key, value))
        for told in self.changed:
            told()
        return len(log) - 1

    def log(self, topic: str, partition: int) -> Log:
        if self.is_away:
            raise Away("it is away")
        logs = self.logs.get(topic, [])
        if partition >= len(logs):
            raise NoTopic(topic)
        return logs[partition]


class MemoryCluster:
    """One replica's way to `topics`."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.is_deaf = False
        self._following: dict[str, int] = {}
        self._told: Callable[[Sequence[Record]], None] = lambda _: None

    async def metadata(self) -> Metadata:
        self._check()
        topics = self.topics
        leaders = {
            name: [topics.leaders.get((name, at), 1) for at in range(len(logs))] for name, logs in topics.logs.items()
        }
        return Metadata(leaders, {1: "localhost:9092", 2: "localhost:9093"})

    async def create(self, topics: Iterable[str]) -> None:
        self._check()
        for topic in topics:
            self.topics.make(topic, 1)

    async def produce(self, topic: str, partition: int, value: bytes, key: bytes | None = None) -> int:
        offset = self.topics.append(topic, partition, key, value)
        await asyncio.sleep(0)
        return offset

    async def ends(self, topic: str, partitions: Iterable[int]) -> Mapping[int, int]:
        found = {partition: len(self.topics.log(topic, partition)) for partition in partitions}
        await asyncio.sleep(0)
        return found

    async def begins(self, topic: str, partitions: Iterable[int]) -> Mapping[int, int]:
        return {partition: self.topics.begins[topic, partition] for partition in partitions}

    def in_hand(self, topic: str, partition: int, offset: int) -> Message | None:
        return None

    def forget(self, topic: str) -> None:
        pass

    async def read(self, topic: str, partition: int, offset: int, end: int) -> Message | None:
        begin = max(offset, self.topics.begins[topic, partition])
        log = self.topics.log(topic, partition)
        await asyncio.sleep(0)
        return Message(begin, log[begin][1]) if begin < end else None

    def follow(self, topics: Iterable[str], told: Callable[[Sequence[Record]], None]) -> None:
        self._following = dict.fromkeys(topics, 0)
        self._told = told
        self.topics.changed.append(self._tell_soon)
        self._tell_soon()

    async def server_names(self, brokers: Iterable[int]) -> Mapping[int, str]:
        return {broker: self.topics.names[broker] for broker in brokers if broker in self.topics.names}

    async def close(self) -> None:
        if self._tell_soon in self.topics.changed:
            self.topics.changed.remove(self._tell_soon)

    def hear(self) -> None:
        """No longer deaf."""
        self.is_deaf = False
        self._tell_soon()

    def _check(self) -> None:
        if self.topics.is_away:
            raise Away("it is away")

    def _tell_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        if self.is_deaf:
            return
        records: list[Record] = []
        for topic, position in self._following.items():
            log = self.topics.logs.get(topic, [[]])[0]
            position = position if position <= len(log) else 0  # it was made anew
            records += [Record(topic, at, *log[at]) for at in range(position, len(log))]
            self._following[topic] = len(log)
        self._told(records)
