"""The queue's books: the image that holds, the records that a step adds to it, and who needs to be looked at.

A step writes records here and sees their effect at once; nobody else does until `take` has handed them out and the
shell has committed them. If it can't, `undo` forgets them: then the image is again the one that is on the disk.
`version` counts records, so a record's position in the log is the version of the image that it makes, and serves as
broker epoch, too.
"""

from collections.abc import Iterable

from loadbalancer.elections import allows_unclean, min_isr_of
from loadbalancer.queue_words import Note
from wire.cluster import NO_LEADER, Broker, Image, Partition, Record, Topic


class Ledger:
    """One cluster's. `moving` holds the keys of partitions with a move under way; all reads see this step's writes."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.moving = _moving(image)
        self.changed_partitions = True
        """Whether a partition was written since somebody set it to False."""
        self._kept = self._before = image
        self._records: list[Record] = []
        self._notes: list[Note] = []

    # --- one step

    def put(self, records: Iterable[Record]) -> None:
        """Add records."""
        new = list(records)
        if new:
            image = self.image
            self.image = image.with_records(new, image.generation, image.version + len(new))
            self._records += new

    def put_partitions(self, partitions: Iterable[Partition]) -> None:
        """Those of them that differ from what they were."""
        known = self.image.partitions
        new = [partition for partition in partitions if known.get(partition.key) != partition]
        self.put(partition.record() for partition in new)
        for partition in new:
            _mark(self.moving, partition)
        self.changed_partitions = self.changed_partitions or bool(new)

    def remove_topic(self, topic: Topic) -> None:
        """With all its partitions."""
        self.moving.difference_update([p.key for p in self.image.partitions_of(topic.id)])
        self.put([{"type": "topic_gone", "id": topic.id}])
        self.changed_partitions = True

    def note(self, kind: str, about: str, reason: str) -> None:
        self._notes.append(Note(kind, about, reason))

    def take(self) -> tuple[list[Record], list[Note]]:
        """The step's records, which belong behind the version before, and its notes with what became of leaders."""
        records, self._records = self._records, []
        notes, self._notes = [*self._notes, *_leaders(self._kept, self.image)], []
        self._before, self._kept = self._kept, self.image
        return records, notes

    def undo(self) -> None:
        """The records taken last were not committed."""
        self.image = self._kept = self._before
        self.moving = _moving(self.image)
        self.changed_partitions = True

    # --- questions

    def min_isr(self, partition: Partition) -> int:
        return min_isr_of(partition, *self._configs(partition))

    def unclean(self, partition: Partition) -> bool:
        return allows_unclean(*self._configs(partition))

    def _configs(self, partition: Partition) -> tuple[dict[str, str], ...]:
        topic, general = self.image.topic_of(partition.topic), self.image.configs.get(None, {})
        return (dict(topic.configs) if topic else {}, dict(general))

    def live(self) -> frozenset[int]:
        return frozenset(node_id for node_id, broker in self.image.brokers.items() if not broker.fenced)

    def on(self, node_id: int) -> list[Partition]:
        """The partitions with a replica there."""
        return [partition for partition in self.image.partitions.values() if node_id in partition.replicas]

    def broker(self, node_id: int) -> Broker | None:
        return self.image.brokers.get(node_id)

    @property
    def next_epoch(self) -> int:
        """A broker epoch that was never granted: the position of the next record."""
        return self.image.version + 1


def _moving(image: Image) -> set[tuple[str, int]]:
    return {key for key, partition in image.partitions.items() if partition.adding or partition.removing}


def _mark(moving: set[tuple[str, int]], partition: Partition) -> None:
    if partition.adding or partition.removing:
        moving.add(partition.key)
    else:
        moving.discard(partition.key)


def _leaders(before: Image, after: Image) -> list[Note]:
    """One note for all new leaders of a step and one for all partitions that lost theirs: there may be thousands."""
    if before.partitions is after.partitions:
        return []
    pairs = [(before.partitions.get(key), now) for key, now in after.partitions.items()]
    changed = [(then, now) for then, now in pairs if then is not None and then.leader != now.leader]
    elected = [now for _, now in changed if now.leader != NO_LEADER]
    orphans = [now for _, now in changed if now.leader == NO_LEADER]
    notes: list[Note] = []
    if elected:
        nodes = ", ".join(map(str, sorted({now.leader for now in elected})))
        notes.append(Note("leaders-elected", "queue", f"{_counted(elected, after)} led by node {nodes} now"))
    if orphans:
        notes.append(Note("partitions-offline", "queue", f"{_counted(orphans, after)} without a leader"))
    return notes


def _counted(partitions: list[Partition], image: Image) -> str:
    if len(partitions) == 1:
        (one,) = partitions
        return f"{image.names[one.topic]}-{one.partition}"
    return f"{len(partitions)} partitions"
