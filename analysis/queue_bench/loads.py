"""The client's side, in a process of its own so that its CPU is told apart: confluent-kafka, as users take it.

    python -m analysis.queue_bench.loads produce|consume|sync --bootstrap HOST:PORT --topic T --count N [--size 100]

Prints one JSON object: {"count", "seconds", "cpu_s", "p50_us", "p99_us"}; the percentiles are of `sync` alone, the
others' are 0. Produce ends when every message is acknowledged (acks=all); consume when all have come.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from analysis.measures import percentile

PATIENCE_S: Final = 60.0
BATCH: Final = 10_000
"""Messages that one call of the consumer may bring."""
QUEUED: Final = 100_000
"""Librdkafka's own limit of messages under way; at it, the producer is served and tries again."""
PAUSE_MS: Final = 10
"""How long librdkafka asks for nothing once it holds 100 000 messages that nobody took. Its default of a second would
be most of what is measured, and punish whichever server fills the client faster: 5 such seconds in a million messages
at one of them, 2 at the other."""
WARM: Final = 200
"""Synchronous sends before those that count."""


def produce(bootstrap: str, topic: str, count: int, size: int) -> list[float]:
    failed: list[KafkaError] = []

    def told(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "queue.buffering.max.messages": QUEUED})
    value = b"x" * size
    for _ in range(count):
        while True:
            try:
                producer.produce(topic, value, on_delivery=told)
                break
            except BufferError:
                producer.poll(0.01)
    _flush(producer, failed)
    return []


def _flush(producer: Producer, failed: Sequence[KafkaError]) -> None:
    left = producer.flush(PATIENCE_S)
    if left or failed:
        raise RuntimeError(f"{left} messages without an ack, {len(failed)} refused: {failed[:1]}")


def consume(bootstrap: str, topic: str, count: int, size: int) -> list[float]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": PAUSE_MS,
        }
    )
    partitions = consumer.list_topics(topic, PATIENCE_S).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    seen, deadline = 0, time.monotonic() + PATIENCE_S
    while seen < count:
        for message in consumer.consume(BATCH, 1.0):
            if message.error() is not None:
                raise KafkaException(message.error())
            assert len(message.value() or b"") == size
            seen += 1
        if time.monotonic() > deadline:
            raise TimeoutError(f"{seen} of {count} messages came in {PATIENCE_S} s")
    consumer.close()
    return []


def sync(bootstrap: str, topic: str, count: int, size: int) -> list[float]:
    """One message after another, each waiting for its ack: seconds of each."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "socket.nagle.disable": True})
    failed: list[KafkaError] = []
    took: list[float] = []
    acked = False

    def told(error: KafkaError | None, _: Message) -> None:
        nonlocal acked
        acked = True
        if error is not None:
            failed.append(error)

    for number in range(count + WARM):
        acked = False
        begun = time.perf_counter()
        producer.produce(topic, b"x" * size, on_delivery=told, partition=0)
        while not acked:
            producer.poll(PATIENCE_S)
        if number >= WARM:
            took.append(time.perf_counter() - begun)
    _flush(producer, failed)
    return took


LOADS: Final[dict[str, Callable[[str, str, int, int], list[float]]]] = {
    "produce": produce,
    "consume": consume,
    "sync": sync,
}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=LOADS)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--size", type=int, default=100)
    asked = parser.parse_args(argv)
    cpu, begun = time.process_time(), time.perf_counter()
    took = sorted(LOADS[asked.kind](asked.bootstrap, asked.topic, asked.count, asked.size))
    told: dict[str, Any] = {
        "count": asked.count,
        "seconds": time.perf_counter() - begun,
        "cpu_s": time.process_time() - cpu,
        "p50_us": percentile(took, 0.5) * 1e6,
        "p99_us": percentile(took, 0.99) * 1e6,
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
