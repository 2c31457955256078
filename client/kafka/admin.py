"""Topics, groups and configs of any Kafka cluster, asked and changed in one line each."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import confluent_kafka
import confluent_kafka.admin
from confluent_kafka import TopicPartition

from client.client_configs import admin_config, bootstrap_of, consumer_config
from client.errors import Closed, ConfigError, GroupNotFound, TopicNotFound
from client.kafka.failures import LOGGER, told_as_ours
from client.kafka.lookups import PAUSE_S, given_names, patiently
from client.values import ConfigValue, GroupInfo, Lag, Member, Offsets, PartitionInfo, TopicInfo
from wire.http_queue import partition_names

T = TypeVar("T")
RAW: Final[Any] = confluent_kafka.admin
"""Its stubs call half of its public classes private."""

INTERNAL: Final = "__"
"""Names that begin so belong to the queue itself: __consumer_offsets, __carousel_names."""

SIGHT_S: Final = 5.0
"""How long a topic that was made is looked for. It is there, in any case."""


class Admin:
    """Looks at a cluster and changes it. Questions are asked again while servers come back; changes are sent once.

    >>> with Admin(BOOTSTRAP) as admin:
    ...     admin.create_topic("letters", 2, configs={"retention.ms": "3600000"})
    ...     len(admin.describe_topic("letters").partitions)
    2

    patience_s: how long an answer may take. Keyword arguments are librdkafka's properties in snake_case. Threads may
    share one. Raises ConfigError.
    """

    def __init__(self, bootstrap: str | Iterable[str], *, patience_s: float = 30.0, **overrides: Any) -> None:
        self._bootstrap = bootstrap_of(bootstrap)
        self._overrides = overrides
        self._patience_s = patience_s
        with told_as_ours("making an admin"):
            self._client: Any = RAW.AdminClient(admin_config(bootstrap, overrides), logger=LOGGER)

    def topics(self, internal: bool = False) -> list[TopicInfo]:
        """All topics by name; those that the queue keeps for itself only if asked for. Raises Unreachable."""
        found = self._ask("listing topics", lambda s: self._raw.list_topics(timeout=s)).topics
        every = (topic_of(one) for _, one in sorted(found.items()))
        return [one for one in every if internal or not one.internal]

    def describe_topic(self, name: str) -> TopicInfo:
        """One topic. Raises TopicNotFound."""
        found = next((one for one in self.topics(internal=True) if one.name == name), None)
        if found is None:
            raise TopicNotFound(f"{name}: no such topic. What to do: check the name by topics(), or make it")
        return found

    def create_topic(
        self, name: str, partitions: int, replication: int = -1, configs: Mapping[str, str] | None = None
    ) -> None:
        """Makes a topic and returns when its partitions have leaders. A replication of -1 is the cluster's own.
        Raises TopicExists, ConfigError, Refused, TimedOut (then it may be there all the same)."""
        new = RAW.NewTopic(name, partitions, replication, config=dict(configs or {}))
        self._do(f"creating {name}", lambda s: self._raw.create_topics([new], operation_timeout=s, request_timeout=s))
        self._await_sight(name)

    def _await_sight(self, name: str) -> None:
        """Kafka's controller answers before its brokers have heard: for a moment they deny what was just made."""
        deadline = time.monotonic() + SIGHT_S
        while name not in self._ask("looking for it", lambda s: self._raw.list_topics(timeout=s)).topics:
            if time.monotonic() > deadline:
                return
            time.sleep(PAUSE_S)

    def delete_topic(self, name: str) -> None:
        """Deletes a topic with all its messages. Raises TopicNotFound, Refused, TimedOut."""
        self._do(f"deleting {name}", lambda s: self._raw.delete_topics([name], operation_timeout=s, request_timeout=s))

    def add_partitions(self, name: str, total: int) -> None:
        """Gives a topic so many partitions in all. Keys that are hashed go elsewhere from then on, so their order ends
        there. Raises TopicNotFound, ConfigError (they can only grow), TimedOut."""
        new = [RAW.NewPartitions(name, total)]
        self._do(f"growing {name}", lambda s: self._raw.create_partitions(new, operation_timeout=s, request_timeout=s))

    def offsets(self, name: str) -> dict[int, Offsets]:
        """The first and the next offset of each of a topic's partitions. Raises TopicNotFound, Unreachable."""
        places = [(name, one.partition) for one in self.describe_topic(name).partitions]
        first, after = self._listed(places, RAW.OffsetSpec.earliest()), self._listed(places, RAW.OffsetSpec.latest())
        return {place[1]: Offsets(first[place], after[place]) for place in places}

    def offsets_at(self, name: str, timestamp_ms: int) -> dict[int, int | None]:
        """For each partition the offset of the first message that is not older than this; None where there is none.
        Raises TopicNotFound, Unreachable."""
        places = [(name, one.partition) for one in self.describe_topic(name).partitions]
        found = self._listed(places, RAW.OffsetSpec.for_timestamp(timestamp_ms))
        return {place[1]: offset if offset >= 0 else None for place, offset in found.items()}

    def partition_names(self, name: str) -> tuple[str, ...]:
        """What the HTTP interface calls a topic's partitions, by their numbers: the names they were given, else `P1`
        for the first, and so on. Raises TopicNotFound, Unreachable."""
        count = len(self.describe_topic(name).partitions)
        config = consumer_config(self._bootstrap, None, "earliest", self._overrides)
        with told_as_ours("looking for the partitions' names"):
            raw = confluent_kafka.Consumer(config, logger=LOGGER)
        try:
            return partition_names(count, given_names(raw, self._patience_s).get(name, {}))
        finally:
            raw.close()

    def groups(self) -> list[GroupInfo]:
        """All consumer groups by name, without their members. Raises Unreachable."""
        found = self._answer("listing groups", lambda s: self._raw.list_consumer_groups(request_timeout=s))
        return [
            GroupInfo(one.group_id, words_of(one.state), -1, "", ())
            for one in sorted(found.valid, key=lambda one: one.group_id)
        ]

    def describe_group(self, name: str) -> GroupInfo:
        """One group with its members. Raises GroupNotFound, Unreachable."""
        return group_of(self._described(name))

    def lag(self, name: str) -> list[Lag]:
        """How far a group is behind, in every partition of the topics that it committed for or reads now; those that it
        never committed for are among them, as their messages wait, too. Of a group that nobody ever joined (its offsets
        were set from outside, by readers of single partitions) only those partitions. Raises GroupNotFound."""
        raw = self._described(name)
        reads = {place for member in group_of(raw).members for place in member.assignment}
        committed = self._committed(name)
        known = reads | committed.keys()
        places = sorted(known if raw.is_simple_consumer_group else whole_topics(known, self.topics(internal=True)))
        if not places:
            return []
        first, end = self._listed(places, RAW.OffsetSpec.earliest()), self._listed(places, RAW.OffsetSpec.latest())
        return [lag_of(place, committed.get(place), first[place], end[place]) for place in places]

    def set_offsets(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """Commits these for a group that has no members; one that is not there is made. Raises Refused where it has
        members, TimedOut."""
        places = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        asked = [confluent_kafka.ConsumerGroupTopicPartitions(group, places)]
        doing = f"setting the offsets of {group}"
        self._do(doing, lambda s: self._raw.alter_consumer_group_offsets(asked, request_timeout=s))

    def delete_group(self, name: str) -> None:
        """Deletes a group that has no members, with its offsets. Raises GroupNotFound, Refused where it has members,
        TimedOut."""
        doing = f"deleting group {name}"
        self._do(doing, lambda s: self._raw.delete_consumer_groups([name], request_timeout=s))

    def configs(self, topic: str) -> dict[str, ConfigValue]:
        """A topic's configs by name, those that nobody set included. Raises TopicNotFound, Unreachable."""
        resource = RAW.ConfigResource(RAW.ConfigResource.Type.TOPIC, topic)
        doing = f"reading the configs of {topic}"
        found = self._answer(doing, lambda s: self._raw.describe_configs([resource], request_timeout=s)[resource])
        return {name: config_of(one) for name, one in sorted(found.items())}

    def set_configs(self, topic: str, configs: Mapping[str, str | None]) -> None:
        """Sets these configs of a topic and leaves the others; None takes one back to its default. Raises
        TopicNotFound, ConfigError, TimedOut."""
        if not configs:
            raise ConfigError("no configs: give at least one by its name, such as {'retention.ms': '3600000'}")
        entries = [entry_of(name, value) for name, value in configs.items()]
        resource = RAW.ConfigResource(RAW.ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
        doing = f"setting configs of {topic}"
        self._do(doing, lambda s: self._raw.incremental_alter_configs([resource], request_timeout=s))

    def close(self) -> None:
        """Ends the connections. A second close does nothing."""
        self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _raw(self) -> Any:
        if self._client is None:
            raise Closed("the admin is closed: make a new one")
        return self._client

    def _ask(self, doing: str, question: Callable[[float], T]) -> T:
        return patiently(question, doing, self._patience_s)

    def _answer(self, doing: str, question: Callable[[float], "Future[T]"]) -> T:
        """As `_ask`, for questions that are answered by a future."""
        return self._ask(doing, lambda s: question(s).result())

    def _do(self, doing: str, change: Callable[[float], "dict[Any, Future[Any]]"]) -> None:
        """A change, asked for once: a second time could meet its own effect."""
        with told_as_ours(doing):
            for future in change(self._patience_s).values():
                future.result()

    def _listed(self, places: list[tuple[str, int]], spec: Any) -> dict[tuple[str, int], int]:
        asked = {TopicPartition(*place): spec for place in places}
        isolation = confluent_kafka.IsolationLevel.READ_UNCOMMITTED

        def ask(seconds: float) -> dict[tuple[str, int], int]:
            told = self._raw.list_offsets(asked, isolation_level=isolation, request_timeout=seconds)
            return {(one.topic, one.partition): future.result().offset for one, future in told.items()}

        return self._ask("looking for offsets", ask)

    def _described(self, group: str) -> Any:
        doing = f"describing group {group}"
        found = self._answer(doing, lambda s: self._raw.describe_consumer_groups([group], request_timeout=s)[group])
        if words_of(found.state) == "dead":  # Kafka's word for a group that nobody knows
            raise GroupNotFound(f"{group}: no such group. What to do: see groups(); one is there once it has joined")
        return found

    def _committed(self, group: str) -> dict[tuple[str, int], int]:
        asked = [confluent_kafka.ConsumerGroupTopicPartitions(group)]
        doing = f"asking for the offsets of {group}"
        found = self._answer(doing, lambda s: self._raw.list_consumer_group_offsets(asked, request_timeout=s)[group])
        return {(one.topic, one.partition): one.offset for one in found.topic_partitions if one.offset >= 0}


def topic_of(found: Any) -> TopicInfo:
    each = (found.partitions[index] for index in sorted(found.partitions))
    partitions = tuple(PartitionInfo(one.id, one.leader, tuple(one.replicas), tuple(one.isrs)) for one in each)
    return TopicInfo(found.topic, partitions, found.topic.startswith(INTERNAL))


def group_of(found: Any) -> GroupInfo:
    members = tuple(member_of(one) for one in sorted(found.members, key=lambda one: one.member_id))
    coordinator = -1 if found.coordinator is None else found.coordinator.id
    return GroupInfo(found.group_id, words_of(found.state), coordinator, found.partition_assignor, members)


def member_of(found: Any) -> Member:
    reads = found.assignment.topic_partitions if found.assignment is not None else ()
    places = tuple(sorted((one.topic, one.partition) for one in reads))
    return Member(found.member_id, found.client_id, found.host, places)


def whole_topics(places: Collection[tuple[str, int]], topics: Iterable[TopicInfo]) -> set[tuple[str, int]]:
    """These partitions, and the others of their topics."""
    names = {topic for topic, _ in places}
    others = {(topic.name, one.partition) for topic in topics if topic.name in names for one in topic.partitions}
    return others.union(places)


def words_of(state: Any) -> str:
    return str(state.name).lower().replace("_", " ")


def lag_of(place: tuple[str, int], committed: int | None, first: int, end: int) -> Lag:
    """What retention took away counts no more."""
    position = first if committed is None else max(committed, first)
    return Lag(*place, committed, end, max(0, end - position))


def config_of(found: Any) -> ConfigValue:
    return ConfigValue(found.value, bool(found.is_default), bool(found.is_read_only))


def entry_of(name: str, value: str | None) -> Any:
    operation = RAW.AlterConfigOpType.DELETE if value is None else RAW.AlterConfigOpType.SET
    return RAW.ConfigEntry(name, value or "", incremental_operation=operation)
