"""Topics, their settings and their records, by the admin clients of confluent-kafka, kafka-python and aiokafka."""

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, Final, Protocol

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin import NewPartitions as AioNewPartitions
from aiokafka.admin import NewTopic as AioNewTopic
from aiokafka.admin.config_resource import ConfigResource as AioConfigResource
from aiokafka.admin.config_resource import ConfigResourceType as AioConfigResourceType
from aiokafka.errors import KafkaError as AioError
from confluent_kafka import (
    Consumer,
    ElectionType,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
)
from confluent_kafka import TopicPartition as Partition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)
from support.kafka_clients import PATIENCE_S, Confluent, Message, Refused, Sending, consumed, run, until
from support.kafka_engines import Engine, MakeTopic
from support.kafka_python import kafka, kafka_admin

pytestmark = pytest.mark.system

OFFSET_OUT_OF_RANGE: Final = 1
UNKNOWN_TOPIC: Final = 3
INVALID_TOPIC: Final = 17
TOPIC_EXISTS: Final = 36
INVALID_PARTITIONS: Final = 37
INVALID_REPLICATION_FACTOR: Final = 38
INVALID_CONFIG: Final = 40
INVALID_REQUEST: Final = 42
ELECTION_NOT_NEEDED: Final = 84


class Admin(Protocol):
    """What all three can do; errors are raised as Refused."""

    name: str

    def create(self, topic: str, partitions: int = 1, replicas: int = 1, **configs: str) -> None: ...
    def delete(self, topic: str) -> None: ...
    def grow(self, topic: str, partitions: int) -> None: ...
    def topics(self) -> dict[str, int]:
        """Every topic and how many partitions it has."""
        ...

    def configs(self, topic: str) -> dict[str, str]: ...
    def set_config(self, topic: str, name: str, value: str) -> None: ...
    def brokers(self) -> set[tuple[int, str, int]]: ...


class ByConfluent:
    name = "confluent-kafka"

    def __init__(self, bootstrap: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap})

    def create(self, topic: str, partitions: int = 1, replicas: int = 1, **configs: str) -> None:
        done(self._admin.create_topics([NewTopic(topic, partitions, replicas, config=configs)])[topic])

    def delete(self, topic: str) -> None:
        done(self._admin.delete_topics([topic])[topic])

    def grow(self, topic: str, partitions: int) -> None:
        done(self._admin.create_partitions([NewPartitions(topic, partitions)])[topic])

    def topics(self) -> dict[str, int]:
        found = self._admin.list_topics(timeout=PATIENCE_S).topics
        return {name: len(topic.partitions) for name, topic in found.items()}

    def configs(self, topic: str) -> dict[str, str]:
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        return {name: entry.value for name, entry in done(self._admin.describe_configs([resource])[resource]).items()}

    def set_config(self, topic: str, name: str, value: str) -> None:
        change = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[change])
        done(self._admin.incremental_alter_configs([resource])[resource])

    def brokers(self) -> set[tuple[int, str, int]]:
        return {(node.id, node.host, node.port) for node in done(self._admin.describe_cluster()).nodes}


def done(future: Any) -> Any:
    try:
        return future.result(PATIENCE_S)
    except KafkaException as error:
        raise Refused(error.args[0].code()) from error


class ByKafkaPython:
    name = "kafka-python"

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def _do(self, work: Callable[[Any], Any]) -> Any:
        admin: Any = kafka_admin.KafkaAdminClient(bootstrap_servers=self._bootstrap)
        with closing(admin):
            try:
                return work(admin)
            except kafka.errors.BrokerResponseError as error:
                raise Refused(error.errno) from error

    def create(self, topic: str, partitions: int = 1, replicas: int = 1, **configs: str) -> None:
        wanted = {"num_partitions": partitions, "replication_factor": replicas, "configs": configs}
        self._do(lambda admin: admin.create_topics({topic: wanted}))

    def delete(self, topic: str) -> None:
        self._do(lambda admin: admin.delete_topics([topic]))

    def grow(self, topic: str, partitions: int) -> None:
        self._do(lambda admin: admin.create_partitions({topic: partitions}))

    def topics(self) -> dict[str, int]:
        found = self._do(lambda admin: admin.describe_topics())
        return {topic["name"]: len(topic["partitions"]) for topic in found}

    def _resource(self, topic: str, configs: dict[str, str] | None) -> Any:
        return kafka_admin.ConfigResource(kafka_admin.ConfigResourceType.TOPIC, topic, configs)

    def configs(self, topic: str) -> dict[str, str]:
        resource = self._resource(topic, None)
        found = self._do(lambda admin: admin.describe_configs([resource], config_filter="all"))
        return {name: entry["value"] for name, entry in found["topic"][topic].items()}

    def set_config(self, topic: str, name: str, value: str) -> None:
        """Its answer is a table of words: `OK`, or `[Error 40] ...`."""
        resource = self._resource(topic, {name: value})
        answer = self._do(lambda admin: admin.alter_configs([resource], raise_on_unknown=False))["topic"][topic]
        if answer != "OK":
            raise Refused(int(answer.split()[1].rstrip("]")))

    def brokers(self) -> set[tuple[int, str, int]]:
        found = self._do(lambda admin: admin.describe_cluster())["brokers"]
        return {(node["broker_id"], node["host"], node["port"]) for node in found}


class ByAiokafka:
    name = "aiokafka"

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def _do(self, work: Callable[[Any], Any]) -> Any:
        async def with_client() -> Any:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
            await admin.start()
            try:
                return await work(admin)
            except AioError as error:
                raise Refused(error.errno) from error
            finally:
                await admin.close()

        return run(with_client())

    def _told(self, answers: list[tuple[Any, ...]], at: int = 1) -> None:
        """Raises what an answer's rows of (name, code, ...) say."""
        for row in answers:
            if row[at]:
                raise Refused(row[at])

    def create(self, topic: str, partitions: int = 1, replicas: int = 1, **configs: str) -> None:
        wanted = AioNewTopic(topic, partitions, replicas, topic_configs=configs)
        self._told(self._do(lambda admin: admin.create_topics([wanted])).topic_errors)

    def delete(self, topic: str) -> None:
        self._told(self._do(lambda admin: admin.delete_topics([topic])).topic_error_codes)

    def grow(self, topic: str, partitions: int) -> None:
        self._told(self._do(lambda admin: admin.create_partitions({topic: AioNewPartitions(partitions)})).topic_errors)

    def topics(self) -> dict[str, int]:
        found = self._do(lambda admin: admin.describe_topics())
        return {topic["topic"]: len(topic["partitions"]) for topic in found}

    def configs(self, topic: str) -> dict[str, str]:
        resource = AioConfigResource(AioConfigResourceType.TOPIC, topic)
        (answer,) = self._do(lambda admin: admin.describe_configs([resource]))
        self._told(answer.resources, 0)
        return {entry[0]: entry[1] for entry in answer.resources[0][4]}

    def set_config(self, topic: str, name: str, value: str) -> None:
        """AlterConfigs, which sets what it doesn't name back to the defaults."""
        resource = AioConfigResource(AioConfigResourceType.TOPIC, topic, {name: value})
        (answer,) = self._do(lambda admin: admin.alter_configs([resource]))
        self._told(answer.resources, 0)

    def brokers(self) -> set[tuple[int, str, int]]:
        found = self._do(lambda admin: admin.describe_cluster())["brokers"]
        return {(node["node_id"], node["host"], node["port"]) for node in found}


@pytest.fixture(params=(ByConfluent, ByKafkaPython, ByAiokafka), ids=lambda kind: kind.name)
def by(request: pytest.FixtureRequest, engine: Engine) -> Admin:
    return request.param(engine.bootstrap)


@pytest.fixture
def own(by: Admin, name: str) -> Generator[str]:
    """A name for a topic that the test makes itself."""
    yield name
    if name in by.topics():
        by.delete(name)


def test_a_topics_life(engine: Engine, by: Admin, own: str) -> None:
    """Made with settings, in use at once, grown, deleted; then gone."""
    by.create(own, 2, **{"retention.ms": "3600000", "cleanup.policy": "compact,delete"})
    until(lambda: by.topics().get(own), lambda count: count == 2)
    Confluent(engine.bootstrap).produce(own, [Message(b"v", b"k")], Sending(partition=1))
    configs = by.configs(own)
    assert (configs["retention.ms"], configs["cleanup.policy"]) == ("3600000", "compact,delete")
    by.grow(own, 5)
    until(lambda: by.topics().get(own), lambda count: count == 5)
    until(lambda: producible(engine, own, 4), bool)
    by.delete(own)
    until(by.topics, lambda topics: own not in topics)
    assert refusal(lambda: by.delete(own)) == UNKNOWN_TOPIC


def producible(engine: Engine, topic: str, partition: int) -> bool:
    return Confluent(engine.bootstrap).produce(topic, [Message(b"v", b"k")], Sending(partition=partition)) != []


def refusal(work: Callable[[], Any]) -> int:
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.code


def test_what_is_refused(by: Admin, own: str) -> None:
    assert refusal(lambda: by.create("no/slash")) == INVALID_TOPIC
    assert refusal(lambda: by.create("x" * 250)) == INVALID_TOPIC
    assert refusal(lambda: by.create("..")) == INVALID_TOPIC
    assert refusal(lambda: by.create(own, replicas=30)) == INVALID_REPLICATION_FACTOR
    assert refusal(lambda: by.create(own, **{"retention.ms": "soon"})) == INVALID_CONFIG
    assert refusal(lambda: by.create(own, **{"no.such.key": "1"})) == INVALID_CONFIG
    assert own not in by.topics()
    by.create(own, 2)
    assert refusal(lambda: by.create(own)) == TOPIC_EXISTS
    assert refusal(lambda: by.grow(own, 1)) == INVALID_PARTITIONS
    assert refusal(lambda: by.grow(own, 2)) == INVALID_PARTITIONS
    assert refusal(lambda: by.set_config(own, "retention.ms", "soon")) == INVALID_CONFIG
    assert refusal(lambda: by.set_config(own, "no.such.key", "1")) == INVALID_CONFIG
    assert refusal(lambda: by.grow(own + "x", 3)) == UNKNOWN_TOPIC
    if by.name != "kafka-python":  # which shows no settings rather than the error
        assert refusal(lambda: by.configs(own + "x")) == UNKNOWN_TOPIC
    until(lambda: by.topics().get(own), lambda count: count == 2)


def test_settings_are_changed(by: Admin, own: str) -> None:
    """One at a time; aiokafka's older way sets the others back, as Kafka says it does."""
    by.create(own, **{"retention.ms": "3600000"})
    by.set_config(own, "max.message.bytes", "5000")
    found = until(lambda: by.configs(own), lambda configs: configs["max.message.bytes"] == "5000")
    assert (found["retention.ms"] == "3600000") == (by.name != "aiokafka")


def test_all_see_the_same_brokers(engine: Engine) -> None:
    seen = [kind(engine.bootstrap).brokers() for kind in (ByConfluent, ByKafkaPython, ByAiokafka)]
    assert seen[0]
    assert seen == seen[:1] * 3


def test_where_a_setting_comes_from(admin: AdminClient, make_topic: MakeTopic) -> None:
    """KIP-226: its source, and what it would be without; incremental changes set, append, subtract and delete."""
    topic = make_topic(retention_ms=1000)

    def entry(name: str) -> tuple[str, int, bool]:
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        found = done(admin.describe_configs([resource])[resource])[name]
        return found.value, found.source, found.is_default

    def change(name: str, value: str | None, operation: AlterConfigOpType) -> None:
        changed = ConfigEntry(name, value or "", incremental_operation=operation)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[changed])
        done(admin.incremental_alter_configs([resource])[resource])

    own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    assert entry("retention.ms") == ("1000", own, False)
    assert entry("segment.ms") == ("604800000", ConfigSource.DEFAULT_CONFIG.value, True)
    change("cleanup.policy", "compact", AlterConfigOpType.APPEND)
    assert until(lambda: entry("cleanup.policy"), lambda seen: seen[1] == own)[0] == "delete,compact"
    change("cleanup.policy", "delete", AlterConfigOpType.SUBTRACT)
    until(lambda: entry("cleanup.policy")[0], lambda value: value == "compact")
    change("retention.ms", None, AlterConfigOpType.DELETE)
    until(lambda: entry("retention.ms")[:2], lambda seen: seen[0] == "604800000" and seen[1] != own)


def test_a_changed_limit_holds_at_once(engine: Engine, admin: AdminClient, topic: str) -> None:
    client = Confluent(engine.bootstrap)
    client.produce(topic, [Message(b"x" * 5000)])
    ByConfluent(engine.bootstrap).set_config(topic, "max.message.bytes", "1000")

    def code() -> int:
        try:
            client.produce(topic, [Message(b"x" * 5000)])
        except Refused as refused:
            return refused.code
        return 0

    until(code, lambda seen: seen == KafkaError.MSG_SIZE_TOO_LARGE)


def test_min_insync_replicas_count_no_more_than_there_are(
    engine: Engine, admin: AdminClient, make_topic: MakeTopic
) -> None:
    """With one replica 2 is as good as 1. One broker may have none of its own: who may lead depends on it (KIP-966)."""
    topic = make_topic(min_insync_replicas=2)
    by, client = ByConfluent(engine.bootstrap), Confluent(engine.bootstrap)
    client.produce(topic, [Message(b"x")])
    by.set_config(topic, "min.insync.replicas", "3")
    until(lambda: by.configs(topic)["min.insync.replicas"], lambda value: value == "3")
    client.produce(topic, [Message(b"y")])
    node = str(min(admin.list_topics(timeout=PATIENCE_S).brokers))
    changed = ConfigEntry("min.insync.replicas", "2", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.BROKER, node, incremental_configs=[changed])
    assert refusal(lambda: done(admin.incremental_alter_configs([resource])[resource])) == INVALID_CONFIG


def test_a_broker_tells_its_settings(broker_settings: dict[str, str]) -> None:
    wanted = {"num.partitions", "auto.create.topics.enable", "log.retention.ms", "message.max.bytes", "log.dirs"}
    assert wanted - set(broker_settings) == set()
    assert broker_settings["message.max.bytes"] == "1048588"


def test_a_topic_made_anew_is_another(engine: Engine, admin: AdminClient, name: str) -> None:
    """KIP-516: a new id, and offsets from 0; nobody mistakes it for the one that was."""
    by = ByConfluent(engine.bootstrap)
    by.create(name)
    Confluent(engine.bootstrap).produce(name, [Message(b"old")] * 3)
    before = topic_id(admin, name)
    by.delete(name)
    until(by.topics, lambda topics: name not in topics)
    by.create(name)
    Confluent(engine.bootstrap).produce(name, [Message(b"new")])
    assert topic_id(admin, name) != before
    (one,) = Confluent(engine.bootstrap).consume(name, 1)
    assert (one.offset, one.message.value) == (0, b"new")
    by.delete(name)


def topic_id(admin: AdminClient, topic: str) -> str:
    described = done(admin.describe_topics(TopicCollection([topic]))[topic])
    return str(described.topic_id)


def test_a_topic_described(admin: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic(3)
    described = done(admin.describe_topics(TopicCollection([topic]))[topic])
    assert (described.name, described.is_internal) == (topic, False)
    assert [partition.id for partition in described.partitions] == [0, 1, 2]
    for partition in described.partitions:
        assert partition.leader.id in [node.id for node in partition.replicas]
        assert [node.id for node in partition.isr] == [node.id for node in partition.replicas]
    unknown = admin.describe_topics(TopicCollection([topic + "x"]))[topic + "x"]
    assert refusal(lambda: done(unknown)) == UNKNOWN_TOPIC


def test_several_at_once_are_judged_one_by_one(admin: AdminClient, topic: str, name: str) -> None:
    futures = admin.create_topics([NewTopic(name, 1), NewTopic(topic, 1), NewTopic("no/slash", 1)])
    done(futures[name])
    assert refusal(lambda: done(futures[topic])) == TOPIC_EXISTS
    assert refusal(lambda: done(futures["no/slash"])) == INVALID_TOPIC
    futures = admin.delete_topics([name, name + "x"])
    done(futures[name])
    assert refusal(lambda: done(futures[name + "x"])) == UNKNOWN_TOPIC


def test_only_validating_makes_nothing(admin: AdminClient, topic: str, name: str) -> None:
    done(admin.create_topics([NewTopic(name, 1)], validate_only=True)[name])
    assert refusal(lambda: done(admin.create_topics([NewTopic(topic, 1)], validate_only=True)[topic])) == TOPIC_EXISTS
    done(admin.create_partitions([NewPartitions(topic, 4)], validate_only=True)[topic])
    found = admin.list_topics(timeout=PATIENCE_S).topics
    assert name not in found
    assert len(found[topic].partitions) == 1


def test_defaults_of_the_broker(admin: AdminClient, broker_settings: dict[str, str], name: str) -> None:
    """-1 partitions and replicas: the broker's num.partitions and default.replication.factor (KIP-464)."""
    done(admin.create_topics([NewTopic(name, -1, -1)])[name])
    found = until(lambda: admin.list_topics(timeout=PATIENCE_S).topics, lambda topics: name in topics)[name]
    assert len(found.partitions) == int(broker_settings["num.partitions"])
    assert {len(one.replicas) for one in found.partitions.values()} == {
        int(broker_settings["default.replication.factor"])
    }
    done(admin.delete_topics([name])[name])


def test_replicas_chosen_by_hand(admin: AdminClient, name: str) -> None:
    node = min(admin.list_topics(timeout=PATIENCE_S).brokers)
    done(admin.create_topics([NewTopic(name, 2, replica_assignment=[[node], [node]])])[name])
    found = until(lambda: admin.list_topics(timeout=PATIENCE_S).topics, lambda topics: name in topics)[name]
    assert [one.replicas for one in found.partitions.values()] == [[node], [node]]
    done(admin.delete_topics([name])[name])
    wrong = admin.create_topics([NewTopic(name, 1, replica_assignment=[[99_999]])])[name]
    assert refusal(lambda: done(wrong)) == KafkaError.INVALID_REPLICA_ASSIGNMENT


def test_records_deleted(engine: Engine, admin: AdminClient, topic: str) -> None:
    """The log begins where it was told, readers below are out of range, and the end stays; -1 is all there is."""
    client = Confluent(engine.bootstrap)
    client.produce(topic, [Message(b"%d" % at) for at in range(10)])
    at = Partition(topic, 0, 4)
    assert done(admin.delete_records([at])[at]).low_watermark == 4
    assert bounds(admin, topic) == (4, 10)
    assert client.consume(topic, 1, offset=4)[0].message.value == b"4"
    settings = {"bootstrap.servers": engine.bootstrap, "group.id": "unused", "auto.offset.reset": "error"}
    with closing(Consumer(settings)) as consumer, pytest.raises(Refused):
        consumer.assign([Partition(topic, 0, 3)])
        consumed(consumer, 1)
    beyond = Partition(topic, 0, 11)
    assert refusal(lambda: done(admin.delete_records([beyond])[beyond])) == OFFSET_OUT_OF_RANGE
    python: Any = kafka_admin.KafkaAdminClient(bootstrap_servers=engine.bootstrap)
    with closing(python):
        part = kafka.TopicPartition(topic, 0)
        assert python.delete_records({part: -1})[part]["low_watermark"] == 10
    assert bounds(admin, topic) == (10, 10)
    assert client.produce(topic, [Message(b"x")]) == [(0, 10)]


def bounds(admin: AdminClient, topic: str) -> tuple[int, int]:
    at = Partition(topic, 0)
    specs = (OffsetSpec.earliest(), OffsetSpec.latest())
    low, high = (done(admin.list_offsets({at: spec})[at]).offset for spec in specs)
    committed = admin.list_offsets({at: specs[1]}, isolation_level=IsolationLevel.READ_COMMITTED)
    assert done(committed[at]).offset == high
    return low, high


def test_the_cluster_described(engine: Engine, admin: AdminClient) -> None:
    found = done(admin.describe_cluster())
    metadata = admin.list_topics(timeout=PATIENCE_S)
    assert found.cluster_id == metadata.cluster_id
    assert {node.id for node in found.nodes} == set(metadata.brokers)
    assert found.controller.id in metadata.brokers
    python: Any = kafka_admin.KafkaAdminClient(bootstrap_servers=engine.bootstrap)
    with closing(python):
        assert python.describe_cluster()["cluster_id"] == found.cluster_id


def test_an_election_that_is_not_needed(admin: AdminClient, topic: str) -> None:
    at = Partition(topic, 0)
    found = done(admin.elect_leaders(ElectionType.PREFERRED, [at]))
    assert found[at].code() == ELECTION_NOT_NEEDED
    unknown = Partition(topic + "x", 0)
    assert done(admin.elect_leaders(ElectionType.PREFERRED, [unknown]))[unknown].code() == UNKNOWN_TOPIC


def test_log_directories(engine: Engine, topic: str) -> None:
    """Every partition lies somewhere, with the bytes that were written."""
    Confluent(engine.bootstrap).produce(topic, [Message(b"x" * 1000)] * 10)
    python: Any = kafka_admin.KafkaAdminClient(bootstrap_servers=engine.bootstrap)
    with closing(python):
        answers = python.describe_log_dirs({topic: [0]})
    sizes = [
        partition["partition_size"]
        for answer in answers
        for directory in answer["log_dirs"]
        for found in directory["topics"]
        if found["name"] == topic
        for partition in found["partitions"]
    ]
    assert len(sizes) == 1
    assert 10_000 < sizes[0] < 20_000
