"""Consumer groups as their members see them: who gets what, when it moves, and what is committed."""

import asyncio
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from confluent_kafka import OFFSET_INVALID, Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import ConsumerGroupState as State
from confluent_kafka import TopicPartition as Partition
from confluent_kafka.admin import AdminClient
from support.kafka_clients import PATIENCE_S, Confluent, Message, Sending, consumed, until
from support.kafka_engines import Engine, MakeTopic
from support.kafka_python import kafka, kafka_admin
from support.programs import programs_or_skip

pytestmark = pytest.mark.system

STRATEGY: Final = "partition.assignment.strategy"
UNKNOWN_MEMBER_ID: Final = 25
NON_EMPTY_GROUP: Final = 68
GROUP_ID_NOT_FOUND: Final = 69
FENCED_INSTANCE_ID: Final = 82
GROUP_SUBSCRIBED_TO_TOPIC: Final = 86


class Member:
    """A confluent-kafka consumer in a group: what it has, how often that changed, what it got."""

    def __init__(self, engine: Engine, group: str, topic: str, session_ms: int, **settings: Any) -> None:
        self.consumer = Consumer(
            {
                "bootstrap.servers": engine.bootstrap,
                "group.id": group,
                "session.timeout.ms": session_ms,
                "heartbeat.interval.ms": 100,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                **{key.replace("_", "."): value for key, value in settings.items()},
            }
        )
        self.has: set[int] = set()
        self.assigned = 0
        self.revoked: list[int] = []
        self.got: list[tuple[int, int]] = []
        self.errors: list[int] = []
        self.consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def poll(self) -> None:
        message = self.consumer.poll(0.02)
        if message is None:
            return
        error = message.error()
        if error is not None:
            self.errors.append(error.code())
        else:
            self.got.append((message.partition(), message.offset()))

    def close(self) -> None:
        self.consumer.close()

    def _on_assign(self, _: Consumer, partitions: Sequence[Partition]) -> None:
        self.assigned += 1
        self.has |= {partition.partition for partition in partitions}

    def _on_revoke(self, _: Consumer, partitions: Sequence[Partition]) -> None:
        numbers = [partition.partition for partition in partitions]
        self.revoked += numbers
        self.has -= set(numbers)

    def _on_lost(self, _: Consumer, partitions: Sequence[Partition]) -> None:
        self.has -= {partition.partition for partition in partitions}


def polled(members: Sequence[Any], wanted: Callable[[], Any], timeout_s: float = PATIENCE_S) -> None:
    """All members polled in turn until it is so."""

    def turn() -> Any:
        for member in members:
            member.poll()
        return [getattr(member, "has", None) for member in members], wanted()

    until(turn, lambda seen: seen[1], timeout_s)


def shared(members: Sequence[Member], count: int) -> bool:
    """Whether they have `count` partitions among them, nobody none and none twice."""
    owned = [number for member in members for number in member.has]
    return all(member.has for member in members) and sorted(owned) == list(range(count))


@pytest.fixture
def session_ms(broker_settings: dict[str, str]) -> int:
    """A session as short as the broker allows, but a second at least."""
    return max(1000, int(broker_settings["group.min.session.timeout.ms"]))


NewMember = Callable[..., Member]


@pytest.fixture
def join(engine: Engine, name: str, session_ms: int) -> Generator[NewMember]:
    """Makes a member of the test's group; those left are closed after the test."""
    made: list[Member] = []

    def new(topic: str, **settings: Any) -> Member:
        made.append(Member(engine, name, topic, session_ms, **settings))
        return made[-1]

    yield new
    for member in made:
        member.close()


def test_members_share_and_take_over(engine: Engine, make_topic: MakeTopic, join: NewMember) -> None:
    """One has all; a second takes half; when it has left, the first has all again, from the committed offsets on."""
    topic = make_topic(4)
    for number in range(4):
        Confluent(engine.bootstrap).produce(topic, [Message(b"x")] * 10, Sending(partition=number))
    first = join(topic)
    polled([first], lambda: len(first.got) == 40)
    first.consumer.commit(asynchronous=False)
    second = join(topic)
    polled([first, second], lambda: shared([first, second], 4))
    assert [len(first.has), len(second.has)] == [2, 2]
    for number in range(4):
        Confluent(engine.bootstrap).produce(topic, [Message(b"x")] * 5, Sending(partition=number))
    polled([first, second], lambda: len(first.got) + len(second.got) == 60)
    assert sorted(first.got + second.got) == [(number, at) for number in range(4) for at in range(15)]
    second.consumer.commit(asynchronous=False)
    first.consumer.commit(asynchronous=False)
    second.close()
    polled([first], lambda: first.has == {0, 1, 2, 3})
    Confluent(engine.bootstrap).produce(topic, [Message(b"x")], Sending(partition=3))
    polled([first], lambda: (3, 15) in first.got)
    assert first.got.count((3, 14)) + second.got.count((3, 14)) == 1


def test_a_dead_member_is_noticed(
    engine: Engine, admin: AdminClient, make_topic: MakeTopic, join: NewMember, name: str, session_ms: int
) -> None:
    """kill -9 of kcat: no word of leaving. After its session the other one has all."""
    programs_or_skip("kcat")
    topic = make_topic(2)
    flags = ["-X", f"session.timeout.ms={session_ms}", "-X", "heartbeat.interval.ms=100"]
    command = ["kcat", "-b", engine.bootstrap, *flags, "-G", name, topic]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as kcat:
        try:
            member = join(topic)
            polled([member], lambda: len(member.has) == 1 and len(described(admin, name).members) == 2)
        finally:
            kcat.kill()
    polled([member], lambda: member.has == {0, 1}, PATIENCE_S + session_ms / 1000)


def described(admin: AdminClient, group: str) -> Any:
    return admin.describe_consumer_groups([group])[group].result(PATIENCE_S)


def test_cooperative_members_keep_what_they_keep(make_topic: MakeTopic, join: NewMember) -> None:
    """KIP-429: at a join only what moves is taken away; at a leave nothing is."""
    topic = make_topic(4)
    sticky = {STRATEGY: "cooperative-sticky"}
    first = join(topic, **sticky)
    polled([first], lambda: first.has == {0, 1, 2, 3})
    second = join(topic, **sticky)
    polled([first, second], lambda: shared([first, second], 4))
    revoked = list(first.revoked)
    assert len(set(revoked)) == 2  # the same ones again where a machine was too slow for the second's session
    second.close()
    polled([first], lambda: first.has == {0, 1, 2, 3})
    assert first.revoked == revoked


def test_a_static_member_comes_back_unnoticed(make_topic: MakeTopic, join: NewMember) -> None:
    """KIP-345: a member with an instance id that restarts within its session gets what it had; nobody else is asked.

    Each of the two is restarted, so that one of them is the group's leader.
    """
    topic = make_topic(4)
    members: dict[str, Member] = {}

    def joined(instance: str) -> Member:
        members[instance] = join(topic, group_instance_id=instance, session_timeout_ms=30_000)
        return members[instance]

    polled([joined("one")], lambda: len(members["one"].has) == 4)
    polled([members["one"], joined("two")], lambda: shared(list(members.values()), 4))
    for leaver, stayer in (("one", "two"), ("two", "one")):
        had, changes = set(members[leaver].has), members[stayer].assigned
        members[leaver].close()
        back = joined(leaver)
        polled(list(members.values()), lambda back=back, had=had: back.has == had)
        assert members[stayer].assigned == changes


def test_a_second_with_the_same_instance_id_fences_the_first(make_topic: MakeTopic, join: NewMember) -> None:
    topic = make_topic(2)
    first = join(topic, group_instance_id="one")
    polled([first], lambda: first.has == {0, 1})
    second = join(topic, group_instance_id="one")
    polled([first, second], lambda: first.errors)
    assert first.errors[0] in (FENCED_INSTANCE_ID, KafkaError._FATAL)
    polled([second], lambda: second.has == {0, 1})


def test_clients_of_all_kinds_are_one_group(
    engine: Engine, admin: AdminClient, make_topic: MakeTopic, join: NewMember, name: str
) -> None:
    """Two partitions of eight for confluent-kafka, aiokafka, kafka-python and kcat each, by a strategy they share."""
    programs_or_skip("kcat")
    topic = make_topic(8)
    with ExitStack() as stack:
        flags = ["-X", f"{STRATEGY}=range", "-X", "client.id=kcat"]
        command = ["kcat", "-b", engine.bootstrap, *flags, "-G", name, topic]
        kcat = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        stack.callback(kcat.kill)
        stack.enter_context(aiokafka_member(engine, name, topic))
        ranged = {"partition_assignment_strategy": [kafka.coordinator.assignors.range.RangePartitionAssignor]}
        python = kafka.KafkaConsumer(
            topic, bootstrap_servers=engine.bootstrap, group_id=name, client_id="kafka-python", **ranged
        )
        stack.enter_context(closing(python))
        confluent = join(topic, client_id="confluent-kafka", **{STRATEGY: "range"})
        stack.callback(confluent.close)  # first of all: nobody polls it while the others leave, and they would wait

        def owned() -> dict[str, int]:
            confluent.poll()
            python.poll(20)
            group = described(admin, name)
            return {member.client_id: len(member.assignment.topic_partitions) for member in group.members}

        until(owned, lambda seen: seen == dict.fromkeys(("kcat", "aiokafka", "kafka-python", "confluent-kafka"), 2))
        assert described(admin, name).partition_assignor == "range"


@contextmanager
def aiokafka_member(engine: Engine, group: str, topic: str) -> Iterator[None]:
    """A consumer that reads in a thread of its own until the end of the block."""
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def member() -> None:
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=engine.bootstrap,
            group_id=group,
            client_id="aiokafka",
            heartbeat_interval_ms=100,
            partition_assignment_strategy=(RangePartitionAssignor,),
        )
        async with consumer:
            while not over.is_set():
                await consumer.getmany(timeout_ms=50)

    thread = threading.Thread(target=loop.run_until_complete, args=(member(),), daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "aiokafka's consumer doesn't stop"
        loop.close()


def simple(engine: Engine, group: str, **settings: Any) -> Consumer:
    """A consumer that assigns itself."""
    more = {key.replace("_", "."): value for key, value in settings.items()}
    return Consumer({"bootstrap.servers": engine.bootstrap, "group.id": group, "enable.auto.commit": False, **more})


def test_what_is_committed_comes_back(engine: Engine, make_topic: MakeTopic, name: str) -> None:
    """Offset and metadata, as they were; what was never committed is no error, for a group that never was too."""
    topic = make_topic(3)
    with closing(simple(engine, name)) as consumer:
        nothing = consumer.committed([Partition(topic, 0)], PATIENCE_S)[0]
        assert (nothing.offset, nothing.error) == (OFFSET_INVALID, None)
        commits = [Partition(topic, 0, 7, "där war ich ✓"), Partition(topic, 1, 0, "")]
        assert all(one.error is None for one in consumer.commit(offsets=commits, asynchronous=False))
        found = consumer.committed([Partition(topic, number) for number in range(3)], PATIENCE_S)
        assert [(one.offset, one.metadata or "") for one in found] == [
            (7, "där war ich ✓"),
            (0, ""),
            (OFFSET_INVALID, ""),
        ]
        consumer.commit(offsets=[Partition(topic, 0, 3)], asynchronous=False)
        assert consumer.committed([Partition(topic, 0)], PATIENCE_S)[0].offset == 3


def test_a_commit_from_outside_is_refused_while_members_are_there(
    engine: Engine, make_topic: MakeTopic, join: NewMember, name: str
) -> None:
    topic = make_topic(1)
    member = join(topic)
    polled([member], lambda: member.has == {0})
    with closing(simple(engine, name)) as outsider, pytest.raises(KafkaException) as refused:
        outsider.commit(offsets=[Partition(topic, 0, 7)], asynchronous=False)
    assert refused.value.args[0].code() == UNKNOWN_MEMBER_ID


@pytest.mark.parametrize(("reset", "first"), [("earliest", 4), ("latest", 10), ("error", None)])
def test_out_of_range_and_no_offset(
    engine: Engine, admin: AdminClient, topic: str, name: str, reset: str, first: int | None
) -> None:
    """auto.offset.reset decides, where nothing was committed and where what was committed is gone."""
    client = Confluent(engine.bootstrap)
    client.produce(topic, [Message(b"x")] * 10)
    admin.delete_records([Partition(topic, 0, 4)])[Partition(topic, 0, 4)].result(PATIENCE_S)
    for start in ([], [Partition(topic, 0, 2)]):
        with closing(simple(engine, name, auto_offset_reset=reset, enable_partition_eof=True)) as consumer:
            if start:
                consumer.commit(offsets=start, asynchronous=False)
            consumer.assign([Partition(topic, 0)])
            message = until(lambda consumer=consumer: consumer.poll(0.1), bool)
            error = message.error() and message.error().code()
            wanted = {4: None, 10: KafkaError._PARTITION_EOF, None: KafkaError._AUTO_OFFSET_RESET}[first]
            assert (error, message.offset() if first else None) == (wanted, first)


def test_seek_pause_resume(engine: Engine, make_topic: MakeTopic, name: str) -> None:
    topic = make_topic(2)
    for number in range(2):
        Confluent(engine.bootstrap).produce(topic, [Message(b"x")] * 10, Sending(partition=number))
    zero, one = Partition(topic, 0), Partition(topic, 1)
    with closing(simple(engine, name)) as consumer:
        consumer.assign([Partition(topic, 0, 0), Partition(topic, 1, 0)])
        consumer.pause([one])
        assert {message.partition() for message in consumed(consumer, 10)} == {0}
        consumer.resume([one])
        assert {message.partition() for message in consumed(consumer, 10)} == {1}
        consumer.seek(Partition(topic, 0, 8))
        assert [(message.partition(), message.offset()) for message in consumed(consumer, 2)] == [(0, 8), (0, 9)]
        assert [at.offset for at in consumer.position([zero, one])] == [10, 10]


def test_groups_described_listed_reset_and_deleted(
    engine: Engine, admin: AdminClient, make_topic: MakeTopic, join: NewMember, name: str
) -> None:
    topic = make_topic(2)
    Confluent(engine.bootstrap).produce(topic, [Message(b"x")] * 3)
    member = join(topic, client_id="it")
    polled([member], lambda: member.has == {0, 1} and len(member.got) == 3)
    member.consumer.commit(asynchronous=False)
    group = until(lambda: described(admin, name), lambda seen: seen.state == State.STABLE)
    assert (group.is_simple_consumer_group, group.partition_assignor) == (False, "range")
    (one,) = group.members
    assert (one.client_id, one.group_instance_id, one.host.startswith("/")) == ("it", None, True)
    assert [(at.topic, at.partition) for at in one.assignment.topic_partitions] == [(topic, 0), (topic, 1)]
    assert listed(admin, State.STABLE)[name] is False
    assert name not in listed(admin, State.EMPTY)
    assert refused(admin.delete_consumer_groups([name])[name]) == NON_EMPTY_GROUP
    member.close()
    assert described(admin, name).state == State.EMPTY
    assert name in listed(admin, State.EMPTY)

    moved = ConsumerGroupTopicPartitions(name, [Partition(topic, 0, 1), Partition(topic, 1, 5)])
    admin.alter_consumer_group_offsets([moved])[name].result(PATIENCE_S)
    assert committed(admin, name) == {0: 1, 1: 5}
    admin.delete_consumer_groups([name])[name].result(PATIENCE_S)
    assert refused(admin.delete_consumer_groups([name])[name]) == GROUP_ID_NOT_FOUND
    assert name not in listed(admin)
    assert committed(admin, name) == {}


def listed(admin: AdminClient, *states: State) -> dict[str, bool]:
    """The groups in one of these states (none: any), and whether each is of a simple consumer."""
    found = admin.list_consumer_groups(states=set(states)).result(PATIENCE_S)
    assert not found.errors
    return {group.group_id: group.is_simple_consumer_group for group in found.valid}


def refused(future: Any) -> int:
    with pytest.raises(KafkaException) as error:
        future.result(PATIENCE_S)
    return error.value.args[0].code()


def committed(admin: AdminClient, group: str) -> dict[int, int]:
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(PATIENCE_S)
    return {at.partition: at.offset for at in found.topic_partitions}


def test_offsets_deleted(engine: Engine, make_topic: MakeTopic, join: NewMember, name: str) -> None:
    """KIP-496: of a topic that no member subscribes to."""
    topic, unused = make_topic(2), make_topic(2)
    with closing(simple(engine, name)) as consumer:
        consumer.commit(offsets=[Partition(one, 0, 5) for one in (topic, unused)], asynchronous=False)
    python: Any = kafka_admin.KafkaAdminClient(bootstrap_servers=engine.bootstrap)
    member = join(topic)
    polled([member], lambda: member.has == {0, 1})
    with closing(python):
        for one, code in ((topic, GROUP_SUBSCRIBED_TO_TOPIC), (unused, 0)):
            at = kafka.TopicPartition(one, 0)
            assert python.delete_group_offsets(name, [at])[at].errno == code
        left = python.list_group_offsets([name])[name]
    assert {at.topic: offset.offset for at, offset in left.items()} == {topic: 5}
