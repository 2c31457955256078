"""Apache Kafka's own console tools, hence its Java client: what its operators type."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from support.kafka_clients import CODECS, PATIENCE_S, Confluent, Message, Sending
from support.kafka_engines import Engine, MakeTopic, java_or_skip

from analysis.kafka_peer import run_tool

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(300)]  # each tool starts a JVM

Tool = Callable[..., str]
SHOWN = [f"print.{what}=true" for what in ("timestamp", "partition", "offset", "headers", "key")]


@pytest.fixture
def tool(engine: Engine) -> Tool:
    """What a tool printed; RuntimeError with its words if it failed."""
    java_or_skip()

    def run(name: str, *arguments: str, told: bytes = b"") -> str:
        return run_tool(name, "--bootstrap-server", engine.bootstrap, *arguments, told=told)

    return run


def rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines() if line.strip()]


def test_topics(tool: Tool, name: str) -> None:
    tool("topics", "--create", "--topic", name, "--partitions", "2", "--config", "retention.ms=1000000")
    assert name in tool("topics", "--list").split()
    tool("topics", "--alter", "--topic", name, "--partitions", "3")
    described = tool("topics", "--describe", "--topic", name)
    assert re.search(rf"Topic: {name}\tTopicId: [\w-]{{22}}\tPartitionCount: 3\t", described)
    assert "retention.ms=1000000" in described
    assert len(re.findall(r"Partition: \d+\tLeader: \d+\tReplicas: \d", described)) == 3
    with pytest.raises(RuntimeError, match="already exists"):
        tool("topics", "--create", "--topic", name)
    tool("topics", "--delete", "--topic", name)
    with pytest.raises(RuntimeError, match="does not exist"):
        tool("topics", "--describe", "--topic", name)


def test_settings(tool: Tool, topic: str) -> None:
    of_topic = ("--entity-type", "topics", "--entity-name", topic)
    tool("configs", "--alter", *of_topic, "--add-config", "max.message.bytes=2000,retention.ms=5000")
    shown = tool("configs", "--describe", *of_topic)
    assert "max.message.bytes=2000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:max.message.bytes=2000" in shown
    tool("configs", "--alter", *of_topic, "--delete-config", "retention.ms")
    assert "retention.ms" not in tool("configs", "--describe", *of_topic)
    with pytest.raises(RuntimeError, match="InvalidConfigurationException"):
        tool("configs", "--alter", *of_topic, "--add-config", "retention.ms=soon")


@pytest.mark.parametrize("codec", CODECS)
def test_the_java_producer_writes_and_all_read(engine: Engine, tool: Tool, make_topic: MakeTopic, codec: str) -> None:
    """Its partitioner is the reference for the others': murmur2 of the key."""
    topic = make_topic(5)
    lines = b"".join(b"h:%d\tkey-%d\tvalue %d\n" % (at, at, at) for at in range(20))
    properties = ("parse.key=true", "parse.headers=true")
    flags = [part for one in properties for part in ("--reader-property", one)]
    tool("producer", "--topic", topic, *flags, "--compression-codec", codec, told=lines)
    client = Confluent(engine.bootstrap)
    keys = [b"key-%d" % at for at in range(20)]
    placed = client.produce(topic, [Message(b"x", key) for key in keys], Sending(partition=None))
    found: list[tuple[bytes | None, int]] = []
    for partition in range(5):
        count = sum(1 for at, _ in placed if at == partition)
        for stored in client.consume(topic, count, partition) if count else ():
            number = b"%d" % keys.index(stored.message.key or b"")
            assert (stored.message.value, stored.message.headers) == (b"value " + number, (("h", number),))
            found.append((stored.message.key, stored.partition))
    assert sorted(found) == sorted(zip(keys, [at for at, _ in placed], strict=True))


def test_the_java_consumer_reads_what_others_wrote(engine: Engine, tool: Tool, topic: str) -> None:
    client = Confluent(engine.bootstrap)
    for codec in CODECS:
        client.produce(topic, [Message(codec.encode() * 50, b"k", (("h", b"1"),), 12345)], Sending(codec=codec))
    client.produce(topic, [Message(None, b"k")])
    flags = [part for one in SHOWN for part in ("--formatter-property", one)]
    shown = tool("consumer", "--topic", topic, "--from-beginning", "--max-messages", "6", *flags)
    lines = shown.splitlines()
    head = "CreateTime:12345\tPartition:0\tOffset:{}\th:1\tk\t{}"
    assert lines[:5] == [head.format(at, codec * 50) for at, codec in enumerate(CODECS)]
    assert lines[5].endswith("Offset:5\tNO_HEADERS\tk\tnull")


def test_groups(engine: Engine, tool: Tool, make_topic: MakeTopic, name: str) -> None:
    topic = make_topic(2)
    for partition in (0, 1):
        Confluent(engine.bootstrap).produce(topic, [Message(b"x")] * 5, Sending(partition=partition))
    of_group = ("--group", name)
    tool("consumer", "--topic", topic, "--from-beginning", "--max-messages", "10", *of_group)
    assert name in tool("groups", "--list").split()
    assert rows(tool("groups", "--describe", *of_group))[1:] == described(name, topic, 5, 0)
    state = rows(tool("groups", "--describe", "--state", *of_group))[1]
    assert (state[0], state[-2:]) == (name, ["Empty", "0"])
    on_topic = (*of_group, "--topic", topic)
    tool("groups", "--reset-offsets", *on_topic, "--to-offset", "2", "--execute")
    assert rows(tool("groups", "--describe", *of_group))[1:] == described(name, topic, 2, 3)
    tool("groups", "--reset-offsets", *on_topic, "--to-latest", "--execute")
    tool("groups", "--reset-offsets", *on_topic, "--shift-by", "-1", "--execute")
    assert rows(tool("groups", "--describe", *of_group))[1:] == described(name, topic, 4, 1)
    assert tool("groups", "--delete-offsets", *on_topic).count("Successful") == 2
    assert "was successful" in tool("groups", "--delete", *of_group)
    assert name not in tool("groups", "--list").split()


def described(group: str, topic: str, offset: int, lag: int) -> list[list[str]]:
    """Group, topic, partition, its offset, the log's end, lag, and no consumer."""
    return [[group, topic, str(partition), str(offset), "5", str(lag), "-", "-", "-"] for partition in (0, 1)]


def test_offsets_and_deleted_records(engine: Engine, tool: Tool, topic: str) -> None:
    Confluent(engine.bootstrap).produce(topic, [Message(b"x", timestamp_ms=1000 + at) for at in range(10)])
    with tempfile.NamedTemporaryFile("w", suffix=".json") as wanted:
        json.dump({"partitions": [{"topic": topic, "partition": 0, "offset": 4}], "version": 1}, wanted)
        wanted.flush()
        shown = tool("delete-records", "--offset-json-file", str(Path(wanted.name)))
    assert f"partition: {topic}-0\tlow_watermark: 4" in shown
    for time, offset in (("earliest", 4), ("latest", 10), ("max-timestamp", 9), ("1006", 6), ("-1", 10)):
        assert tool("get-offsets", "--topic", topic, "--time", time).split() == [f"{topic}:0:{offset}"], time


def test_log_directories(engine: Engine, tool: Tool, admin: AdminClient, topic: str) -> None:
    Confluent(engine.bootstrap).produce(topic, [Message(b"x" * 1000)] * 10)
    told = json.loads(tool("log-dirs", "--describe", "--topic-list", topic).splitlines()[-1])
    assert {broker["broker"] for broker in told["brokers"]} == set(admin.list_topics(timeout=PATIENCE_S).brokers)
    directories = [directory for broker in told["brokers"] for directory in broker["logDirs"]]
    assert all(directory["error"] is None for directory in directories)
    (found,) = [one for directory in directories for one in directory["partitions"]]
    assert found["partition"] == f"{topic}-0"
    assert 10_000 < found["size"] < 20_000
    assert (found["offsetLag"], found["isFuture"]) == (0, False)


def test_api_versions(tool: Tool, admin: AdminClient) -> None:
    """All that the Java client must use is usable; where a server goes on beyond it, the client takes its own."""
    shown = tool("broker-api-versions")
    metadata = admin.list_topics(timeout=PATIENCE_S)
    for node in metadata.brokers.values():
        assert f"{node.host}:{node.port} (id: {node.id} " in shown
    for api in ("Produce(0): 0 to 13", "Fetch(1): 4 to 18", "JoinGroup(11): 0 to 9", "ApiVersions(18): 0 to 4"):
        assert shown.count(api) == len(metadata.brokers), api
