"""Our own clients (`client/`) over each engine: what their docstrings promise, and the docstrings' examples."""

import asyncio
import doctest
import importlib
import json
import uuid
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest
from aiokafka.partitioner import murmur2
from support.kafka_clients import Aio, until
from support.kafka_clients import Message as Sending
from support.kafka_engines import Engine, MakeTopic

from client import (
    Admin,
    AsyncAdmin,
    AsyncConsumer,
    AsyncProducer,
    Consumer,
    Lag,
    Message,
    Offsets,
    Producer,
    errors,
)
from wire.http_queue import NAMES_TOPIC, TOPIC_CONFIGS, encode_name, name_key

pytestmark = pytest.mark.system

WAIT_S = 20.0
LONG_AGO_MS = 1_000_000_000_000
MODULES = ("admin", "async_admin", "async_consumer", "async_producer", "consumer", "producer")
EXAMPLES = {"orders": 1, "greetings": 1, "numbers": 1, "words": 1}
"""Topics that the examples use, by their partitions."""
MADE_BY_EXAMPLES = ("letters", "leaves")


@pytest.fixture
def ours(engine: Engine) -> Generator[Admin]:
    with Admin(engine.bootstrap, patience_s=WAIT_S) as admin:
        yield admin


@pytest.fixture
def example_topics(engine: Engine, ours: Admin) -> Generator[None]:
    names = {*EXAMPLES, *MADE_BY_EXAMPLES}

    def there() -> set[str]:
        return {one.name for one in ours.topics()} & names

    if there():
        pytest.skip(f"somebody's topics have the examples' names: {there()}")
    for topic, partitions in EXAMPLES.items():
        ours.create_topic(topic, partitions)
    with Producer(engine.bootstrap, serializer="json") as producer:
        for number in (1, 2):
            producer.send_and_wait("numbers", number)
    yield
    for topic in names:
        with suppress(errors.TopicNotFound):
            ours.delete_topic(topic)
    until(there, lambda left: not left)


@pytest.mark.parametrize("module", MODULES)
def test_the_docstrings_examples_run(engine: Engine, example_topics: None, module: str) -> None:
    found = importlib.import_module(f"client.kafka.{module}")
    result = doctest.testmod(found, extraglobs={"BOOTSTRAP": engine.bootstrap, "asyncio": asyncio})
    assert result.failed == 0
    assert result.attempted > 0


def read(consumer: Consumer, count: int) -> list[Message]:
    found: list[Message] = []
    until(lambda: found.extend(consumer.batch(count - len(found), 0.2)) or len(found), lambda have: have >= count)
    return found


# --- producer ------------------------------------------------------------------------------------


def test_all_that_a_message_can_have(engine: Engine, topic: str) -> None:
    with Producer(engine.bootstrap) as producer:
        sent = [
            producer.send(topic, b"v", "k", 0, {"a": "1", "b": None}, LONG_AGO_MS),
            producer.send(topic, None, b"k", headers=[("a", b"1"), ("a", b"2")]),
            producer.send(topic, b""),
        ]
    assert [one.result().offset for one in sent] == [0, 1, 2]
    assert sent[0].result().timestamp_ms == LONG_AGO_MS
    with Consumer(engine.bootstrap, topic) as consumer:
        first, second, third = read(consumer, 3)
    assert first == Message(topic, 0, 0, b"k", b"v", (("a", b"1"), ("b", None)), LONG_AGO_MS)
    assert (second.key, second.value, second.headers) == (b"k", None, (("a", b"1"), ("a", b"2")))
    assert (third.key, third.value, third.headers) == (None, b"", ())


@pytest.mark.parametrize(("name", "value"), [("str", "ünï"), ("json", {"a": [1, None]}), ("msgpack", {1: b"\xff"})])
def test_serializers(engine: Engine, topic: str, name: Any, value: Any) -> None:
    with Producer(engine.bootstrap, serializer=name) as producer:
        producer.send_and_wait(topic, value)
    with Consumer(engine.bootstrap, topic, deserializer=name) as consumer:
        assert read(consumer, 1)[0].value == value


def test_keys_go_where_javas_clients_put_them(engine: Engine, make_topic: MakeTopic) -> None:
    topic = make_topic(7)
    with Producer(engine.bootstrap) as producer:
        sent = {key: producer.send(topic, b"", key) for key in (f"key-{at}" for at in range(200))}
    for key, future in sent.items():
        assert future.result().partition == (murmur2(key.encode()) & 0x7FFFFFFF) % 7


def test_another_client_reads_what_ours_wrote(engine: Engine, topic: str) -> None:
    with Producer(engine.bootstrap, serializer="str", compression_type="lz4") as producer:
        producer.send_and_wait(topic, "v", "k", headers={"h": "1"}, timestamp_ms=LONG_AGO_MS)
    (stored,) = Aio(engine.bootstrap).consume(topic, 1)
    assert stored.message == Sending(b"v", b"k", (("h", b"1"),), LONG_AGO_MS)


def test_refusals(engine: Engine, topic: str) -> None:
    with Producer(engine.bootstrap, delivery_timeout_ms=10_000) as producer:
        assert isinstance(producer.send(topic, b"", partition=7).exception(WAIT_S), errors.PartitionNotFound)
        with pytest.raises(errors.MessageTooLarge):
            producer.send_and_wait(topic, b"x" * 2_000_000)


def test_more_than_fits_into_the_queue(engine: Engine, topic: str) -> None:
    with Producer(engine.bootstrap, queue_buffering_max_messages=10) as producer:
        sent = [producer.send(topic, b"%d" % at) for at in range(500)]
    assert [one.result().offset for one in sent] == list(range(500))


# --- consumer ------------------------------------------------------------------------------------


def test_starts(engine: Engine, topic: str) -> None:
    with Producer(engine.bootstrap, serializer="json") as producer:
        for at in range(4):
            producer.send_and_wait(topic, at)
        for start, wanted in (
            ("earliest", [0, 1, 2, 3, 4]),
            (2, [2, 3, 4]),
            ({(topic, 0): 3}, [3, 4]),
            ("latest", [4]),
        ):
            start_: Any = start
            with Consumer(engine.bootstrap, topic, start=start_, deserializer="json") as consumer:
                if start == "earliest":
                    producer.send_and_wait(topic, 4)
                wanted = [5] if start == "latest" else wanted
                if start == "latest":
                    producer.send_and_wait(topic, 5)
                assert [one.value for one in read(consumer, len(wanted))] == wanted
                assert until(lambda c=consumer: c.poll(0.05) or c.caught_up, bool) is True
                assert consumer.ends() == {(topic, 0): wanted[-1] + 1}
        with Consumer(engine.bootstrap, topic, start=99) as consumer, pytest.raises(errors.OffsetOutOfRange):
            until(lambda: consumer.poll(0.2), bool)


def test_single_partitions(engine: Engine, make_topic: MakeTopic, ours: Admin) -> None:
    topic = make_topic(3)
    with Producer(engine.bootstrap, serializer="str") as producer:
        for at in range(3):
            producer.send_and_wait(topic, f"in {at}", partition=at)
    for wanted, values in ((f"{topic}:P3", ["in 2"]), ([(topic, 0), f"{topic}:1"], ["in 0", "in 1"])):
        with Consumer(engine.bootstrap, wanted, deserializer="str") as consumer:
            assert sorted(one.value for one in read(consumer, len(values))) == values
    with pytest.raises(errors.PartitionNotFound):
        Consumer(engine.bootstrap, f"{topic}:P4")
    with pytest.raises(errors.TopicNotFound):
        Consumer(engine.bootstrap, "no-such-topic")
    assert ours.partition_names(topic) == ("P1", "P2", "P3")


def test_names_given_by_the_http_interface(engine: Engine, make_topic: MakeTopic, ours: Admin) -> None:
    topic = make_topic(2)
    made = NAMES_TOPIC not in {one.name for one in ours.topics(internal=True)}
    if made:
        ours.create_topic(NAMES_TOPIC, 1, configs=TOPIC_CONFIGS)
    try:
        with Producer(engine.bootstrap) as producer:
            producer.send_and_wait(NAMES_TOPIC, encode_name("north"), name_key(topic, 1))
            producer.send_and_wait(topic, b"x", partition=1)
            with Consumer(engine.bootstrap, f"{topic}:north") as consumer:
                assert consumer.assignment() == ((topic, 1),)
                assert read(consumer, 1)[0].value == b"x"
            assert ours.partition_names(topic) == ("P1", "north")
            producer.send_and_wait(NAMES_TOPIC, None, name_key(topic, 1))
        assert ours.partition_names(topic) == ("P1", "P2")
    finally:
        if made:
            ours.delete_topic(NAMES_TOPIC)


def test_a_group_shares_and_goes_on_where_it_was(engine: Engine, make_topic: MakeTopic, name: str) -> None:
    topic = make_topic(2)
    with Producer(engine.bootstrap, serializer="json") as producer:
        for at in range(10):
            producer.send(topic, at, partition=at % 2)
    with pytest.raises(ZeroDivisionError), Consumer(engine.bootstrap, topic, group=name, deserializer="json") as one:
        seen: list[int] = []
        for message in one:
            seen.append(message.value)
            if len(seen) == 4:
                raise ZeroDivisionError
    with Consumer(engine.bootstrap, topic, group=name, deserializer="json") as one:
        rest = [message.value for message in read(one, 7)]
        one.commit()
        assert sorted(seen[:3] + rest) == list(range(10))
        with Consumer(engine.bootstrap, topic, group=name) as other:
            until(
                lambda: (one.poll(0.1), other.poll(0.1)) and (len(one.assignment()), len(other.assignment())),
                lambda counts: counts == (1, 1),
                timeout_s=40,
            )


# --- admin ---------------------------------------------------------------------------------------


def test_topics(ours: Admin, make_topic: MakeTopic) -> None:
    name = make_topic(2, retention_ms=3_600_000)
    found = until(lambda: ours.describe_topic(name), lambda topic: all(one.leader >= 0 for one in topic.partitions))
    assert [one.partition for one in found.partitions] == [0, 1]
    assert not found.internal
    assert found in ours.topics()
    with pytest.raises(errors.TopicExists):
        ours.create_topic(name, 1)
    with pytest.raises(errors.ConfigError):
        ours.create_topic("not a name", 1)
    with pytest.raises(errors.ConfigError):
        ours.add_partitions(name, 1)
    ours.add_partitions(name, 3)
    assert len(until(lambda: ours.describe_topic(name).partitions, lambda found: len(found) == 3)) == 3
    assert until(lambda: ours.offsets(name), lambda found: len(found) == 3) == dict.fromkeys(range(3), Offsets(0, 0))
    for missing in (ours.describe_topic, ours.delete_topic, ours.configs, ours.offsets):
        with pytest.raises(errors.TopicNotFound):
            missing("no-such-topic")


def test_configs(ours: Admin, make_topic: MakeTopic) -> None:
    name = make_topic(1, retention_ms=3_600_000)
    assert ours.configs(name)["retention.ms"].value == "3600000"
    assert not ours.configs(name)["retention.ms"].default
    ours.set_configs(name, {"retention.ms": None, "max.message.bytes": "5000"})
    found = until(lambda: ours.configs(name), lambda found: found["max.message.bytes"].value == "5000")
    assert found["retention.ms"].default
    with pytest.raises(errors.ConfigError):
        ours.set_configs(name, {"no.such.config": "1"})
    with pytest.raises(errors.ConfigError):
        ours.set_configs(name, {})


def test_groups_and_their_lag(engine: Engine, ours: Admin, topic: str, name: str) -> None:
    with pytest.raises(errors.GroupNotFound):
        ours.describe_group(name)
    with Producer(engine.bootstrap) as producer:
        for _ in range(5):
            producer.send(topic, b"x")
    with Consumer(engine.bootstrap, topic, group=name, client_id="me") as consumer:
        read(consumer, 2)
        found = ours.describe_group(name)
        assert (found.name, found.state, found.members[0].client_id) == (name, "stable", "me")
        assert found.members[0].assignment == ((topic, 0),)
        assert ours.lag(name) == [Lag(topic, 0, None, 5, 5)]
        consumer.commit()
        (lag,) = ours.lag(name)
        assert (lag.end, lag.lag) == (5, 5 - (lag.committed or 0))
    assert until(lambda: ours.describe_group(name), lambda group: not group.members).state == "empty"
    assert name in [one.name for one in ours.groups()]


# --- asyncio -------------------------------------------------------------------------------------


def test_asyncio_sends_and_reads_in_order(engine: Engine, make_topic: MakeTopic) -> None:
    topic = make_topic(2)

    async def main() -> list[list[int]]:
        async with AsyncProducer(engine.bootstrap, serializer="json") as producer:
            futures = [await producer.send(topic, at, partition=at % 2, headers={"h": "1"}) for at in range(2000)]
            await asyncio.gather(*futures)
            await asyncio.gather(*(producer.send_and_wait(topic, -1, partition=at) for at in (0, 1)))
        seen: list[list[int]] = [[], []]
        async with AsyncConsumer(engine.bootstrap, topic, deserializer="json") as consumer:
            async for message in consumer:
                seen[message.partition].append(message.value)
                if sum(map(len, seen)) == 2002:
                    consumer.stop()
            assert await consumer.caught_up() in (True, False)
        async with AsyncAdmin(engine.bootstrap) as admin:
            assert {at: one.next for at, one in (await admin.offsets(topic)).items()} == {0: 1001, 1: 1001}
        return seen

    even, odd = asyncio.run(asyncio.wait_for(main(), 2 * WAIT_S))
    assert even == [*range(0, 2000, 2), -1]
    assert odd == [*range(1, 2000, 2), -1]


def test_the_loop_goes_on_while_a_client_waits(engine: Engine, topic: str) -> None:
    async def main() -> float:
        worst = 0.0

        async def watch() -> None:
            nonlocal worst
            loop = asyncio.get_running_loop()
            while True:
                before = loop.time()
                await asyncio.sleep(0.01)
                worst = max(worst, loop.time() - before - 0.01)

        watching = asyncio.create_task(watch())
        async with AsyncConsumer(engine.bootstrap, topic, group=uuid.uuid4().hex) as consumer:
            assert await consumer.poll(1.0) is None
            async with AsyncProducer(engine.bootstrap, linger_ms=300) as producer:
                await producer.send_and_wait(topic, json.dumps("x").encode())
        watching.cancel()
        return worst

    assert asyncio.run(asyncio.wait_for(main(), 2 * WAIT_S)) < 0.25
