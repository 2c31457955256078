"""The mover, through the controller that drives it (how much moves: test_queue_laws.py)."""

import unittest

from support.queue_story import Story

from loadbalancer import queue_words as w
from loadbalancer.mover import AWAIT_S
from loadbalancer.placement import place
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

    def test_what_moves_to_a_server_that_is_to_leave_next_goes_on_from_there(self) -> None:
        story = Story(3, settings=QueueSettings(replication=2))
        story.create("orders", 20)
        story.run(2000)
        story.leave(3)
        self.assertTrue(any(2 in p.adding for p in story.partitions("orders")))
        story.leave(2).run(2000)
        self.assertEqual((story.on(3), story.on(2), story.on(1)), (0, 0, 20))

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

    def grown(self, *starts: int) -> Story:
        story = Story(2)
        story.create("orders", 60)
        story.run(2000)
        story.tell_members(wanted=frozenset({1, 2, 3, 4}))
        for node_id in starts:
            story.start(node_id).run(2000)
        return story

    def test_newcomers_of_one_add_get_their_shares_together_and_nothing_moves_twice(self) -> None:
        for first, second in ((3, 4), (4, 3)):
            story = self.grown(first)
            self.assertEqual(story.on(first), 0, "the other is still to come, and may be whom the ring wants")
            before, begun = story.leaders("orders"), len(story.log)
            story.start(second).run(2000)
            after = story.leaders("orders")
            wanted = [place("orders", number, {1, 2, 3, 4}, 1)[0] for number in range(60)]
            self.assertEqual(after, wanted)
            moves = [record for record in story.log[begun:] if record["type"] == "partition" and record["adding"]]
            self.assertEqual(len(moves), sum(old != new for old, new in zip(before, after, strict=True)))

    def test_but_nobody_waits_for_one_that_does_not_come(self) -> None:
        story = self.grown(3)
        due = story.queue.deadline()
        assert due is not None and due <= story.now + AWAIT_S
        story.now = due
        story.send(w.Tick()).run(2000)
        self.assertGreater(story.on(3), 10)
        self.assertIsNone(story.queue.deadline())
        story.start(4).run(2000)
        self.assertGreater(story.on(4), 5)

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
