"""`server.rest.cluster.Cluster` over any cluster that speaks Kafka's protocol, by confluent-kafka (librdkafka).

Importing this costs some 20 MB and threads: it is imported when the first call of the interface comes.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka import admin as kafka_admin

from server.broker_configs import SERVER_NAME
from server.http_calls import BadCall
from server.read_windows import Message
from server.rest import kafka_settings
from server.rest.cluster import ACK_S, ASK_S, Away, Metadata, NoTopic, Record
from server.rest.flights import Flights
from server.rest.kafka_errors import fault
from server.rest.kafka_follower import KafkaFollower
from server.rest.kafka_producer import KafkaProducer
from server.rest.kafka_reader import KafkaReader
from wire.http_queue import TOPIC_CONFIGS, TOPIC_PARTITIONS, TOPIC_REPLICATION

NAME_S: Final = 1.0
"""How long a server may take to say its name; one that doesn't is shown by the last that it said, or its address."""
AGAIN_S: Final = 0.05
"""Between two questions for offsets: an election takes some tenths of a second."""
TRY_S: Final = 1.0
"""How long the first of these questions may take; a later one as much longer as has been asked already. Most take a
millisecond, but one to a leader that has just ended librdkafka gives up only then, wherever it is led by now."""
NEW_S: Final = 0.5
"""How long a partition that was just made may not be known to the broker that is asked."""
GRACE_S: Final = 1.0
"""How much longer than librdkafka's own limit we wait for it."""

_admin: Any = kafka_admin  # which has few types


class KafkaCluster:
    """`bootstrap`: HOST:PORT, more of them with commas between. Made on the loop's thread."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin: Any = _admin.AdminClient(kafka_settings.admin(bootstrap))
        self._producer = KafkaProducer(bootstrap)
        self._reader = KafkaReader(bootstrap)
        self._follower: KafkaFollower | None = None
        self._ends = Flights[str, int, int](self._ask_ends)
        self._begins = Flights[str, int, int](self._ask_begins)
        self._names: dict[int, str] = {}

    async def metadata(self) -> Metadata:
        try:
            found: Any = await asyncio.to_thread(self._admin.list_topics, timeout=ASK_S)
        except KafkaException as error:
            raise Away(error.args[0].str()) from None
        brokers = {broker: f"{at.host}:{at.port}" for broker, at in found.brokers.items()}
        return Metadata({name: _leaders(topic) for name, topic in found.topics.items() if topic.error is None}, brokers)

    async def create(self, topics: Iterable[str]) -> None:
        wished = [
            _admin.NewTopic(topic, TOPIC_PARTITIONS, TOPIC_REPLICATION, config=dict(TOPIC_CONFIGS)) for topic in topics
        ]
        for topic, made in self._admin.create_topics(wished, request_timeout=ACK_S).items():
            try:
                await _result(made, topic, ACK_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise Away(f"{topic} can't be made: {error.args[0].str()}") from None

    async def produce(self, topic: str, partition: int, value: bytes, key: bytes | None = None) -> int:
        return await self._producer.send(topic, partition, value, key)

    async def ends(self, topic: str, partitions: Iterable[int]) -> Mapping[int, int]:
        return await self._ends.get(topic, partitions)

    async def begins(self, topic: str, partitions: Iterable[int]) -> Mapping[int, int]:
        return await self._begins.get(topic, partitions)

    def in_hand(self, topic: str, partition: int, offset: int) -> Message | None:
        return self._reader.in_hand((topic, partition), offset)

    def forget(self, topic: str) -> None:
        self._reader.forget(topic)

    async def read(self, topic: str, partition: int, offset: int, end: int) -> Message | None:
        return await self._reader.read((topic, partition), offset, end)

    def follow(self, topics: Iterable[str], told: Callable[[Sequence[Record]], None]) -> None:
        self._follower = KafkaFollower(self._bootstrap, topics, told)

    async def server_names(self, brokers: Iterable[int]) -> Mapping[int, str]:
        asked = {broker: _admin.ConfigResource(_admin.ConfigResource.Type.BROKER, str(broker)) for broker in brokers}
        await asyncio.gather(*[self._ask_name(broker, resource) for broker, resource in asked.items()])
        return {broker: self._names[broker] for broker in asked if broker in self._names}

    async def close(self) -> None:
        self._ends.close()
        self._begins.close()
        if self._follower is not None:
            await self._follower.close()
        await self._reader.close()
        await self._producer.close()

    async def _ask_ends(self, topic: str, partitions: frozenset[int]) -> dict[int, int]:
        return await self._offsets(topic, partitions, _admin.OffsetSpec.latest())

    async def _ask_begins(self, topic: str, partitions: frozenset[int]) -> dict[int, int]:
        return await self._offsets(topic, partitions, _admin.OffsetSpec.earliest())

    async def _offsets(self, topic: str, partitions: frozenset[int], spec: Any) -> dict[int, int]:
        """Asked again while a leader changes (a fenced one answers, or none), or what was just made isn't known."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            asked_s = loop.time() - began
            left_s = ASK_S - asked_s
            limit_s = max(AGAIN_S, min(left_s, TRY_S + asked_s))
            try:
                return await self._ask_offsets(topic, partitions, spec, limit_s)
            except Away:
                if left_s < AGAIN_S:
                    raise
                with contextlib.suppress(Away):
                    await self.metadata()  # else a leader that has left for good is asked for a quarter of an hour
            except NoTopic:
                if loop.time() > began + NEW_S:
                    raise
            await asyncio.sleep(AGAIN_S)

    async def _ask_offsets(self, topic: str, partitions: frozenset[int], spec: Any, limit_s: float) -> dict[int, int]:
        asked = {TopicPartition(topic, partition): spec for partition in partitions}
        committed = IsolationLevel.READ_COMMITTED
        found = self._admin.list_offsets(asked, isolation_level=committed, request_timeout=limit_s)
        asking = [_result(future, topic, limit_s) for future in found.values()]
        told = await asyncio.gather(*asking, return_exceptions=True)
        offsets: dict[int, int] = {}
        for at, result in zip(found, told, strict=True):
            if isinstance(result, KafkaException):
                raise await self._fault(result, topic, at.partition)
            if isinstance(result, BaseException):
                raise result
            if result.offset < 0:  # -1001 and no error: librdkafka's answer when its leader ended meanwhile
                raise Away(f"{topic}: its leader doesn't tell where it ends")
            offsets[at.partition] = result.offset
        return offsets

    async def _fault(self, error: KafkaException, topic: str, partition: int) -> BadCall:
        """librdkafka says that no leaders were found where there is no such topic."""
        why = fault(error, topic)
        if isinstance(why, Away) and partition >= len((await self.metadata()).leaders.get(topic, ())):
            return NoTopic(topic)
        return why

    async def _ask_name(self, broker: int, resource: Any) -> None:
        """One resource a question: a broker that is away must not hold the others' names back."""
        try:
            (future,) = self._admin.describe_configs([resource], request_timeout=NAME_S).values()
            configs = await _result(future, f"broker {broker}", NAME_S)
        except (KafkaException, Away):
            return
        name = configs.get(SERVER_NAME)
        if name is not None and name.value:
            self._names[broker] = name.value


async def _result(future: Any, what: str, limit_s: float) -> Any:
    """What librdkafka answers, which has a limit of its own; a second one is for what that doesn't cover."""
    try:
        async with asyncio.timeout(limit_s + GRACE_S):
            return await asyncio.wrap_future(future)
    except TimeoutError:
        raise Away(f"{what}: no answer within {limit_s + GRACE_S:g} s") from None


def _leaders(topic: Any) -> tuple[int | None, ...]:
    leaders = {number: None if part.leader < 0 else part.leader for number, part in topic.partitions.items()}
    return tuple([leaders.get(number) for number in range(max(leaders, default=-1) + 1)])
