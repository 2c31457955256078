"""What holds whatever happens to servers, topics and control, in any order (cluster-rules R3, R4, R6, R11)."""

import unittest
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.queue_story import Story

from loadbalancer import queue_words as w
from wire.cluster import NO_LEADER, Partition
from wire.cluster_link import Stop

NODES = st.integers(1, 5)
TOPICS = st.sampled_from(["a", "b", "c"])


class Cluster(RuleBasedStateMachine):
    """Random orders of everything; the laws are the invariants."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(2, settings=w.QueueSettings(replication=2, offsets_partitions=3))
        self.leaders: dict[tuple[str, int], dict[int, int]] = {}  # by partition: leader of each epoch
        self.seen: dict[tuple[str, int], tuple[int, int]] = {}
        self.broker_epochs: dict[int, int] = {}
        self.position = (0, 0)

    def here(self, node: int) -> bool:
        return node in self.story.known()

    @rule(node=NODES)
    def join(self, node: int) -> None:
        if node not in self.story.servers:
            self.story.join(node)

    @rule(node=NODES, stop=st.sampled_from(list(Stop)))
    def start(self, node: int, stop: Stop) -> None:
        if self.here(node):
            self.story.start(node, stop)

    @rule(node=NODES)
    def start_on_an_empty_disk(self, node: int) -> None:
        if self.here(node):
            self.story.start(node, directory=f"{self.story.now + node:032.0f}")

    @rule(node=NODES)
    def kill(self, node: int) -> None:
        if self.here(node):
            self.story.kill(node)

    @rule(node=NODES, mute=st.booleans())
    def mute(self, node: int, mute: bool) -> None:
        """It answers no heartbeat, or does so again."""
        self.story.send(w.Muted(node, mute))

    @rule(node=NODES)
    def leave(self, node: int) -> None:
        if node in self.story.members.wanted and len(self.story.members.wanted) > 1:
            self.story.leave(node)

    @rule(node=NODES)
    def part(self, node: int) -> None:
        """As the fleet does: only when nothing is left there."""
        if node in self.story.members.leaving and node not in self.story.queue.holders():
            self.story.part(node)
            assert node not in self.story.kept.brokers or not self.story.disk

    @rule(name=TOPICS, count=st.integers(1, 6), replication=st.sampled_from([-1, 1, 2]), min_isr=st.integers(1, 2))
    def create(self, name: str, count: int, replication: int, min_isr: int) -> None:
        configs = (("min.insync.replicas", str(min_isr)),)
        self.story.ask(w.CreateTopics, (w.NewTopic(name, count, replication, configs=configs),), 30.0)

    @rule(name=TOPICS)
    def delete(self, name: str) -> None:
        self.story.ask(w.DeleteTopics, ((name, None),), 30.0)

    @rule(name=TOPICS, count=st.integers(1, 9))
    def enlarge(self, name: str, count: int) -> None:
        self.story.ask(w.CreatePartitions, (w.MorePartitions(name, count),), 30.0)

    @rule(name=TOPICS, value=st.sampled_from(["1", "2"]))
    def configure(self, name: str, value: str) -> None:
        change = w.ConfigChange(2, name, (("min.insync.replicas", w.ConfigOp.SET, value),))
        self.story.ask(w.AlterConfigs, (change,))

    @rule(data=st.data())
    def shrink(self, data: Any) -> None:
        """A leader says that a follower is behind."""
        shared = [p for p in self.story.kept.partitions.values() if len(p.isr) > 1 and p.leader != NO_LEADER]
        if shared:
            partition = data.draw(st.sampled_from(shared))
            self.story.alter(partition, (partition.leader,))

    @rule(data=st.data())
    def catch_up(self, data: Any) -> None:
        partitions = list(self.story.kept.partitions.values())
        if partitions:
            self.story.catch_up(data.draw(st.sampled_from(partitions)))

    @rule(seconds=st.sampled_from([1.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.story.now += seconds
        self.story.send(w.Tick())

    @rule(disk=st.booleans())
    def fill_disk(self, disk: bool) -> None:
        self.story.disk = disk

    @rule()
    def restart_control(self) -> None:
        self.story.disk = True
        ended = [s.node_id for s in self.story.servers.values() if not s.running and self.here(s.node_id)]
        self.story.restart_control()
        for node in ended:  # the fleet finds them gone
            self.story.kill(node)

    @precondition(lambda self: self.story.disk)
    @rule()
    def settle(self) -> None:
        self.story.run()

    # --- the laws

    @invariant()
    def epochs_never_go_back_and_each_has_one_leader(self) -> None:
        kept = self.story.kept
        assert (kept.generation, kept.version) >= self.position
        self.position = (kept.generation, kept.version)
        for key, partition in kept.partitions.items():
            epochs = (partition.leader_epoch, partition.partition_epoch)
            before = self.seen.get(key, (0, 0))
            assert epochs[0] >= before[0] and epochs[1] >= before[1], partition
            self.seen[key] = epochs
            known = self.leaders.setdefault(key, {}).setdefault(partition.leader_epoch, partition.leader)
            assert known == partition.leader, f"two leaders of one epoch: {partition}"
        for node, broker in kept.brokers.items():
            assert broker.epoch >= self.broker_epochs.get(node, -1)
            self.broker_epochs[node] = broker.epoch

    @invariant()
    def leaders_are_in_sync_and_live_and_there_is_one_where_there_can_be(self) -> None:
        if self.story.disk:
            for partition in self.story.kept.partitions.values():
                self.check(partition)

    def check(self, partition: Partition) -> None:
        live = self.story.kept.is_live
        if partition.leader != NO_LEADER:
            assert partition.leader in partition.isr and live(partition.leader), partition
        else:
            assert not any(live(member) for member in (*partition.isr, *partition.elr)), partition
        assert set(partition.isr) <= set(partition.replicas), partition
        assert not set(partition.isr) & set(partition.elr), partition
        assert len(set(partition.replicas)) == len(partition.replicas) > 0, partition

    @invariant()
    def what_is_told_is_committed(self) -> None:
        assert self.story.kept == self.story.queue.image

    def teardown(self) -> None:
        """In the end everything comes to rest: everybody is back, leavers have nothing left."""
        self.story.disk = True
        for node in range(1, 6):
            self.story.send(w.Muted(node, False))
        for node in self.story.known():
            if not self.story.servers[node].running:
                self.story.start(node)
        self.story.run(2000)
        online = [p for p in self.story.kept.partitions.values() if p.leader != NO_LEADER]
        if self.story.members.wanted:
            for partition in online:
                assert set(partition.replicas) <= self.story.members.wanted, partition
                assert not partition.adding and not partition.removing, partition


Cluster.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


class TestLaws(Cluster.TestCase):  # type: ignore[name-defined,misc] - Hypothesis makes the class
    """Found by unittest's loader and by pytest alike."""


class TestShares(unittest.TestCase):
    def test_about_one_in_n_moves_to_a_newcomer_and_all_of_a_leavers(self) -> None:
        for nodes in (2, 3, 5):
            story = Story(nodes)
            story.create("orders", 600)
            before = story.leaders("orders")
            story.join(nodes + 1).run(2000)
            moved = sum(old != new for old, new in zip(before, story.leaders("orders"), strict=True))
            self.assertAlmostEqual(moved / 600, 1 / (nodes + 1), delta=0.07)
            story.leave(nodes + 1).run(2000)
            self.assertEqual(story.on(nodes + 1), 0)
            self.assertEqual(story.leaders("orders"), before, "its partitions go back where the ring puts them")


del Cluster

if __name__ == "__main__":
    unittest.main()
