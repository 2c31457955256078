"""Records, written by one client and read by the others: what Kafka keeps, every client gets back, byte for byte."""

import random
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AioPartition
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from support.kafka_clients import (
    CODECS,
    PATIENCE_S,
    Aio,
    Client,
    Confluent,
    KafkaPython,
    Kcat,
    Message,
    Refused,
    Sending,
    consumed,
    run,
    until,
)
from support.kafka_engines import Engine, MakeTopic
from support.kafka_python import kafka

pytestmark = pytest.mark.system

MESSAGE_TOO_LARGE = 10
INVALID_TIMESTAMP = 32
INVALID_RECORD = 87
LONG_AGO_MS = 1_000_000_000_000
TEXT = ("value", "ünïcode ✓", "a" * 3000)
FULL = [
    Message(b"v", b"k", (("h", b"1"), ("h", b"2"), ("null", None), ("empty", b""), ("ünï", "✓".encode())), LONG_AGO_MS),
    Message(None, b"tombstone", (), LONG_AGO_MS + 1),
    Message(b"", b"", (), LONG_AGO_MS),
    Message(b"only a value", None, (), LONG_AGO_MS + 5),
    Message(b"x" * 10_000, b"k" * 1000, (), LONG_AGO_MS + 2),
]
SIMPLE = [Message(text.encode(), f"k{index}".encode()) for index, text in enumerate(TEXT)]
STAMPING = (Confluent, Aio, KafkaPython)


def as_kcat_says(message: Message) -> Message:
    """kcat prints what is empty as null."""
    return replace(message, key=message.key or None, value=message.value or None)


def sendable(client: Client) -> list[Message]:
    """As much of what a message can have as this client lets its users say; kafka-python refuses null headers."""
    if client.name == "kafka-python":
        return [
            replace(message, headers=tuple(pair for pair in message.headers if pair[1] is not None)) for message in FULL
        ]
    return FULL if client.stamps else SIMPLE


def as_it_is(message: Message) -> Message:
    return message


@pytest.mark.parametrize("codec", CODECS)
def test_what_one_client_writes_the_others_read(clients: list[Client], topic: str, codec: str) -> None:
    written: list[Message] = []
    for client in clients:
        if codec in client.codecs:
            sent = sendable(client)
            client.produce(topic, sent, Sending(codec=codec))
            written += sent
    for client in clients:
        if codec not in client.codecs:
            continue
        seen = client.consume(topic, len(written))
        assert [(stored.partition, stored.offset) for stored in seen] == [(0, at) for at in range(len(written))]
        assert not any(stored.appended for stored in seen)
        for stored, message in zip(seen, written, strict=True):
            stamped = replace(message, timestamp_ms=message.timestamp_ms or stored.message.timestamp_ms)
            plain = as_kcat_says if client.name == "kcat" else as_it_is
            assert plain(stored.message) == plain(stamped), client.name


def test_a_reader_may_begin_within_a_batch(clients: list[Client], topic: str) -> None:
    clients[0].produce(topic, [Message(b"%d" % at) for at in range(10)], Sending(codec="gzip"))
    for client in clients:
        assert [stored.message.value for stored in client.consume(topic, 3, offset=7)] == [b"7", b"8", b"9"]


def test_log_append_time(clients: list[Client], make_topic: MakeTopic) -> None:
    topic = make_topic(message_timestamp_type="LogAppendTime")
    for client in clients:
        client.produce(topic, [replace(message, timestamp_ms=None) for message in SIMPLE[:1]])
    clients[0].produce(topic, FULL, Sending(codec="gzip"))
    count = len(clients) + len(FULL)
    for client in clients:
        for stored in client.consume(topic, count):
            assert stored.appended
            assert abs((stored.message.timestamp_ms or 0) / 1000 - time.time()) < 3600, client.name


def test_a_timestamp_too_far_ahead_is_refused(client_of: Callable[[Any], Client], topic: str) -> None:
    ahead = int(time.time() * 1000) + 2 * 3_600_000  # message.timestamp.after.max.ms is an hour
    for kind in STAMPING:
        with pytest.raises(Refused) as refused:
            client_of(kind).produce(topic, [Message(b"x", timestamp_ms=ahead)])
        assert refused.value.code == INVALID_TIMESTAMP


def test_a_megabyte(clients: list[Client], topic: str) -> None:
    blob = random.Random(6).randbytes(1_000_000)
    text = blob.hex().encode()[:1_000_000]
    for client in clients:
        sent = text if client.name == "kcat" else blob
        client.produce(topic, [Message(sent)])
    for client in clients:
        for stored in client.consume(topic, 3) if client.name != "kcat" else ():
            assert stored.message.value == blob
        assert client.consume(topic, 1, offset=3)[0].message.value == text


def test_the_first_batch_comes_whole_however_little_was_asked_for(engine: Engine, topic: str) -> None:
    """KIP-74: a consumer gets on even past a batch that is larger than its limits."""
    Confluent(engine.bootstrap).produce(topic, [Message(b"x" * 100_000)] * 3)
    limits = {"fetch.message.max.bytes": 1000, "fetch.max.bytes": 1000, "message.max.bytes": 1000}
    with closing(Consumer({"bootstrap.servers": engine.bootstrap, "group.id": "unused", **limits})) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        assert [len(message.value()) for message in consumed(consumer, 3)] == [100_000] * 3


def test_a_message_over_the_topics_limit_is_refused(client_of: Callable[[Any], Client], make_topic: MakeTopic) -> None:
    topic = make_topic(max_message_bytes=2000)
    for kind in STAMPING:
        client = client_of(kind)
        with pytest.raises(Refused) as refused:
            client.produce(topic, [Message(b"x" * 5000)])
        assert refused.value.code == MESSAGE_TOO_LARGE, client.name
        client.produce(topic, [Message(b"x" * 1000)])
        assert len(client.consume(topic, 1)) == 1


def test_a_record_without_key_on_a_compacted_topic_is_refused(
    client_of: Callable[[Any], Client], make_topic: MakeTopic
) -> None:
    topic = make_topic(cleanup_policy="compact")
    for kind in (Confluent, KafkaPython):  # aiokafka has no name for this code
        with pytest.raises(Refused) as refused:
            client_of(kind).produce(topic, [Message(b"x")])
        assert refused.value.code == INVALID_RECORD


@pytest.mark.parametrize("acks", [0, 1, -1])
def test_acks(clients: list[Client], topic: str, acks: int) -> None:
    for turn, client in enumerate(clients):
        placed = client.produce(topic, [Message(b"%d" % at) for at in range(20)], Sending(acks=acks))
        if acks and client.name != "kcat":
            assert placed == [(0, turn * 20 + at) for at in range(20)], client.name
        until(lambda: end_of(clients[0], topic), lambda end, turn=turn: end == turn * 20 + 20)
    values = [stored.message.value for stored in clients[0].consume(topic, 80)]
    assert values == [b"%d" % at for at in range(20)] * 4


def end_of(client: Client, topic: str, partition: int = 0) -> int:
    with closing(Consumer({"bootstrap.servers": client.bootstrap, "group.id": "unused"})) as consumer:
        return consumer.get_watermark_offsets(TopicPartition(topic, partition), PATIENCE_S)[1]


def test_idempotent_producers(clients: list[Client], topic: str) -> None:
    """Each client asks for a producer id and numbers its batches; nothing is there twice, and the order is kept."""
    for client in clients:
        client.produce(topic, [Message(b"%d" % at) for at in range(300)], Sending(idempotent=True))
    values = [stored.message.value for stored in clients[0].consume(topic, 1200)]
    assert values == [b"%d" % at for at in range(300)] * 4


def test_pipelined_small_batches_keep_their_order(engine: Engine, topic: str) -> None:
    few = {"linger.ms": 0, "batch.num.messages": 1, "max.in.flight": 5, "enable.idempotence": True}
    producer = Producer({"bootstrap.servers": engine.bootstrap, **few})
    offsets: list[int] = []
    for at in range(500):
        producer.produce(topic, b"%d" % at, on_delivery=lambda _, message: offsets.append(message.offset()))
    assert producer.flush(PATIENCE_S) == 0
    assert offsets == list(range(500))
    stored = Confluent(engine.bootstrap).consume(topic, 500)
    assert [one.message.value for one in stored] == [b"%d" % at for at in range(500)]


def test_the_same_key_goes_to_the_same_partition(clients: list[Client], make_topic: MakeTopic) -> None:
    """murmur2 of the key, as in Java's client; kcat and confluent-kafka are told so, the others do by default."""
    topic = make_topic(7)
    keys = [f"key-{at}".encode() for at in range(40)]
    for client in clients:
        client.produce(topic, [Message(b"v", key) for key in keys], Sending(partition=None))
    places: dict[bytes | None, list[int]] = {}
    for partition in range(7):
        count = end_of(clients[0], topic, partition)
        for stored in clients[0].consume(topic, count, partition) if count else ():
            places.setdefault(stored.message.key, []).append(stored.partition)
    assert {key: len(set(found)) for key, found in places.items()} == dict.fromkeys(keys, 1)
    assert {len(found) for found in places.values()} == {4}


def test_offsets_by_time(engine: Engine, topic: str) -> None:
    """The first record whose time is not before the asked one, in order of offsets; none: no offset."""
    times = [100, 300, 200, 400, 400]
    client = Confluent(engine.bootstrap)
    client.produce(topic, [Message(b"x", timestamp_ms=LONG_AGO_MS + at) for at in times[:3]], Sending(codec="gzip"))
    client.produce(topic, [Message(b"x", timestamp_ms=LONG_AGO_MS + at) for at in times[3:]])
    asked = {0: 0, 100: 0, 101: 1, 200: 1, 300: 1, 301: 3, 400: 3, 401: None}
    at_times = {LONG_AGO_MS + asked_ms: offset for asked_ms, offset in asked.items()}
    assert by_confluent(engine, topic, at_times) == at_times
    assert by_kafka_python(engine, topic, at_times) == at_times
    assert run(by_aiokafka(engine, topic, at_times)) == at_times
    found = Kcat(engine.bootstrap).run("-Q", "-t", f"{topic}:0:{LONG_AGO_MS + 301}")
    assert found.decode().split() == [topic, "[0]", "offset", "3"]


def by_confluent(engine: Engine, topic: str, at_times: dict[int, int | None]) -> dict[int, int | None]:
    with closing(Consumer({"bootstrap.servers": engine.bootstrap, "group.id": "unused"})) as consumer:
        found = {
            ms: consumer.offsets_for_times([TopicPartition(topic, 0, ms)], PATIENCE_S)[0].offset for ms in at_times
        }
        assert consumer.get_watermark_offsets(TopicPartition(topic, 0), PATIENCE_S) == (0, 5)
    return {ms: None if offset == OFFSET_END else offset for ms, offset in found.items()}


def by_kafka_python(engine: Engine, topic: str, at_times: dict[int, int | None]) -> dict[int, int | None]:
    consumer: Any = kafka.KafkaConsumer(bootstrap_servers=engine.bootstrap, group_id=None)
    partition = kafka.TopicPartition(topic, 0)
    with closing(consumer):
        found = {ms: consumer.offsets_for_times({partition: ms})[partition] for ms in at_times}
        assert consumer.beginning_offsets([partition]) == {partition: 0}
        assert consumer.end_offsets([partition]) == {partition: 5}
    return {ms: one and one.offset for ms, one in found.items()}


async def by_aiokafka(engine: Engine, topic: str, at_times: dict[int, int | None]) -> dict[int, int | None]:
    partition = AioPartition(topic, 0)
    quick = {"group_id": None, "fetch_max_wait_ms": 10}  # other requests wait behind its parked fetches
    async with AIOKafkaConsumer(bootstrap_servers=engine.bootstrap, **quick) as consumer:
        consumer.assign([partition])
        found = {ms: (await consumer.offsets_for_times({partition: ms}))[partition] for ms in at_times}
        assert await consumer.beginning_offsets([partition]) == {partition: 0}
        assert await consumer.end_offsets([partition]) == {partition: 5}
        return {ms: one and one.offset for ms, one in found.items()}


def test_the_offset_of_the_latest_time(engine: Engine, admin: AdminClient, topic: str) -> None:
    """KIP-734: the record with the largest time, wherever it lies."""
    times = [100, 300, 200]
    sent = [Message(b"x", timestamp_ms=LONG_AGO_MS + at) for at in times]
    Confluent(engine.bootstrap).produce(topic, sent)
    partition = TopicPartition(topic, 0)
    specs = {OffsetSpec.max_timestamp(): (1, LONG_AGO_MS + 300), OffsetSpec.earliest(): (0, -1)}
    specs[OffsetSpec.latest()] = (3, -1)
    specs[OffsetSpec.for_timestamp(LONG_AGO_MS + 150)] = (1, LONG_AGO_MS + 300)
    for spec, wanted in specs.items():
        found = admin.list_offsets({partition: spec})[partition].result(PATIENCE_S)
        assert (found.offset, found.timestamp) == wanted


def test_a_topic_is_made_by_its_first_producer(
    clients: list[Client], admin: AdminClient, broker_settings: dict[str, str], name: str
) -> None:
    if broker_settings.get("auto.create.topics.enable") != "true":
        pytest.skip("auto.create.topics.enable is off here")
    made = [f"{name}-{client.name}" for client in clients]
    for client, topic in zip(clients, made, strict=True):
        client.produce(topic, SIMPLE)
        assert len(clients[0].consume(topic, len(SIMPLE))) == len(SIMPLE)
    topics = admin.list_topics(timeout=PATIENCE_S).topics
    assert {len(topics[topic].partitions) for topic in made} == {int(broker_settings["num.partitions"])}
    for future in admin.delete_topics(made).values():
        future.result(PATIENCE_S)
