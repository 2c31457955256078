"""One engine for the whole run, and topics and group names of each test's own."""

import uuid
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic
from support.kafka_clients import PATIENCE_S, Aio, Client, Confluent, KafkaPython, Kcat, until
from support.kafka_engines import Engine, MakeTopic, engines, started
from support.kafka_raw import Raw, fetch, fetched
from support.programs import programs_or_skip

CLIENTS: tuple[Any, ...] = (Confluent, Aio, KafkaPython, Kcat)


@pytest.fixture(scope="session", params=engines())
def engine(request: pytest.FixtureRequest) -> Generator[Engine]:
    with started(request.param) as running:
        yield running


@pytest.fixture(scope="session")
def admin(engine: Engine) -> AdminClient:
    return AdminClient({"bootstrap.servers": engine.bootstrap})


@pytest.fixture(scope="session")
def broker_settings(admin: AdminClient) -> dict[str, str]:
    """The first broker's configuration by name."""
    node = str(min(admin.list_topics(timeout=PATIENCE_S).brokers))
    resource = ConfigResource(ConfigResource.Type.BROKER, node)
    found = admin.describe_configs([resource])[resource].result(PATIENCE_S)
    return {name: entry.value for name, entry in found.items()}


@pytest.fixture
def name() -> str:
    """A name that nothing has, for a topic or a group."""
    return f"conformance-{uuid.uuid4().hex[:12]}"


def led(admin: AdminClient, topic: str) -> int:
    """How many of its partitions have a leader, as the server that was asked knows it."""
    found = admin.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions.values()
    return sum(1 for partition in found if partition.leader >= 0)


@pytest.fixture
def make_topic(admin: AdminClient) -> Generator[MakeTopic]:
    """Makes a topic of so many partitions with these configs; deleted after the test. Records stay, however old the
    time is that a test gives them."""
    made: list[str] = []

    def make(partitions: int = 1, **configs: Any) -> str:
        topic = f"conformance-{uuid.uuid4().hex[:12]}"
        named = {key.replace("_", "."): str(value) for key, value in configs.items()}
        named.setdefault("retention.ms", "-1")
        admin.create_topics([NewTopic(topic, partitions, config=named)])[topic].result(PATIENCE_S)
        made.append(topic)
        until(lambda: led(admin, topic), lambda count: count == partitions)
        return topic

    yield make
    for future in admin.delete_topics(made).values() if made else ():
        with suppress(KafkaException):  # the test deleted it
            future.result(PATIENCE_S)


@pytest.fixture
def topic(make_topic: MakeTopic) -> str:
    """A topic of one partition."""
    return make_topic()


@pytest.fixture
def leader(admin: AdminClient, topic: str) -> tuple[str, int]:
    """Where partition 0 of the test's topic is led, once the server there knows it."""
    metadata = admin.list_topics(topic, timeout=PATIENCE_S)
    broker = metadata.brokers[metadata.topics[topic].partitions[0].leader]
    address = broker.host, broker.port
    with Raw(address) as connection:
        until(lambda: fetched(connection.ask(fetch(topic, 0)))[0], lambda error: error == 0)
    return address


@pytest.fixture
def client_of(engine: Engine) -> Callable[[Any], Client]:
    def make(kind: Any) -> Client:
        if kind is Kcat:
            programs_or_skip("kcat")
        return kind(engine.bootstrap)

    return make


@pytest.fixture
def clients(client_of: Callable[[Any], Client]) -> list[Client]:
    """All four, each with messages of the others to read."""
    return [client_of(kind) for kind in CLIENTS]
