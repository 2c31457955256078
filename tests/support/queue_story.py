"""A queue's controller with make-believe servers around it, for stories and laws: a log, a clock, no sockets.

Servers apply what is committed when the story lets them (`run`), follow partitions that they are added to, and ask for
them to be taken into the ISR, as the leader would.
"""

from dataclasses import dataclass
from itertools import count
from typing import Any

from loadbalancer import queue_words as w
from loadbalancer.queue import Queue
from wire.cluster import NO_LEADER, Image, Partition, Record
from wire.cluster_link import Stop
from wire.errors import ErrorCode


@dataclass
class FakeServer:
    """A server: what it holds of the cluster, and of its own life."""

    node_id: int
    incarnation: str
    directory: str
    epoch: int = -1
    running: bool = True


class Story:
    """`answers` by request: a Reply's values, or the ErrorCode of a refusal. Events of the machine are in `notes`."""

    def __init__(self, nodes: int = 3, *, disk: bool = True, settings: w.QueueSettings | None = None) -> None:
        self.settings = settings or w.QueueSettings()
        self.log: list[Record] = []
        self.kept = Image()
        self.now = 100.0
        self.disk = disk
        self.numbers = count(1)
        self.answers: dict[int, Any] = {}
        self.notes: list[w.Note] = []
        self.servers: dict[int, FakeServer] = {}
        self.members = w.Members(frozenset())
        self.queue = self._queue()
        for node_id in range(1, nodes + 1):
            self.join(node_id)

    def _queue(self) -> Queue:
        return Queue(self.kept, self.settings, lambda: f"{next(self.numbers):032x}")

    # --- what happens

    def send(self, event: w.Event) -> "Story":
        """One step: heard, committed if there is a disk, told."""
        before = self.kept
        step = self.queue.step(event, self.now)
        if step.records and not self.disk:
            self.take(self.queue.undo(self.now))
            assert self.queue.image == before, "an undone step left something behind"
            return self
        self.log += step.records
        self.kept = self.kept.with_records(step.records, self.kept.generation, len(self.log))
        assert self.kept == self.queue.image, "the log is not the image"
        self.take(step.effects)
        return self

    def take(self, effects: list[w.Effect]) -> None:
        for effect in effects:
            match effect:
                case w.Reply():
                    assert effect.request not in self.answers, f"answered twice: {effect}"
                    self.answers[effect.request] = effect.values
                case w.Refuse():
                    assert effect.request not in self.answers, f"answered twice: {effect}"
                    self.answers[effect.request] = effect.code
                case w.Note():
                    self.notes.append(effect)

    def ask(self, make: Any, *arguments: Any, **fields: Any) -> Any:
        """The answer to `make(request, …)`, or its request's number if it waits."""
        request = next(self.numbers)
        self.send(make(request, *arguments, **fields))
        return self.answers.get(request, request)

    def tell_members(self, **sets: frozenset[int]) -> "Story":
        fields = {"wanted": self.members.wanted, "leaving": self.members.leaving, **sets}
        self.members = w.Members(**fields)
        return self.send(self.members)

    def join(self, node_id: int) -> "Story":
        """The fleet wants one more; it starts and takes part."""
        self.tell_members(wanted=self.members.wanted | {node_id})
        return self.start(node_id)

    def start(
        self, node_id: int, stop: Stop = Stop.CLEAN, *, directory: str | None = None, epoch: Any = None
    ) -> "Story":
        """A new incarnation on the node's data."""
        old = self.servers.get(node_id)
        known = directory or (old.directory if old else f"{node_id:032x}")
        server = FakeServer(node_id, f"{next(self.numbers):032x}", known)
        self.servers[node_id] = server
        previous = epoch if epoch is not None else old.epoch if old and directory is None else -1
        server.epoch = previous
        answer = self.register(node_id, stop, previous)
        if isinstance(answer, dict):
            server.epoch = answer["broker_epoch"]
            self.sync(node_id)
        return self

    def register(self, node_id: int, stop: Stop, previous: int) -> Any:
        server = self.servers[node_id]
        listeners = {"CLIENT": ("127.0.0.1", 9000 + node_id)}
        return self.ask(w.Registered, node_id, server.incarnation, server.directory, previous, stop, listeners)

    def sync(self, node_id: int) -> "Story":
        """It has applied everything that is committed."""
        server = self.servers[node_id]
        return self.send(w.Applied(node_id, server.incarnation, self.kept.version))

    def kill(self, node_id: int) -> "Story":
        self.servers[node_id].running = False
        return self.send(w.Ended(node_id))

    def leave(self, node_id: int) -> "Story":
        return self.tell_members(wanted=self.members.wanted - {node_id}, leaving=self.members.leaving | {node_id})

    def part(self, node_id: int) -> "Story":
        """It has left: stopped, and forgotten by the fleet."""
        self.kill(node_id)
        return self.tell_members(leaving=self.members.leaving - {node_id})

    def restart_control(self) -> "Story":
        """A new machine from what was committed; servers that live say so again."""
        self.log.append({"type": "generation", "number": self.kept.generation + 1})
        self.kept = Image().with_records(self.log, self.kept.generation + 1, len(self.log))
        self.queue = self._queue()
        self.send(self.members)
        for server in list(self.servers.values()):
            if server.running and server.node_id in self.known():
                self.register(server.node_id, Stop.CLEAN, server.epoch)
                self.sync(server.node_id)
        return self

    def known(self) -> frozenset[int]:
        return self.members.wanted | self.members.leaving

    def run(self, turns: int = 200) -> "Story":
        """Servers sync, follow and catch up until nothing moves."""
        for _ in range(turns):
            before = self.kept.version
            for server in list(self.servers.values()):
                if server.running and server.node_id in self.known() and server.node_id in self.kept.brokers:
                    self.sync(server.node_id)
            for partition in list(self.kept.partitions.values()):
                self.catch_up(partition)
            if self.kept.version == before:
                return self
        raise AssertionError("it never comes to rest")

    def catch_up(self, partition: Partition) -> Any:
        """The leader asks for its living followers to be in sync."""
        if partition.leader == NO_LEADER or not self.servers[partition.leader].running:
            return None
        living = [r for r in partition.replicas if self.kept.is_live(r)]
        wanted = tuple(r for r in partition.replicas if r in living or (r in partition.isr and r == partition.leader))
        if set(wanted) <= set(partition.isr):
            return None
        return self.alter(partition, (*partition.isr, *(r for r in wanted if r not in partition.isr)))

    def alter(self, partition: Partition, isr: tuple[int, ...], **fields: Any) -> Any:
        """AlterPartition by its leader, with current epochs."""
        members = tuple((member, self.kept.brokers[member].epoch) for member in isr)
        wish = w.IsrWish(
            partition.topic, partition.partition, fields.get("leader_epoch", partition.leader_epoch),
            fields.get("partition_epoch", partition.partition_epoch), fields.get("members", members),
        )  # fmt: skip
        leader = fields.get("leader", partition.leader)
        epoch = self.kept.brokers[leader].epoch
        return self.ask(w.AlterIsr, leader, epoch, (wish,))

    # --- clients

    def create(self, name: str, partitions: int = -1, replication: int = -1, **fields: Any) -> Any:
        """The topic's result, once its leaders have synced."""
        validate_only = fields.pop("validate_only", False)
        topic = w.NewTopic(name, partitions, replication, **fields)
        answer = self.ask(w.CreateTopics, (topic,), 30.0, validate_only)
        if isinstance(answer, int) and not isinstance(answer, ErrorCode):
            self.run()
            answer = self.answers[answer]
        return answer if isinstance(answer, ErrorCode) else answer["topics"][0]

    # --- what is so

    def partitions(self, name: str) -> list[Partition]:
        return self.kept.partitions_of(self.kept.topics[name].id)

    def leaders(self, name: str) -> list[int]:
        return [partition.leader for partition in self.partitions(name)]

    def on(self, node_id: int) -> int:
        """How many partitions have a replica there."""
        return sum(node_id in partition.replicas for partition in self.kept.partitions.values())

    def kinds(self) -> list[str]:
        return [note.kind for note in self.notes]
