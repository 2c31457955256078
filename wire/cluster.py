"""The cluster as control writes it and every server reads it: records, and the image that they make. Pure.

The problem: one control decides who holds which partition (cluster-rules R4), and servers must act on the same state,
also while control is away. So the state is a log of records, plain JSON objects `{"type": …, …}`; an `Image` is what a
prefix of it means. A record says all of what it is about (a partition's whole state, not what changed of it), so that
records may be applied twice, and the last record of each thing is a snapshot.

Invariants: an image is never changed, `with_records` makes the next one and copies only the dicts that it touches;
types and fields that are not known are skipped, so that versions of Carousel can be mixed during a rolling upgrade.
The partitions of a topic are numbered 0 … n-1 without gaps.

Kafka's KRaft does the same with a log of its own (Apache Kafka, metadata/src/main/resources/common/metadata/*.json);
its records are Kafka's bytes. Ours are JSON: some hundred a second at most, read by people in a `metadata` file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

Record = Mapping[str, Any]
"""One change: a JSON object with a "type"."""

K = TypeVar("K")
V = TypeVar("V")

NO_LEADER: Final = -1
NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Broker:
    """A server, by the node id of its data. `epoch` is the last one granted (R3). `fenced`: it takes part in nothing.

    `incarnation` and `directory` are 32 hex digits. `listeners` by name: INTERNAL, CLIENT, EXTERNAL. Two are control's
    own: `served` is the last epoch in which it was not fenced, -1 for none, `welcomed` whether it has got its share.
    """

    node_id: int
    incarnation: str
    directory: str
    epoch: int
    fenced: bool
    listeners: Mapping[str, tuple[str, int]] = field(default_factory=lambda: NOTHING)
    rack: str | None = None
    served: int = -1
    welcomed: bool = False

    def record(self) -> Record:
        """What makes this broker."""
        return {
            "type": "broker",
            "node_id": self.node_id,
            "incarnation": self.incarnation,
            "directory": self.directory,
            "epoch": self.epoch,
            "fenced": self.fenced,
            "listeners": {name: list(address) for name, address in self.listeners.items()},
            "rack": self.rack,
            "served": self.served,
            "welcomed": self.welcomed,
        }


@dataclass(frozen=True, slots=True)
class Topic:
    """`id` is 32 hex digits, never used twice. `internal`: Kafka's own, as __consumer_offsets. `configs` holds what was
    set for this topic. `replication` is the wish (R11); the partitions say what is.
    """

    name: str
    id: str
    internal: bool = False
    configs: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    replication: int = 1

    def record(self) -> Record:
        """What makes this topic."""
        return {
            "type": "topic",
            "name": self.name,
            "id": self.id,
            "internal": self.internal,
            "configs": dict(self.configs),
            "replication": self.replication,
        }


@dataclass(frozen=True, slots=True)
class Partition:
    """Who holds a partition. `topic` is the topic's id; the rest are node ids and epochs, as in Kafka.

    `replicas` in order of preference; during a move it holds the ones in `adding` and still those in `removing`.
    `leader` is NO_LEADER while it is offline, `last_leader` the last known one, NO_LEADER if there never was one.
    """

    topic: str
    partition: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    elr: tuple[int, ...] = ()
    last_leader: int = NO_LEADER
    leader: int = NO_LEADER
    leader_epoch: int = 0
    partition_epoch: int = 0
    adding: tuple[int, ...] = ()
    removing: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[str, int]:
        """(topic id, number)."""
        return self.topic, self.partition

    def record(self) -> Record:
        """What makes this partition."""
        return {
            "type": "partition",
            "topic": self.topic,
            "partition": self.partition,
            "replicas": list(self.replicas),
            "isr": list(self.isr),
            "elr": list(self.elr),
            "last_leader": self.last_leader,
            "leader": self.leader,
            "leader_epoch": self.leader_epoch,
            "partition_epoch": self.partition_epoch,
            "adding": list(self.adding),
            "removing": list(self.removing),
        }


@dataclass(frozen=True, slots=True)
class Image:
    """The cluster at (generation, version). `topics` by name, `names`: topic id to name, `partitions` by (topic id,
    number), `configs` by node id, None: for all brokers. Nobody changes a mapping of an image.
    """

    generation: int = 0
    version: int = 0
    brokers: Mapping[int, Broker] = field(default_factory=lambda: NOTHING)
    topics: Mapping[str, Topic] = field(default_factory=lambda: NOTHING)
    names: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    partitions: Mapping[tuple[str, int], Partition] = field(default_factory=lambda: NOTHING)
    next_producer_id: int = 0
    configs: Mapping[int | None, Mapping[str, str]] = field(default_factory=lambda: NOTHING)

    def with_records(self, records: Iterable[Record], generation: int, version: int) -> "Image":
        """The image behind `records`, at (generation, version).

        Raises ValueError, naming the record, for one that no control could have written; `self` is as it was.
        """
        draft = _Draft(self)
        for record in records:
            try:
                draft.apply(record)
            except (KeyError, TypeError, ValueError, AttributeError) as fault:
                raise ValueError(f"a record that can't be applied: {record!r}: {fault!r}") from fault
        return draft.image(generation, version)

    def records(self) -> list[Record]:
        """A snapshot: the fewest records that make this image out of an empty one."""
        return [
            {"type": "generation", "number": self.generation},
            {"type": "producer_ids", "next": self.next_producer_id},
            *({"type": "configs", "node_id": who, "configs": dict(what)} for who, what in self.configs.items()),
            *(broker.record() for broker in self.brokers.values()),
            *(topic.record() for topic in self.topics.values()),
            *(partition.record() for partition in self.partitions.values()),
        ]

    def partitions_of(self, topic_id: str) -> list[Partition]:
        """By number; empty for a topic that isn't there."""
        found: list[Partition] = []
        while (partition := self.partitions.get((topic_id, len(found)))) is not None:
            found.append(partition)
        return found

    def topic_of(self, topic_id: str) -> Topic | None:
        """The topic of that id."""
        name = self.names.get(topic_id)
        return None if name is None else self.topics[name]

    def is_live(self, node_id: int) -> bool:
        """Whether that broker is registered and not fenced."""
        broker = self.brokers.get(node_id)
        return broker is not None and not broker.fenced


class _Draft:
    """An image in the making: each mapping is copied when it is first written."""

    def __init__(self, base: Image) -> None:
        self._base = base
        self._brokers: dict[int, Broker] | None = None
        self._topics: dict[str, Topic] | None = None
        self._names: dict[str, str] | None = None
        self._partitions: dict[tuple[str, int], Partition] | None = None
        self._configs: dict[int | None, Mapping[str, str]] | None = None
        self._next_producer_id = base.next_producer_id

    def image(self, generation: int, version: int) -> Image:
        base = self._base
        return Image(
            generation,
            version,
            base.brokers if self._brokers is None else self._brokers,
            base.topics if self._topics is None else self._topics,
            base.names if self._names is None else self._names,
            base.partitions if self._partitions is None else self._partitions,
            self._next_producer_id,
            base.configs if self._configs is None else self._configs,
        )

    def apply(self, record: Record) -> None:
        match record["type"]:
            case "partition":
                partition = _partition(record)
                self._write_partitions()[partition.key] = partition
            case "broker":
                broker = _broker(record)
                self._write_brokers()[broker.node_id] = broker
            case "broker_gone":
                self._write_brokers().pop(int(record["node_id"]), None)
            case "topic":
                self._put_topic(_topic(record))
            case "topic_gone":
                self._remove_topic(str(record["id"]))
            case "topic_configs":
                self._configure_topic(str(record["id"]), _configs(record))
            case "producer_ids":
                self._next_producer_id = int(record["next"])
            case "configs":
                self._configure(record)
            case _:
                pass  # "generation", which the image is told apart, and the words of a newer version

    def _put_topic(self, topic: Topic) -> None:
        self._write_topics()[topic.name] = topic
        self._write_names()[topic.id] = topic.name

    def _remove_topic(self, topic_id: str) -> None:
        name = self._write_names().pop(topic_id, None)
        if name is not None:
            del self._write_topics()[name]
        partitions, number = self._write_partitions(), 0
        while partitions.pop((topic_id, number), None) is not None:
            number += 1

    def _configure_topic(self, topic_id: str, configs: Mapping[str, str]) -> None:
        name = self._write_names().get(topic_id)
        if name is not None:
            topics = self._write_topics()
            old = topics[name]
            topics[name] = Topic(old.name, old.id, old.internal, configs, old.replication)

    def _configure(self, record: Record) -> None:
        node_id, configs = record["node_id"], _configs(record)
        written = self._write_configs()
        key = None if node_id is None else int(node_id)
        if configs:
            written[key] = configs
        else:
            written.pop(key, None)

    def _write_brokers(self) -> dict[int, Broker]:
        self._brokers = _own(self._brokers, self._base.brokers)
        return self._brokers

    def _write_topics(self) -> dict[str, Topic]:
        self._topics = _own(self._topics, self._base.topics)
        return self._topics

    def _write_names(self) -> dict[str, str]:
        self._names = _own(self._names, self._base.names)
        return self._names

    def _write_partitions(self) -> dict[tuple[str, int], Partition]:
        self._partitions = _own(self._partitions, self._base.partitions)
        return self._partitions

    def _write_configs(self) -> dict[int | None, Mapping[str, str]]:
        self._configs = _own(self._configs, self._base.configs)
        return self._configs


def _own(written: dict[K, V] | None, base: Mapping[K, V]) -> dict[K, V]:
    return dict(base) if written is None else written


def _broker(record: Record) -> Broker:
    listeners = {str(name): (str(host), int(port)) for name, (host, port) in record.get("listeners", {}).items()}
    rack = record.get("rack")
    return Broker(
        int(record["node_id"]),
        str(record["incarnation"]),
        str(record["directory"]),
        int(record["epoch"]),
        bool(record["fenced"]),
        listeners,
        None if rack is None else str(rack),
        int(record.get("served", -1)),
        bool(record.get("welcomed", False)),
    )


def _topic(record: Record) -> Topic:
    return Topic(
        str(record["name"]),
        str(record["id"]),
        bool(record.get("internal", False)),
        _configs(record),
        int(record.get("replication", 1)),
    )


def _partition(record: Record) -> Partition:
    return Partition(
        topic=str(record["topic"]),
        partition=int(record["partition"]),
        replicas=_ids(record, "replicas"),
        isr=_ids(record, "isr"),
        elr=_ids(record, "elr"),
        last_leader=int(record.get("last_leader", NO_LEADER)),
        leader=int(record["leader"]),
        leader_epoch=int(record["leader_epoch"]),
        partition_epoch=int(record["partition_epoch"]),
        adding=_ids(record, "adding"),
        removing=_ids(record, "removing"),
    )


_NodeIds = Literal["replicas", "isr", "elr", "adding", "removing"]


def _ids(record: Record, name: _NodeIds) -> tuple[int, ...]:
    listed: Sequence[Any] = record.get(name, ())
    return tuple(map(int, listed))


def _configs(record: Record) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in record.get("configs", {}).items()}
