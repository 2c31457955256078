import unittest
from dataclasses import replace
from typing import Any

from support.queue_story import Story

from loadbalancer.queue_recovery import EPOCH_JUMP, PRODUCER_ID_JUMP, VERSION_JUMP, CantRecover, recovered
from loadbalancer.queue_words import AllocateIds, Members, QueueSettings
from wire.cluster import NO_LEADER, Image
from wire.cluster_link import Offer, Position, Stop

SETTINGS = QueueSettings(replication=2)


class TestRecovery(unittest.TestCase):
    """Three servers, of which control has lost everything."""

    def setUp(self) -> None:
        self.story = Story(3, settings=SETTINGS)
        self.story.create("orders", 12)
        self.story.ask(AllocateIds, 1, self.story.servers[1].epoch)
        self.story.run()
        self.image = self.story.kept
        self.offers = {node: self.offer(node) for node in (1, 2, 3)}

    def offer(self, node: int, image: Image | None = None, **fields: Any) -> Offer:
        kept, server = image or self.image, self.story.servers[node]
        at = Position(kept.generation + 1, kept.version)
        return replace(Offer(at, kept.records(), server.epoch, server.incarnation, server.directory), **fields)

    def recover(self, *absent: int) -> Image:
        return recovered(self.offers, absent, SETTINGS)

    def test_everything_is_there_and_jumped(self) -> None:
        found = self.recover()
        self.assertEqual((found.topics, found.brokers), (self.image.topics, self.image.brokers))
        self.assertEqual(found.next_producer_id, self.image.next_producer_id + PRODUCER_ID_JUMP)
        self.assertGreaterEqual(found.version, self.image.version + VERSION_JUMP)
        for key, partition in self.image.partitions.items():
            jumped = found.partitions[key]
            epochs = (partition.leader_epoch + EPOCH_JUMP, partition.partition_epoch + EPOCH_JUMP)
            self.assertEqual((jumped.leader_epoch, jumped.partition_epoch), epochs)
            self.assertEqual((jumped.leader, jumped.isr), (partition.leader, partition.isr))

    def test_the_highest_copy_holds(self) -> None:
        self.story.create("later", 2)
        self.offers[2] = self.offer(2, self.story.kept)
        self.assertEqual(set(self.recover().topics), {"orders", "later"})

    def test_a_registered_server_that_is_not_here_must_be_named(self) -> None:
        del self.offers[3]
        with self.assertRaisesRegex(CantRecover, "node 3 is registered and not here.*--absent"):
            self.recover()
        with self.assertRaisesRegex(CantRecover, "nodes 1, 2 are said to be absent"):
            self.recover(1, 2, 3)
        found = self.recover(3)
        self.assertTrue(found.brokers[3].fenced)
        self.assertNotIn(3, {partition.leader for partition in found.partitions.values()})
        self.assertNotIn(NO_LEADER, {partition.leader for partition in found.partitions.values()})

    def test_without_copies_there_is_nothing_to_recover(self) -> None:
        for offers in ({}, {1: self.offer(1, Image(), at=Position(0, 0))}):
            with self.assertRaisesRegex(CantRecover, "no server has offered"):
                recovered(offers, (), SETTINGS)
        self.offers[1] = self.offer(1, records=[{"type": "topic"}], at=Position(9, 9))
        with self.assertRaisesRegex(CantRecover, "makes no sense"):
            self.recover()

    def test_who_was_started_anew_is_fenced_and_its_disk_judged_when_it_registers(self) -> None:
        self.offers[1] = self.offer(1, incarnation="e" * 32)
        self.assertTrue(self.recover().brokers[1].fenced)
        self.assertFalse(self.recover().brokers[2].fenced)

    def test_an_epoch_that_only_the_lost_state_knew_is_believed_of_the_same_disk_only(self) -> None:
        epoch = self.image.version + 500
        self.offers[1] = self.offer(1, epoch=epoch, incarnation="e" * 32)
        self.offers[2] = self.offer(2, epoch=epoch, directory="f" * 32)
        found = self.recover()
        self.assertEqual((found.brokers[1].epoch, found.brokers[2].epoch), (epoch, self.image.brokers[2].epoch))
        self.assertGreater(found.version, epoch)

    def test_the_next_control_goes_on_from_it(self) -> None:
        found = self.recover()
        story = self.story
        story.log = [{"type": "nothing"}] * found.version
        story.kept = found
        story.queue = story._queue()
        story.send(Members(frozenset({1, 2, 3})))
        for node in (1, 2, 3):
            answer = story.register(node, Stop.CLEAN, story.servers[node].epoch)
            self.assertEqual(answer["broker_epoch"], story.servers[node].epoch)
        story.run()
        self.assertFalse(story.queue.lost)
        self.assertEqual(story.leaders("orders"), [p.leader for p in self.image.partitions.values()])


if __name__ == "__main__":
    unittest.main()
