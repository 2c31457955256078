"""The mover, through the controller that drives it (how much moves: test_queue_laws.py)."""

import unittest

from support.queue_story import Story

from loadbalancer.queue_words import QueueSettings
from wire.cluster import NO_LEADER


class TestMover(unittest.TestCase):
    def test_a_few_at_once(self) -> None:
        story = Story(1, settings=QueueSettings(max_moves=2))
        story.create("orders", 40)
        story.join(2)
        moves = story.queue.view()["moves"]
        self.assertEqual(moves["under_way"], 2)
        self.assertGreater(moves["waiting"], 5)
        self.assertEqual(sum(bool(p.adding) for p in story.partitions("orders")), 2)
        story.run(2000)
        self.assertEqual(story.queue.view()["moves"], {"under_way": 0, "waiting": 0})

    def test_the_newcomer_leads_when_it_is_in_sync_and_not_before(self) -> None:
        story = Story(1, settings=QueueSettings(max_moves=1))
        story.create("orders", 8)
        story.join(2)
        (moving,) = [p for p in story.partitions("orders") if p.adding]
        self.assertEqual((moving.leader, moving.isr, moving.removing), (1, (1,), (1,)))
        story.catch_up(moving)
        moved = story.kept.partitions[moving.key]
        self.assertEqual((moved.leader, moved.isr, moved.replicas, moved.adding), (2, (2,), (2,), ()))
        self.assertGreater(moved.leader_epoch, moving.leader_epoch)

    def test_a_leaver_gives_all_away_and_the_last_holder_nothing(self) -> None:
        story = Story(2)
        story.create("orders", 10)
        story.leave(1)
        self.assertIn(1, story.queue.holders())
        story.run(2000)
        self.assertEqual((story.on(1), set(story.leaders("orders"))), (0, {2}))
        story.leave(2).run(2000)
        self.assertEqual(story.on(2), 10, "there is nobody to take it")

    def test_a_move_towards_a_server_that_leaves_itself_is_called_off(self) -> None:
        story = Story(1)
        story.create("orders", 8)
        before = story.leaders("orders")
        story.join(2)
        self.assertTrue(any(p.adding for p in story.partitions("orders")))
        story.leave(2)
        self.assertFalse(any(p.adding for p in story.partitions("orders")))
        self.assertEqual(story.leaders("orders"), before)

    def test_who_died_on_the_way_is_waited_for(self) -> None:
        story = Story(1, settings=QueueSettings(max_moves=1))
        story.create("orders", 8)
        story.join(2)
        story.kill(2).run(2000)
        self.assertNotIn(NO_LEADER, story.leaders("orders"))
        story.start(2).run(2000)
        self.assertGreater(story.on(2), 0)

    def test_topics_get_the_replicas_that_they_wish_for_as_servers_join(self) -> None:
        story = Story(1, settings=QueueSettings(replication=2))
        story.create("orders", 3)
        self.assertEqual({len(p.replicas) for p in story.partitions("orders")}, {1})
        story.join(2).run(2000)
        self.assertEqual({frozenset(p.isr) for p in story.partitions("orders")}, {frozenset({1, 2})})

    def test_a_newcomer_gets_its_share_once(self) -> None:
        story = Story(2)
        story.create("orders", 20)
        story.run(2000)
        self.assertTrue(all(broker.welcomed for broker in story.kept.brokers.values()))
        before = story.leaders("orders")
        story.kill(1).start(1).run(2000)
        self.assertEqual(story.leaders("orders"), before)


if __name__ == "__main__":
    unittest.main()
