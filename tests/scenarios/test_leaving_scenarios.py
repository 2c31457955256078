"""Stories of replicas that hold the queue's data and leave: first the data, then they."""

import unittest

from support.story import Story

from loadbalancer.fleet_words import Holdings


class TestLeaving(unittest.TestCase):
    def story(self, **settings: float) -> Story:
        return Story(queue=True, **settings).up().send(Holdings(frozenset({1, 2, 3}), frozenset()))

    def test_a_leaver_goes_when_it_holds_nothing_any_more(self) -> None:
        story = self.story()
        command = story.rm(1, "server3")
        story.run(60)
        self.assertEqual((story.state("server3"), story.names()), ("healthy", ["server1", "server2"]))
        self.assertEqual((story.stopped, story.fleet.target()), ([], 2))
        self.assertEqual(story.fleet.nodes(), (frozenset({1, 2}), frozenset({3}), frozenset()))
        story.send(Holdings(frozenset({1, 2}), frozenset({3}))).run(1)
        self.assertEqual(story.answers[command].status, 200)
        self.assertEqual((story.stopped, story.discarded), (["server3"], [3]))

    def test_that_it_holds_nothing_counts_only_when_the_queue_knows_that_it_leaves(self) -> None:
        story = self.story()
        story.rm(1, "server3")
        story.send(Holdings(frozenset({1, 2}), frozenset())).run(5)
        self.assertEqual(story.stopped, [])

    def test_one_that_dies_meanwhile_is_replaced_on_its_data(self) -> None:
        story = self.story()
        story.rm(1, "server3")
        story.kill("server3").run(1)
        self.assertEqual(story.told_ends, [3])
        (row,) = [row for row in story.rows() if row["node_id"] == 3]
        self.assertEqual(row["state"], "healthy")
        self.assertEqual(story.discarded, [])
        story.send(Holdings(frozenset({1, 2}), frozenset({3}))).run(1)
        self.assertEqual(story.discarded, [3])

    def test_who_waits_too_long_is_told_and_it_leaves_all_the_same(self) -> None:
        story = self.story(leave_timeout_s=20)
        command = story.rm(1, "server3")
        story.run(21)
        text = "<Error> server3 was still giving partitions away, and removed when that is done"
        self.assertEqual((story.answers[command].status, story.answers[command].message), (503, text))
        self.assertEqual(story.stopped, [])
        story.send(Holdings(frozenset({1, 2}), frozenset({3}))).run(1)
        self.assertEqual(story.discarded, [3])

    def test_the_last_holders_stay(self) -> None:
        story = self.story()
        command = story.rm(3)
        story.run(1)
        self.assertEqual(story.answers[command].status, 400)
        self.assertEqual(story.fleet.target(), 3)

    def test_all_may_go_if_none_holds_anything(self) -> None:
        story = Story(queue=True).up().send(Holdings(frozenset(), frozenset()))
        command = story.rm(3)
        story.send(Holdings(frozenset(), frozenset({1, 2, 3}))).run(2)
        self.assertEqual(story.answers[command].status, 200)

    def test_a_new_control_remembers_who_leaves(self) -> None:
        story = self.story()
        story.rm(1, "server3")
        story.kill_control().start(cold=False).run(1)
        self.assertEqual(story.fleet.nodes()[1], frozenset({3}))
        story.send(Holdings(frozenset({1, 2}), frozenset({3}))).run(2)
        self.assertEqual(story.discarded, [3])

    def test_a_dead_place_that_holds_data_waits_for_its_replacement(self) -> None:
        story = self.story()
        story.unspawnable.add(3)
        story.kill("server3").run(1)
        story.rm(1)
        story.run(40)
        self.assertEqual(story.discarded, [])
        story.unspawnable.clear()
        story.run(31)
        self.assertEqual(story.discarded, [])
        story.send(Holdings(frozenset({1, 2}), frozenset({3}))).run(1)
        self.assertEqual(story.discarded, [3])


if __name__ == "__main__":
    unittest.main()
