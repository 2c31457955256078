"""What the plain HTTP interface needs of a cluster that speaks Kafka's protocol: a face with two implementations.

`server.rest.kafka_cluster` is librdkafka over any cluster, `server.rest.memory_cluster` one in memory, for tests; one
contract suite holds both. All of it belongs to one event loop. What fails raises `BadCall`: 503 where another try may
help, 400 where the call is at fault; nothing waits longer than the limits below.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from server.http_calls import BadCall
from server.read_windows import Message
from wire.http_queue import no_partitions

ASK_S: Final = 5.0
"""How long a question to the cluster may take: an election behind a server's death is well below that."""
ACK_S: Final = 10.0
"""How long a record may wait for its acknowledgment: half of what HTTP clients commonly wait."""
READ_S: Final = 5.0
"""How long a message that is there may take to come."""


class Away(BadCall):
    """The cluster, or one leader in it, doesn't answer: another try may help."""

    def __init__(self, what: str) -> None:
        super().__init__(503, f"the queue does not answer: {what}")


class Emptied(Away):
    """The internal topics aren't those that were read: what is known of them is to be forgotten."""


class NoTopic(BadCall):
    """The topic or the partition isn't there."""

    def __init__(self, topic: str) -> None:
        super().__init__(400, no_partitions(topic))


class Metadata(NamedTuple):
    """`leaders`: by topic, each partition's leader's broker id, None while it has none. `brokers`: HOST:PORT by id."""

    leaders: Mapping[str, Sequence[int | None]]
    brokers: Mapping[int, str]


class Record(NamedTuple):
    """A record of a followed topic; `is_end`: none, but the topic holds nothing more below `offset`."""

    topic: str
    offset: int
    key: bytes | None
    value: bytes | None
    is_end: bool = False


class Cluster(Protocol):
    async def metadata(self) -> Metadata:
        """As a broker knows it now."""
        ...

    async def create(self, topics: Iterable[str]) -> None:
        """Internal topics, by `wire.http_queue.TOPIC_*`. That one exists already is no fault."""
        ...

    async def produce(self, topic: str, partition: int, value: bytes, key: bytes | None = None) -> int:
        """The record's offset, when it is acknowledged by all in sync. Records get into a partition in the order of
        the calls. Cancelled, it is sent all the same."""
        ...

    async def ends(self, topic: str, partitions: Iterable[int]) -> Mapping[int, int]:
        """The offsets behind the last message: all that was acknowledged before the call is below."""
        ...

    async def begins(self, topic: str, partitions: Iterable[int]) -> Mapping[int, int]: ...

    def in_hand(self, topic: str, partition: int, offset: int) -> Message | None:
        """The first message from `offset` on, if it was read already."""
        ...

    def forget(self, topic: str) -> None:
        """Nothing of it is in hand: its log may be another one than that which was read."""
        ...

    async def read(self, topic: str, partition: int, offset: int, end: int) -> Message | None:
        """The same, read: `end` is the partition's (`ends`), above `offset`. None: nothing is left up to there."""
        ...

    def follow(self, topics: Iterable[str], told: Callable[[Sequence[Record]], None]) -> None:
        """Tell all records of these topics' partition 0, from the first one on and as they come. Once."""
        ...

    async def server_names(self, brokers: Iterable[int]) -> Mapping[int, str]:
        """What brokers that are servers of ours are called; others aren't in it."""
        ...

    async def close(self) -> None: ...
