"""Adding a partition that has a name, so that no crash leaves one with a wrong name, or two of them. Pure.

The problem: a partition and its name are two records in two places, and whoever writes them may die in between. If the
partition were made first, it would have the usual name (P2) until the other one is written, so the caller's second try
would not find its own, and make another.

So the name comes first, for the number that the partition will have. A name of a partition that isn't there means
nothing to any reader. A second try finds the same number free, writes the name anew, and makes the partition: the same
one. If another name is asked for meanwhile, it is written over the first. Names that stand for nothing (that crash, or
a topic that was deleted) are swept away by the next control that adds a partition, and at once where it adds to their
topic. What is left: another client of the Kafka protocol that makes the same partition after the crash and before that
gives it the name that was asked for, instead of none.

What holds: one adder at a time (control's one thread); `names` is read up to the log's end; `write_names` returns when
it is acknowledged. Where somebody else has made the partition in the same moment, it is theirs: the name is taken back,
and the next number tried.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from wire.http_queue import partition_names

Place = tuple[str, int]
"""Topic, partition."""

TRIES: Final = 5
"""Each but the first means that somebody else made a partition of this very topic in this very moment."""


class Refused(Exception):
    """The caller's fault; the text says what it is. Nothing was made."""


class Unavailable(Exception):
    """The cluster's fault: it does not answer, or not in time. Trying again may help, and does no harm."""


class AlreadyThere(Exception):
    """There is a partition of that name."""


class Cluster(Protocol):
    """What is asked of a Kafka cluster. Every method may raise Refused or Unavailable."""

    def partitions(self, topic: str) -> int:
        """How many there are; 0: no such topic."""
        ...

    def all_partitions(self) -> Mapping[str, int]:
        """Of every topic."""
        ...

    def names(self) -> Mapping[Place, str]:
        """All that are kept."""
        ...

    def write_names(self, changes: Mapping[Place, str | None]) -> None:
        """Keep these; None takes one away."""
        ...

    def appears(self, place: Place) -> bool:
        """Whether that partition turns up within a second: servers hear of new ones one after another."""
        ...

    def settle(self) -> None:
        """Return when every server has heard of what was made before this call."""
        ...

    def make(self, place: Place) -> bool:
        """Make it, the topic's first or its next, and wait until it serves. False: it is there already."""
        ...


def add_partition(cluster: Cluster, topic: str, part: str) -> None:
    """Raises AlreadyThere, Refused, Unavailable."""
    for _ in range(TRIES):
        count = cluster.partitions(topic)
        given = {number: name for (name_of, number), name in cluster.names().items() if name_of == topic}
        if count in given and cluster.appears((topic, count)):
            continue
        if part in partition_names(count, _first(given, count)):
            raise AlreadyThere
        void: dict[Place, str | None] = {(topic, number): None for number in given if number > count}
        cluster.write_names({**void, (topic, count): part})
        if cluster.make((topic, count)):
            return
        cluster.write_names({(topic, count): given.get(count)})
    raise Unavailable(f"others add partitions to {topic} all the time")


def sweep_names(cluster: Cluster) -> None:
    """Take away the names of partitions that aren't there: not at one look, since the server that is asked may not have
    heard of a partition that was just made. Raises Refused, Unavailable."""
    kept = cluster.names()
    void = void_places(kept, cluster.all_partitions()) if kept else []
    if not void:
        return
    cluster.settle()
    still_void: dict[Place, str | None] = dict.fromkeys(void_places(void, cluster.all_partitions()))
    if still_void:
        cluster.write_names(still_void)


def void_places(kept: Iterable[Place], counts: Mapping[str, int]) -> list[Place]:
    return [(topic, number) for topic, number in kept if number >= counts.get(topic, 0)]


def _first(given: Mapping[int, str], count: int) -> dict[int, str]:
    return {number: name for number, name in given.items() if number < count}
