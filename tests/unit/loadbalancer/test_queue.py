"""The queue's controller, story by story (its laws: test_queue_laws.py)."""

import unittest
from typing import Any

from support.queue_story import Story

from loadbalancer import queue_words as w
from loadbalancer.queue import LOST, PRODUCER_IDS, RETRY_S, Queue
from wire.cluster import NO_LEADER, Image
from wire.cluster_link import Stop
from wire.errors import ErrorCode as E


class TestRegistration(unittest.TestCase):
    def test_each_start_has_a_higher_epoch_and_each_redial_the_same(self) -> None:
        story = Story(1)
        first = story.servers[1].epoch
        self.assertEqual(story.register(1, Stop.CLEAN, first)["broker_epoch"], first)
        story.kill(1).start(1, Stop.SAME_BOOT)
        self.assertGreater(story.servers[1].epoch, first)

    def test_a_server_takes_part_when_it_knows_its_own_registration(self) -> None:
        story = Story(0)
        story.tell_members(wanted=frozenset({1}))
        answer = story.ask(w.Registered, 1, "1" * 32, "d" * 32, -1, Stop.CLEAN, {})
        self.assertFalse(story.kept.is_live(1))
        story.send(w.Applied(1, "1" * 32, answer["broker_epoch"] - 1))
        self.assertFalse(story.kept.is_live(1))
        story.send(w.Applied(1, "1" * 32, answer["broker_epoch"]))
        self.assertTrue(story.kept.is_live(1))

    def test_a_stranger_and_an_incarnation_that_is_over_are_refused(self) -> None:
        story = Story(1)
        self.assertEqual(story.ask(w.Registered, 9, "9" * 32, "d" * 32, -1, Stop.CLEAN, {}), E.INVALID_REGISTRATION)
        story.kill(1)
        self.assertEqual(story.register(1, Stop.CLEAN, story.servers[1].epoch), E.DUPLICATE_BROKER_REGISTRATION)

    def test_a_disk_that_can_t_be_believed_leads_nothing_and_its_partitions_wait_for_the_operator(self) -> None:
        distrusted: list[tuple[str, Any, w.QueueSettings]] = [
            ("a new directory", {"directory": "e" * 32}, w.QueueSettings()),
            ("an old copy", {"epoch": 0}, w.QueueSettings()),
            ("unsynced writes", {"stop": Stop.UNCLEAN}, w.QueueSettings(synced=False)),
        ]
        for name, how, settings in distrusted:
            with self.subTest(name):
                story = Story(1, settings=settings)
                story.create("orders", 2)
                story.kill(1).start(1, **how)
                story.run()
                self.assertEqual(story.leaders("orders"), [NO_LEADER, NO_LEADER])
                self.assertEqual([p.last_leader for p in story.partitions("orders")], [1, 1])
                self.assertIn("broker-disk-distrusted", story.kinds())

    def test_an_unclean_stop_with_synced_writes_loses_nothing(self) -> None:
        story = Story(1)
        story.create("orders", 2)
        before = [p.leader_epoch for p in story.partitions("orders")]
        story.kill(1).start(1, Stop.UNCLEAN)
        self.assertEqual(story.leaders("orders"), [1, 1])
        for old, partition in zip(before, story.partitions("orders"), strict=True):
            self.assertGreater(partition.leader_epoch, old)


class TestWhole(unittest.TestCase):
    def test_when_each_server_knows_that_all_take_part(self) -> None:
        story = Story(0).tell_members(wanted=frozenset({1, 2}))
        self.assertFalse(story.queue.is_whole())
        story.start(1)
        self.assertFalse(story.queue.is_whole())
        story.start(2)
        self.assertFalse(story.queue.is_whole(), "server 1 would list itself alone")
        story.sync(1)
        self.assertFalse(story.queue.is_whole(), "server 2 has yet to hear that it is one of them")
        story.sync(2)
        self.assertTrue(story.queue.is_whole())
        story.kill(1)
        self.assertFalse(story.queue.is_whole())

    def test_nobody_is_wanted(self) -> None:
        self.assertFalse(Story(0).queue.is_whole(), "who is wanted isn't known")
        self.assertTrue(Story(0).tell_members().queue.is_whole())


class TestEnds(unittest.TestCase):
    def test_all_partitions_of_a_dead_server_are_led_by_others_in_one_step(self) -> None:
        story = Story(3, settings=w.QueueSettings(replication=2))
        story.create("orders", 12)
        length = len(story.log)
        story.kill(1)
        self.assertNotIn(1, story.leaders("orders"))
        self.assertNotIn(NO_LEADER, story.leaders("orders"))
        notes = [note.reason for note in story.notes if note.kind == "leaders-elected"]
        self.assertEqual(len(notes), 1, "one note for all of them")
        self.assertGreater(len(story.log), length)

    def test_a_server_that_wants_to_stop_gives_away_what_others_can_lead(self) -> None:
        story = Story(2, settings=w.QueueSettings(replication=2))
        story.create("orders", 6)
        server = story.servers[1]
        answer = story.ask(w.Beat, 1, server.epoch, story.kept.version, wants_stop=True)
        self.assertTrue(answer["should_shut_down"])
        self.assertEqual(set(story.leaders("orders")), {2})
        partition = story.partitions("orders")[0]
        answer = story.alter(partition, (2, 1))
        self.assertEqual(answer["topics"][0]["partitions"][0]["error_code"], E.INELIGIBLE_REPLICA)

    def test_one_that_answers_nobody_gives_away_what_others_can_lead_and_keeps_the_rest(self) -> None:
        story = Story(3, settings=w.QueueSettings(replication=2))
        story.create("orders", 12)
        story.create("alone", 12, 1)
        story.create("safe", 12, 2, configs=(("min.insync.replicas", "2"),))
        alone, safe = story.leaders("alone"), story.leaders("safe")
        story.send(w.Muted(1, True))
        self.assertNotIn(1, story.leaders("orders"))
        self.assertEqual(story.leaders("alone"), alone)
        self.assertEqual(story.leaders("safe"), safe, "too few would be in sync")
        (partition, *_) = [p for p in story.partitions("orders") if 1 in p.replicas]
        answer = story.alter(partition, (*partition.isr, 1))
        self.assertEqual(answer["topics"][0]["partitions"][0]["error_code"], E.INELIGIBLE_REPLICA)
        story.send(w.Muted(1, False)).run()
        self.assertTrue(all(len(p.isr) == 2 for p in story.partitions("orders")))

    def test_one_that_answers_nobody_leads_on_where_nobody_else_can(self) -> None:
        story = Story(2, settings=w.QueueSettings(replication=2))
        story.create("orders", 6)
        story.kill(2).send(w.Muted(1, True))
        story.start(2)
        self.assertEqual(set(story.leaders("orders")), {1}, "2 is back, and not in sync yet")
        story.kill(1)
        story.start(1).run()
        self.assertNotIn(NO_LEADER, story.leaders("orders"))

    def test_who_is_over_is_told_so(self) -> None:
        story = Story(1)
        epoch = story.servers[1].epoch
        self.assertEqual(story.ask(w.Beat, 1, epoch - 1, 0), E.STALE_BROKER_EPOCH)
        self.assertEqual(story.ask(w.AllocateIds, 5, 1), E.BROKER_ID_NOT_REGISTERED)
        story.kill(1)
        self.assertEqual(story.ask(w.Beat, 1, epoch, story.kept.version), E.STALE_BROKER_EPOCH)


class TestIsr(unittest.TestCase):
    def setUp(self) -> None:
        self.story = Story(3, settings=w.QueueSettings(replication=2))
        self.story.create("orders", 1)
        (self.partition,) = self.story.partitions("orders")

    def code(self, isr: tuple[int, ...], **fields: Any) -> E:
        return self.story.alter(self.partition, isr, **fields)["topics"][0]["partitions"][0]["error_code"]

    def test_in_kafka_s_order(self) -> None:
        leader, other = self.partition.replicas
        (stranger,) = {1, 2, 3} - {leader, other}
        epochs = {"leader_epoch": self.partition.leader_epoch, "partition_epoch": self.partition.partition_epoch}
        self.assertEqual(self.code((leader,), leader_epoch=epochs["leader_epoch"] + 1), E.NOT_CONTROLLER)
        self.assertEqual(self.code((other,), leader=other), E.FENCED_LEADER_EPOCH)
        self.assertEqual(self.code((leader, stranger)), E.INVALID_REQUEST)
        self.assertEqual(self.code((other,)), E.INVALID_REQUEST)
        self.assertEqual(self.code((leader,)), E.NONE)
        self.assertEqual(self.code((leader, other)), E.INVALID_UPDATE_VERSION)

    def test_who_joins_must_be_who_it_was_and_live(self) -> None:
        leader, other = self.partition.replicas
        self.assertEqual(self.code((leader,)), E.NONE)
        (self.partition,) = self.story.partitions("orders")
        members = ((leader, -1), (other, self.story.kept.brokers[other].epoch - 1))
        self.assertEqual(self.code((leader, other), members=members), E.INELIGIBLE_REPLICA)
        self.story.kill(other)
        self.assertEqual(self.code((leader, other)), E.INELIGIBLE_REPLICA)


class TestDisk(unittest.TestCase):
    def test_blocks_of_producer_ids_never_overlap(self) -> None:
        story = Story(2)
        epochs = {node: server.epoch for node, server in story.servers.items()}
        starts = [story.ask(w.AllocateIds, node, epochs[node])["producer_id_start"] for node in (1, 2, 1)]
        self.assertEqual(starts, [0, PRODUCER_IDS, 2 * PRODUCER_IDS])

    def test_an_end_that_could_not_be_committed_is_made_up_for(self) -> None:
        story = Story(2)
        story.disk = False
        story.kill(1)
        self.assertTrue(story.kept.is_live(1))
        self.assertEqual(story.queue.deadline(), story.now + RETRY_S)
        story.disk = True
        story.send(w.Tick())
        self.assertFalse(story.kept.is_live(1))

    def test_before_it_knows_the_fleet_it_decides_nothing(self) -> None:
        queue = Queue(Image(1, 1), w.QueueSettings(), lambda: "0" * 32)
        (effect,) = queue.step(w.AllocateIds(5, 1, 1), 0.0).effects
        self.assertEqual(effect, w.Refuse(5, E.NOT_CONTROLLER, "control is starting"))


class TestLost(unittest.TestCase):
    """R5: servers know more than control."""

    def check(self, story: Story) -> None:
        self.assertTrue(story.queue.lost)
        self.assertTrue(story.queue.view()["lost"])
        self.assertIn("queue-state-lost", story.kinds())
        request = next(story.numbers)
        (effect,) = story.queue.step(w.AllocateIds(request, 1, 1), story.now).effects
        self.assertEqual(effect, w.Refuse(request, E.NOT_CONTROLLER, LOST))
        self.assertEqual(story.queue.holders(), story.members.wanted, "any of them may hold something")

    def empty(self) -> Story:
        story = Story(0)
        story.tell_members(wanted=frozenset({1, 2}))
        return story

    def register(self, story: Story, node_id: int, previous: int) -> Any:
        return story.ask(w.Registered, node_id, "1" * 32, f"{node_id:032x}", previous, Stop.CLEAN, {})

    def test_a_server_with_an_epoch_meets_an_empty_control(self) -> None:
        story = self.empty()
        self.assertEqual(self.register(story, 1, 7), E.NOT_CONTROLLER)
        self.assertEqual(story.log, [])
        self.check(story)

    def test_also_behind_a_new_one_whose_epoch_is_no_lower(self) -> None:
        story = self.empty()
        self.register(story, 2, -1)
        self.assertEqual(self.register(story, 1, 1), E.NOT_CONTROLLER)
        self.check(story)

    def test_one_that_this_control_has_granted_may_be_forgotten_and_come_again(self) -> None:
        story = Story(2)
        epoch = story.servers[1].epoch
        story.leave(1).part(1)
        self.assertNotIn(1, story.kept.brokers)
        story.tell_members(wanted=frozenset({1, 2}))
        self.assertIsInstance(self.register(story, 1, epoch), dict)
        self.assertFalse(story.queue.lost)

    def test_a_server_that_has_applied_more_than_there_is(self) -> None:
        story = Story(2)
        story.send(w.Applied(1, story.servers[1].incarnation, story.kept.version + 1))
        self.check(story)

    def test_a_state_that_can_t_be_read(self) -> None:
        queue = Queue(Image(3), w.QueueSettings(), lambda: "0" * 32, lost=True)
        self.assertTrue(queue.lost)


if __name__ == "__main__":
    unittest.main()
