"""Stories of health: heartbeats that fail, once and for good, and who is to blame."""

import unittest

from support.story import Story

from loadbalancer.health import ALIVE_S, KILL_S, falls_within


class TestFrozen(unittest.TestCase):
    def test_it_is_suspected_ejected_killed_and_replaced_in_this_order(self) -> None:
        story = Story().up()
        frozen_at = story.now
        story.freeze("server2").run(2.5)
        self.assertEqual(story.story_of("server2"), ["starting", "healthy", "suspect", "dead"])
        self.assertEqual(story.killed, ["server2"])
        self.assertEqual(story.routable(), ["server1", "server4", "server3"])
        self.assertLess(story.when("healthy", "server4") - frozen_at, 2.5)
        self.assertNotIn("server2", story.living)

    def test_it_is_out_of_routing_before_it_is_killed(self) -> None:
        story = Story().up()
        story.freeze("server2")
        while not story.killed:
            story.run(0.01)
        self.assertEqual(story.routable(), ["server1", "server3"])

    def test_its_place_is_not_filled_before_its_end_is_proven(self) -> None:
        story = Story().up()
        story.freeze("server2")
        story.ended = lambda name, reason: None  # the runtime's word is lost
        story.run(12)
        self.assertEqual(len(story.spawned), 3)
        self.assertGreaterEqual(story.killed.count("server2"), 2, "and it is asked for again")
        story.kill("server2").run(1)
        self.assertEqual(story.names(), ["server1", "server4", "server3"])

    def test_one_that_thaws_in_time_stays(self) -> None:
        story = Story().up()
        story.freeze("server2")
        while story.state("server2") != "suspect":
            story.run(0.01)
        self.assertEqual(story.routable(), ["server1", "server2", "server3"], "a suspect still serves")
        story.frozen.clear()
        story.run(2)
        self.assertEqual(story.story_of("server2"), ["starting", "healthy", "suspect", "healthy"])
        self.assertEqual(len(story.spawned), 3)


class TestUnwell(unittest.TestCase):
    def test_one_that_runs_but_fails_its_heartbeat_is_replaced(self) -> None:
        story = Story().up().run(10)
        story.unwell.add(2)
        story.run(1.1)
        self.assertEqual(story.killed, ["server2"])
        story.unwell.clear()
        story.run(1)
        self.assertEqual(story.routable(), ["server1", "server4", "server3"])

    def test_fall_is_a_setting(self) -> None:
        story = Story(fall=5).up()
        story.unwell.add(2)
        story.run(1.6)
        self.assertEqual(story.killed, [])
        story.run(1.5)
        self.assertEqual(story.killed, ["server2"])

    def test_rise_is_a_setting(self) -> None:
        story = Story(rise=10).start(cold=True).run(0.6)
        self.assertEqual(story.routable(), [])
        story.run(1)
        self.assertEqual(len(story.routable()), 3)

    def test_one_that_never_gets_healthy_is_killed_and_replaced_ever_more_rarely(self) -> None:
        story = Story(start_timeout_s=5).up().run(10)
        story.unwell.add(2)
        story.kill("server2").run(30)
        lives = [spec.name for spec in story.spawned if spec.node_id == 2]
        self.assertIn(len(lives), (5, 6))
        self.assertEqual(story.routable(), ["server1", "server3"])
        self.assertEqual(len(story.living), 3)


class TestWithTheQueue(unittest.TestCase):
    """R7: what holds data is out of routing as soon as anything else, but not killed for being slow."""

    def story(self) -> Story:
        return Story(queue=True, kill_fall=falls_within(KILL_S, 0.5, 2), alive_fall=falls_within(ALIVE_S, 0.5, 2)).up()

    def test_silence_takes_it_out_of_routing_and_two_seconds_of_it_end_it(self) -> None:
        story = self.story()
        story.freeze("server2").run(1.5)
        self.assertEqual((story.routable(), story.killed), (["server1", "server3"], []))
        self.assertEqual((story.state("server2"), story.told_mute, story.told_ends), ("suspect", [(2, True)], []))
        story.run(1.5)
        self.assertEqual((story.killed, story.told_ends), (["server2"], [2]))
        self.assertEqual(story.told_mute[-1], (2, False))
        story.run(1)
        self.assertEqual(len(story.routable()), 3)

    def test_one_that_answers_again_goes_on_where_it_was(self) -> None:
        story = self.story()
        story.freeze("server2").run(1.5)
        story.frozen.clear()
        story.run(1)
        self.assertEqual((story.routable(), story.killed), (["server1", "server2", "server3"], []))
        self.assertEqual(story.told_mute, [(2, True), (2, False)])

    def test_one_that_is_heard_otherwise_has_five_times_as_long(self) -> None:
        story = self.story()
        story.alive.add("server2")
        story.freeze("server2").run(9)
        self.assertEqual((story.routable(), story.killed), (["server1", "server3"], []))
        story.run(2.5)
        self.assertEqual(story.killed, ["server2"])

    def test_one_end_at_a_time(self) -> None:
        story = self.story()
        ended, story.ended = story.ended, lambda name, reason: None  # ends take their time
        for name in ("server1", "server2", "server3"):
            story.freeze(name)
        story.run(4)
        self.assertEqual((len(set(story.killed)), story.routable()), (1, []))
        story.ended = ended
        story.run(15)
        self.assertEqual(len(story.routable()), 3)

    def test_how_many_failures_span_a_time(self) -> None:
        self.assertEqual([falls_within(2.0, interval, 2) for interval in (0.5, 0.3, 5.0)], [5, 8, 2])


class TestOurOwnFault(unittest.TestCase):
    def test_failures_while_our_loop_lagged_count_for_nothing(self) -> None:
        story = Story().up()
        story.late = True
        for name in ("server1", "server2", "server3"):
            story.freeze(name)
        story.run(10)
        self.assertEqual(len(story.routable()), 3)
        story.frozen.clear()
        story.late = False
        story.run(5)
        self.assertEqual((len(story.spawned), story.killed), (3, []))
