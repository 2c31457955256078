"""Compaction (cleanup.policy=compact): the last value of each key stays, tombstones go, offsets stay what they were."""

from contextlib import closing

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from support.kafka_clients import PATIENCE_S, Client, Confluent, Message, Sending, until
from support.kafka_engines import Engine, MakeTopic

pytestmark = [pytest.mark.system, pytest.mark.slow]

LONG_S = 90.0
"""Six of the pauses that Kafka's cleaner makes by default (log.cleaner.backoff.ms)."""
EAGER = {
    "segment_ms": 100,
    "min_cleanable_dirty_ratio": 0.001,
    "delete_retention_ms": 100,
    "max_compaction_lag_ms": 100,
}


def everything(engine: Engine, topic: str) -> list[tuple[int, bytes | None, bytes | None]]:
    """(offset, key, value) of each record that is there now."""
    found: list[tuple[int, bytes | None, bytes | None]] = []
    settings = {"bootstrap.servers": engine.bootstrap, "group.id": "unused", "enable.partition.eof": True}
    with closing(Consumer(settings)) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while True:
            message = until(lambda: consumer.poll(0.1), bool)
            error = message.error()
            if error is None:
                found.append((message.offset(), message.key(), message.value()))
            elif error.code() == KafkaError._PARTITION_EOF:
                return found
            else:
                raise AssertionError(error)


@pytest.mark.timeout(300)
def test_only_the_last_value_of_a_key_stays(engine: Engine, clients: list[Client], make_topic: MakeTopic) -> None:
    topic = make_topic(cleanup_policy="compact", **EAGER)
    client = Confluent(engine.bootstrap)
    for turn in range(4):
        codec = ("none", "gzip", "lz4", "zstd")[turn] if turn < 3 else "none"
        values = [Message(b"%d" % turn, b"key-%d" % key) for key in range(20)]
        client.produce(topic, values, Sending(codec=codec))
    client.produce(topic, [Message(None, b"key-%d" % key) for key in range(5)])
    wanted = {b"key-%d" % key: (60 + key, b"3") for key in range(5, 20)}

    def kept() -> tuple[bool, int]:
        """Whether just the wanted are left, and how many records of the keys there are."""
        client.produce(topic, [Message(b"x", b"next")])  # a record that comes late begins a new segment
        left = [(offset, key, value) for offset, key, value in everything(engine, topic) if key != b"next"]
        return {key: (offset, value) for offset, key, value in left} == wanted, len(left)

    until(kept, lambda seen: seen == (True, 15), LONG_S)
    with closing(Consumer({"bootstrap.servers": engine.bootstrap, "group.id": "unused"})) as consumer:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), PATIENCE_S)
    assert low == 0
    assert client.produce(topic, [Message(b"x", b"next")]) == [(0, high)]
    for one in clients:  # each reads on over the gaps
        stored = one.consume(topic, 16)
        assert [seen.offset for seen in stored[:15]] == list(range(65, 80)), one.name
        assert [seen.message.value for seen in stored[:15]] == [b"3"] * 15
