"""Reads ahead for calls that want one message: librdkafka's consumer, assigned a partition for as long as a read takes.

A read is a *demand*: from an offset on until a bunch is full, or the end that was known when it began. Then the
partition is given back, so a reader that nobody asks holds no memory and sends nothing; and since a demand begins by an
assignment, any offset is as near as the next one. Demands of one partition follow each other.

All on the loop's thread, which looks every POLL_S while there are demands. The road not taken, a thread that polls,
could hand over what it had polled before a partition was given back, in the middle of the next demand.

Only the question where a topic is led has a thread, and while it is out the consumer is left alone: confluent-kafka
lets one call at a time into a consumer, and has others sleep. The loop would sleep, and where the server that is asked
is this one, nobody would answer: both slept until control killed the server.
"""

import asyncio
import math
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from server.read_windows import MESSAGE_BYTES, Message, Partition, Window, Windows
from server.rest import kafka_settings
from server.rest.cluster import ASK_S, READ_S, Away
from server.rest.flights import heard
from server.rest.kafka_errors import fault

POLL_S: Final = 0.001
"""A Fetch between two processes of a machine takes about as long."""
MAX_POLLED: Final = 100
"""Messages taken at a time: a tenth of a millisecond of the loop's."""
KNOWN_S: Final = 600.0
"""How long librdkafka surely remembers where a topic is led: it forgets after 900 s (metadata.max.age.ms)."""
MAX_MESSAGES: Final = 500
MAX_BYTES: Final = 1024 * 1024
"""Of one demand: as one Fetch brings."""

_END: Final = KafkaError._PARTITION_EOF  # pyright: ignore[reportPrivateUsage] -- librdkafka's own codes are spelt so


class _Demand:
    """`reached`: all messages from `start` up to there are in `messages`. `end`: where it ends; below what was asked
    for if the log ends before."""

    def __init__(self, start: int, end: int, done: "asyncio.Future[None]") -> None:
        self.start = start
        self.end = end
        self.reached = start
        self.messages: list[Message] = []
        self.size_bytes = 0
        self.done = done

    @property
    def is_full(self) -> bool:
        full = len(self.messages) >= MAX_MESSAGES or self.size_bytes >= MAX_BYTES
        return full or self.reached >= self.end

    def take(self, message: Message) -> None:
        """One below `start` wasn't asked for: the log is another one, which librdkafka begins to read anew."""
        if message.offset < self.start:
            return
        self.messages.append(message)
        self.size_bytes += MESSAGE_BYTES + len(message.value or b"")
        self.reached = message.offset + 1


class KafkaReader:
    """Made and called on the loop's thread."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer(kafka_settings.reader(bootstrap))
        self._loop = asyncio.get_running_loop()
        self._windows = Windows()
        self._demands: dict[Partition, _Demand] = {}
        self._topics: dict[str, float] = {}
        """When each was looked at."""
        self._timer: asyncio.TimerHandle | None = None
        self._asking: tuple[str, asyncio.Task[None]] | None = None
        """Where that topic is led; the consumer is the thread's until it is answered."""
        self._given_back: list[TopicPartition] = []
        """Meanwhile."""

    def in_hand(self, partition: Partition, offset: int) -> Message | None:
        return self._windows.find(partition, offset)

    def forget(self, topic: str) -> None:
        self._windows.forget(topic)

    async def read(self, partition: Partition, offset: int, end: int) -> Message | None:
        """As `Cluster.read`."""
        while True:
            found = self._windows.find(partition, offset)
            if found is not None:
                return found
            if self._asking is not None or self._loop.time() > self._topics.get(partition[0], -math.inf) + KNOWN_S:
                await self._looked_at(partition[0])
                continue
            under_way = self._demands.get(partition)
            demand = self._begin(partition, offset, end) if under_way is None else under_way
            await self._wait(partition, demand)
            if demand is not under_way and demand.reached >= demand.end:
                return self._windows.find(partition, offset)

    async def _looked_at(self, topic: str) -> None:
        """It was asked where the topic is led, or where another one is: one question at a time."""
        if self._asking is None:
            task = asyncio.create_task(self._look_at(topic))
            task.add_done_callback(heard)
            self._asking = topic, task
        of, asking = self._asking
        if of == topic:
            await asyncio.shield(asking)
        else:
            await asyncio.wait((asking,))

    async def _look_at(self, topic: str) -> None:
        """librdkafka itself asks for topics that are new to it once a second."""
        try:
            await asyncio.to_thread(self._consumer.list_topics, topic, ASK_S)
        except KafkaException as error:
            raise fault(error, topic) from None
        else:
            self._topics[topic] = self._loop.time()
        finally:
            self._asking = None
            if self._given_back:
                self._consumer.incremental_unassign(self._given_back)
                self._given_back = []

    async def _wait(self, partition: Partition, demand: _Demand) -> None:
        try:
            async with asyncio.timeout(READ_S):
                await asyncio.shield(demand.done)
        except TimeoutError:
            if self._demands.get(partition) is demand:
                self._finish(partition, demand)
            raise Away(f"{partition[0]} is not read within {READ_S:g} s") from None

    def _begin(self, partition: Partition, offset: int, end: int) -> _Demand:
        try:
            self._consumer.incremental_assign([TopicPartition(*partition, offset)])
        except KafkaException as error:
            raise fault(error, partition[0]) from None
        demand = self._demands[partition] = _Demand(offset, end, self._loop.create_future())
        if self._timer is None:
            self._timer = self._loop.call_later(POLL_S, self._look)
        return demand

    def _look(self) -> None:
        self._timer = None
        for message in self._consumer.consume(MAX_POLLED, 0) if self._asking is None else ():
            self._take(message)
        if self._demands:
            self._timer = self._loop.call_later(POLL_S, self._look)

    def _take(self, message: Any) -> None:
        error, partition = message.error(), (message.topic(), message.partition())
        demand = self._demands.get(partition)
        if demand is None:
            return
        if error is None:
            demand.take(Message(message.offset(), message.value()))
        elif error.code() == _END:
            demand.reached = demand.end = max(demand.reached, message.offset())
        elif not error.retriable():
            self._finish(partition, demand, fault(error, partition[0]))
            return
        if demand.is_full:
            self._finish(partition, demand)

    def _finish(self, partition: Partition, demand: _Demand, why: Exception | None = None) -> None:
        del self._demands[partition]
        if self._asking is None:
            self._consumer.incremental_unassign([TopicPartition(*partition)])
        else:
            self._given_back.append(TopicPartition(*partition))
        self._windows.add(partition, Window(demand.start, demand.reached, demand.messages))
        if why is None:
            demand.done.set_result(None)
        else:
            demand.done.set_exception(why)
            demand.done.exception()  # who asked may have gone

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._asking is not None:
            await asyncio.wait(self._asking[1:])
        await asyncio.to_thread(self._consumer.close)
