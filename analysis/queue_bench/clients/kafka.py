"""The Kafka protocol by confluent-kafka, as users take it: our servers and Apache Kafka alike."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # pyright: ignore[reportPrivateImportUsage]

from analysis.queue_bench.asked import Ask, Load, shares
from analysis.queue_bench.pacing import late_s, latency, one_by_one, stamped, ticks, warmed

PATIENCE_S: Final = 60.0
TOPIC_S: Final = 30.0
BATCH: Final = 10_000
"""Messages that one call of the consumer may bring; it waits for as many, so it is never asked for more than come."""
QUEUED: Final = 100_000
"""Librdkafka's own limit of messages under way; at it, the producer is served and tries again."""
PAUSE_MS: Final = 10
"""How long librdkafka asks for nothing once it holds 100 000 messages that nobody took. Its default of a second would
be most of what is measured, and punish whichever server fills the client faster: 5 such seconds in a million messages
at one of them, 2 at the other."""
WARM: Final = 200
"""Synchronous sends before those that count."""
AT_ONCE: Final[dict[str, Any]] = {"linger.ms": 0, "socket.nagle.disable": True}
"""For who waits: librdkafka's 5 ms of linger would be most of any latency, on both sides alike."""
IDLE_S: Final = 0.005
"""Between two looks at a hundred consumers that had nothing: looking takes CPU from the server."""
LOOK: Final = 1000
"""Messages that such a look may bring of each."""
CROWD_S: Final = 240.0


# Topics


def create(address: str, topic: str, partitions: int, synced: bool) -> None:
    """Raises KafkaException."""
    del synced  # a setting of the broker, for all topics
    admin = AdminClient({"bootstrap.servers": address})
    new = [NewTopic(topic, partitions, 1)]
    _done(admin.create_topics(new))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def delete(address: str, topic: str, partitions: int) -> None:
    """Raises KafkaException."""
    del partitions
    admin = AdminClient({"bootstrap.servers": address})
    _done(admin.delete_topics([topic]))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def _done(answers: Mapping[str, Future[None]]) -> None:
    """While the caller holds the client: without one no answer comes."""
    for answer in answers.values():
        answer.result(TOPIC_S)


def send_one(address: str, topic: str) -> None:
    """A message, acknowledged. Raises KafkaException or RuntimeError."""
    acks = Acks()
    producer = acks.producer(address, **AT_ONCE)
    producer.produce(topic, b"first", on_delivery=acks.told, partition=0)
    acks.flush(producer)


# Producing


class Acks:
    """What came of the messages of any number of producers."""

    def __init__(self) -> None:
        self.failed: list[KafkaError] = []
        self.count = 0

    def told(self, error: KafkaError | None, _: Message) -> None:
        self.count += 1
        if error is not None:
            self.failed.append(error)

    def producer(self, address: str, **settings: Any) -> Producer:
        return Producer({"bootstrap.servers": address, "acks": "all", **settings})

    def flush(self, *producers: Producer) -> None:
        """Raises RuntimeError unless everything was acknowledged."""
        left = sum(producer.flush(PATIENCE_S) for producer in producers)
        if left or self.failed:
            raise RuntimeError(f"{left} messages without an ack, {len(self.failed)} refused: {self.failed[:1]}")

    def send(self, producer: Producer, topic: str, value: bytes, partition: int = -1) -> None:
        """Served and tried again as long as the producer is full."""
        while True:
            try:
                producer.produce(topic, value, on_delivery=self.told, partition=partition)
                return
            except BufferError:
                producer.poll(0.01)


def produce(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    acks = Acks()
    producer = acks.producer(ask.address, **{"queue.buffering.max.messages": QUEUED})
    value = b"x" * ask.size
    producer.list_topics(ask.topic, PATIENCE_S)
    ready()
    for _ in range(ask.count):
        acks.send(producer, ask.topic, value)
    acks.flush(producer)
    return {}


def sync(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    """One message after another, each waiting for its ack."""
    return one_by_one(_one_by_one(ask, 0, WARM, ask.count, ready))


def waiting(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    """Many producers, a thread and a connection each, that wait for each ack."""
    all_ready = threading.Barrier(ask.clients + 1)
    took: list[float] = []

    def one(number: int, count: int) -> None:
        took.extend(_one_by_one(ask, number, 1, count, all_ready.wait))

    threads = [
        threading.Thread(target=one, args=(number, count), daemon=True)
        for number, count in enumerate(shares(ask.count, ask.clients), ask.first)
    ]
    for thread in threads:
        thread.start()
    while all_ready.n_waiting < ask.clients:
        if not all(thread.is_alive() for thread in threads):
            raise RuntimeError("a producer failed")
        time.sleep(0.01)
    ready()
    all_ready.wait()
    for thread in threads:
        thread.join()
    if len(took) != ask.count:
        raise RuntimeError(f"{len(took)} of {ask.count} messages were acknowledged")
    return latency(took)


def _one_by_one(ask: Ask, number: int, warm: int, count: int, warmed_up: Callable[[], object]) -> Sequence[float]:
    """Seconds of each of `count` sends to partition `number`, after `warm` others and a call of `warmed_up`."""
    acks = Acks()
    producer = acks.producer(ask.address, **AT_ONCE)
    partition, value = number % ask.partitions, b"x" * ask.size
    took: list[float] = []
    for done in range(warm + count):
        if done == warm:
            warmed_up()
        begun = time.perf_counter()
        producer.produce(ask.topic, value, on_delivery=acks.told, partition=partition)
        while acks.count == done:
            producer.poll(PATIENCE_S)
        if done >= warm:
            took.append(time.perf_counter() - begun)
    acks.flush(producer)
    return took


def paced(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    """`rate` messages a second, each with the time when it was due."""
    acks = Acks()
    producer = acks.producer(ask.address, **AT_ONCE)
    acks.send(producer, ask.topic, stamped(0, ask.size))  # `receive` knows it by its 0
    acks.flush(producer)
    ready()
    for due_ns, many in ticks(time.perf_counter_ns(), ask.count, ask.rate):
        if (early_ns := due_ns - time.perf_counter_ns()) > 0:
            time.sleep(early_ns / 1e9)
        for _ in range(many):
            acks.send(producer, ask.topic, stamped(due_ns, ask.size))
        producer.poll(0)
    acks.flush(producer)
    return {}


def crowd_produce(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    """Many producers, each to partitions of its own, as fast as they go."""
    acks = Acks()
    producers = [acks.producer(ask.address, **{"queue.buffering.max.messages": QUEUED}) for _ in range(ask.clients)]
    value = b"x" * ask.size
    for producer in producers:
        producer.list_topics(ask.topic, PATIENCE_S)
    ready()
    for place in range(ask.count):
        partition = place % ask.partitions
        acks.send(producers[partition % ask.clients], ask.topic, value, partition)
        if place % BATCH == 0:
            for producer in producers:
                producer.poll(0)
    acks.flush(*producers)
    return {}


# Consuming


def consume(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    consumer = _consumer(ask.address)
    consumer.list_topics(ask.topic, PATIENCE_S)
    ready()
    consumer.assign([TopicPartition(ask.topic, number, 0) for number in range(ask.partitions)])
    seen, deadline = 0, time.monotonic() + PATIENCE_S
    while seen < ask.count:
        for message in consumer.consume(min(BATCH, ask.count - seen), 1.0):
            assert len(_value(message)) == ask.size
            seen += 1
        _check(seen, ask.count, deadline)
    consumer.close()
    return {}


def receive(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    """What `paced` sends, as it comes: the first message is not counted, it shows that the way is open."""
    consumer = _consumer(ask.address)
    consumer.assign([TopicPartition(ask.topic, number, 0) for number in range(ask.partitions)])
    took: list[float] = []
    _wait_for_one(consumer)
    ready()
    deadline = time.monotonic() + PATIENCE_S + ask.count / ask.rate
    while len(took) < ask.count:
        if (message := consumer.poll(1.0)) is not None:
            took.append(late_s(_value(message), time.perf_counter_ns()))
        _check(len(took), ask.count, deadline)
    consumer.close()
    return latency(warmed(took))


def _wait_for_one(consumer: Consumer) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (message := consumer.poll(1.0)) is None:
        _check(0, 1, deadline)
    _value(message)


def crowd_consume(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    """Many consumers, each of partitions of its own, looked at in turn: threads would measure Python's lock."""
    consumers = [_consumer(ask.address) for _ in range(ask.clients)]
    for number, consumer in enumerate(consumers):
        own = range(number, ask.partitions, ask.clients)
        consumer.list_topics(ask.topic, PATIENCE_S)
        consumer.assign([TopicPartition(ask.topic, partition, 0) for partition in own])
    ready()
    seen, deadline = 0, time.monotonic() + CROWD_S
    while seen < ask.count:
        came = sum(len(list(map(_value, consumer.consume(LOOK, 0)))) for consumer in consumers)
        seen += came
        if not came:
            time.sleep(IDLE_S)
        _check(seen, ask.count, deadline)
    return {}


def _consumer(address: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "bench",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": PAUSE_MS,
        }
    )


def _value(message: Message) -> bytes:
    """Raises KafkaException."""
    if (error := message.error()) is not None:
        raise KafkaException(error)
    return message.value() or b""


def _check(seen: int, count: int, deadline: float) -> None:
    if seen < count and time.monotonic() > deadline:
        raise TimeoutError(f"{seen} of {count} messages came in time")


LOADS: Final[Mapping[str, Load]] = {
    "produce": produce,
    "consume": consume,
    "sync": sync,
    "waiting": waiting,
    "paced": paced,
    "receive": receive,
    "crowd-produce": crowd_produce,
    "crowd-consume": crowd_consume,
}
