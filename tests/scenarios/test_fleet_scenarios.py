"""Stories of the fleet, to be read: what happens to it, and what it makes of it. The clock is the story's
own."""

import unittest
from itertools import pairwise

from support.story import Story

from loadbalancer.fleet_words import (
    Started,
)
from loadbalancer.instances import Instance


class TestStart(unittest.TestCase):
    def test_a_first_start_brings_three_replicas(self) -> None:
        story = Story().up()
        self.assertEqual(story.names(), ["server1", "server2", "server3"])
        self.assertEqual(story.routable(), ["server1", "server2", "server3"])
        self.assertEqual([story.seat(name) for name in story.names()], [(1, 1), (2, 2), (3, 3)])
        self.assertEqual(story.story_of("server1"), ["starting", "healthy"])

    def test_a_fleet_of_none_is_a_fleet(self) -> None:
        story = Story(replicas=0).up()
        self.assertEqual(story.fleet.replicas(), {"N": 0, "replicas": []})
        self.assertEqual(story.published, [()])
        self.assertIsNone(story.fleet.deadline())


class TestCrash(unittest.TestCase):
    def test_a_killed_replica_is_replaced_under_a_new_name_in_its_old_seat(self) -> None:
        story = Story().up()
        seat = story.seat("server2")
        story.kill("server2")
        self.assertEqual(story.routable(), ["server1", "server3"])
        story.run(0.5)
        self.assertEqual(story.names(), ["server1", "server4", "server3"])
        self.assertEqual(story.routable(), ["server1", "server4", "server3"])
        self.assertEqual(story.seat("server4"), seat)
        self.assertEqual(story.story_of("server2"), ["starting", "healthy", "dead"])
        self.assertIn("replaces server2", [note.reason for _, note in story.notes])

    def test_a_killed_replica_is_published_before_its_replacement_is_asked_for(self) -> None:
        story = Story().up()
        before = len(story.published)
        story.kill("server2")
        self.assertEqual(len(story.published), before + 1)
        dead = next(member for member in story.published[-1] if member.node_id == 2)
        self.assertEqual((dead.routable, dead.host, dead.port), (False, "", 0))

    def test_all_of_them_killed_at_once_all_come_back(self) -> None:
        story = Story().up()
        story.kill("server1").kill("server2").kill("server3").run(1)
        self.assertEqual(story.routable(), ["server4", "server5", "server6"])
        self.assertEqual(len(story.living), 3)

    def test_the_same_end_told_twice_costs_one_replacement(self) -> None:
        story = Story().up()
        word = story.end("server1", "killed by SIGKILL")
        story.send(word).send(word).run(1).send(word).run(1)
        self.assertEqual(story.names(), ["server4", "server2", "server3"])
        self.assertEqual(len(story.spawned), 4)

    def test_names_that_people_have_taken_are_passed_over(self) -> None:
        story = Story().up()
        story.add(1, "SERVER4")
        story.run(1).kill("server1").run(1)
        self.assertEqual(story.names(), ["server5", "server2", "server3", "SERVER4"])


class TestCrashLoop(unittest.TestCase):
    def test_it_backs_off_is_noted_and_hurts_nobody_else(self) -> None:
        story = Story().up().run(20)
        story.crashing.add(2)
        story.kill("server2").run(120)
        self.assertEqual(story.routable(), ["server1", "server3"])
        tries = [at for at, note in story.notes if note.kind == "crash-loop"]
        gaps = [round(later - earlier - 0.15, 3) for earlier, later in pairwise(tries)]
        self.assertEqual(gaps, [0.5, 1, 2, 4, 8, 16, 30, 30])
        reasons = [note.reason for _, note in story.notes if note.kind == "crash-loop"]
        self.assertEqual(reasons[0], "2 deaths in a row, next try in 0.5 s: exit code 1")
        self.assertEqual([spec.node_id for spec in story.spawned[3:]], [2] * len(tries))

    def test_one_that_serves_each_time_is_back_within_a_second_however_often_it_dies(self) -> None:
        """Somebody with kill -9: what only this node holds is away meanwhile."""
        story = Story().up().run(20)
        for _ in range(10):
            (name,) = [name for name in story.names() if story.seat(name) == (2, 2)]
            story.kill(name).run(2)
            self.assertEqual(len(story.routable()), 3)
        self.assertEqual(len([note for _, note in story.notes if note.kind == "crash-loop"]), 9)

    def test_one_that_recovers_is_forgiven_after_ten_healthy_seconds(self) -> None:
        story = Story().up().run(20)
        story.crashing.add(2)
        story.kill("server2").run(5)
        story.crashing.clear()
        story.run(30)
        (healed,) = [name for name in story.names() if story.seat(name) == (2, 2)]
        spawned = len(story.spawned)
        story.kill(healed)
        self.assertEqual(len(story.spawned), spawned + 1, "replaced at once")

    def test_a_runtime_that_can_not_start_it_is_asked_again_ever_more_rarely(self) -> None:
        story = Story().up().run(20)
        story.unspawnable.add(1)
        story.kill("server1").run(10)
        self.assertEqual(story.names(), ["server2", "server3"])
        self.assertEqual(story.fleet.replicas()["N"], 3)
        self.assertLess(len(story.spawned), 10)
        story.unspawnable.clear()
        story.run(31)
        self.assertEqual(len(story.routable()), 3)


class TestAdd(unittest.TestCase):
    def test_newcomers_are_answered_for_when_they_are_healthy(self) -> None:
        story = Story().up()
        command = story.add(4, "S5", "S4")
        self.assertNotIn(command, story.answers)
        story.run(1)
        names = ["server1", "server2", "server3", "S5", "S4", "server4", "server5"]
        answer = story.answers[command]
        self.assertEqual((answer.status, answer.message), (200, {"N": 7, "replicas": names}))
        self.assertEqual(story.routable(), names)

    def test_nobody_is_sent_to_a_newcomer_before_all_are_ready(self) -> None:
        story = Story().up()
        story.unwell.add(5)
        story.add(2, "quick", "slow")
        story.run(5)
        self.assertEqual(story.state("quick"), "healthy")
        self.assertEqual(len(story.routable()), 3)
        self.assertEqual(story.fleet.replicas()["N"], 3)
        story.unwell.clear()
        story.run(1)
        self.assertEqual(story.routable()[3:], ["quick", "slow"])

    def test_one_that_exits_fails_the_add_at_once_and_all_are_taken_back(self) -> None:
        story = Story().up()
        story.crashing.add(5)
        command = story.add(2, "good", "bad")
        story.run(1)
        answer = story.answers[command]
        reason = "<Error> bad exited before it was healthy: exit code 1"
        self.assertEqual((answer.status, answer.message, answer.ok), (503, reason, False))
        self.assertEqual(story.names(), ["server1", "server2", "server3"])
        self.assertEqual(sorted(story.living), ["server1", "server2", "server3"])
        again = story.add(2, "good", "bad")
        story.run(1)
        self.assertEqual(story.answers[again].status, 200, "its names are free again")

    def test_one_that_can_not_be_spawned_fails_the_add(self) -> None:
        story = Story().up()
        story.unspawnable.add(4)
        command = story.add(1)
        story.run(1)
        self.assertEqual(story.answers[command].status, 503)
        self.assertIn("no such image", str(story.answers[command].message))
        self.assertEqual(len(story.rows()), 3)

    def test_one_that_never_gets_healthy_is_waited_for_with_a_bound(self) -> None:
        story = Story(start_timeout_s=5).up()
        story.unwell.add(4)
        command = story.add(1, "lame")
        story.run(4.9)
        self.assertNotIn(command, story.answers)
        story.run(1)
        self.assertEqual(story.answers[command].message, "<Error> lame was not healthy within 5 s")
        self.assertNotIn("lame", story.living)

    def test_changes_are_carried_out_one_after_another(self) -> None:
        story = Story().up()
        first, second, third = story.add(1, "a"), story.rm(1, "a"), story.add(1, "a")
        story.run(3)
        self.assertEqual([story.answers[it].status for it in (first, second, third)], [200, 200, 200])
        self.assertEqual(story.names(), ["server1", "server2", "server3", "a"])

    def test_a_change_that_waits_too_long_is_refused_untouched(self) -> None:
        story = Story(start_timeout_s=100).up()
        story.unwell.add(4)
        story.add(1)
        late = story.rm(1)
        story.run(61)
        self.assertEqual(story.answers[late].status, 503)
        self.assertEqual(len(story.routable()), 3)

    def test_a_crash_during_an_add_is_mended_meanwhile(self) -> None:
        story = Story().up()
        story.unwell.add(4)
        command = story.add(1, "slow")
        story.run(1).kill("server1").run(1)
        self.assertEqual(story.routable(), ["server4", "server2", "server3"])
        self.assertNotIn(command, story.answers)
        story.unwell.clear()
        story.run(1)
        self.assertEqual(story.answers[command].status, 200)
        self.assertEqual(story.fleet.replicas()["N"], 4)


class TestRemove(unittest.TestCase):
    def test_the_named_go_and_the_rest_is_chosen_from_the_newest(self) -> None:
        story = Story(replicas=4).up()
        command = story.rm(2, "server1")
        self.assertEqual(story.routable(), ["server2", "server3"])
        story.run(1)
        self.assertEqual(story.answers[command].message, {"N": 2, "replicas": ["server2", "server3"]})
        self.assertEqual(sorted(story.living), ["server2", "server3"])
        self.assertEqual([member.node_id for member in story.published[-1]], [2, 3])

    def test_a_leaver_finishes_its_requests_first(self) -> None:
        story = Story().up()
        story.busy.add("server3")
        command = story.rm(1, "server3")
        story.run(29)
        self.assertEqual((story.stopped, story.state("server3")), ([], "draining"))
        self.assertNotIn(command, story.answers)
        story.run(2)
        self.assertEqual(story.stopped, ["server3"])
        self.assertEqual(story.answers[command].status, 200)
        self.assertEqual(story.discarded, [3])

    def test_a_leaver_that_crashes_while_it_drains_has_left(self) -> None:
        story = Story().up()
        story.busy.add("server3")
        command = story.rm(1, "server3")
        story.kill("server3")
        self.assertEqual(story.answers[command].status, 200)
        story.run(5)
        self.assertEqual(story.names(), ["server1", "server2"])

    def test_a_frozen_leaver_is_killed_in_the_end(self) -> None:
        story = Story().up()
        story.freeze("server3")
        command = story.rm(1, "server3")
        story.run(11)
        self.assertEqual(story.answers[command].status, 200)
        self.assertNotIn("server3", story.living)

    def test_a_dead_place_is_simply_taken_away(self) -> None:
        story = Story().up()
        story.unspawnable.add(1)
        story.kill("server1").run(2)
        command = story.rm(1)
        self.assertEqual(story.answers[command].message, {"N": 2, "replicas": ["server2", "server3"]})
        spawned = len(story.spawned)
        story.run(60)
        self.assertEqual(len(story.spawned), spawned)

    def test_the_drained_and_the_suspect_go_before_the_healthy(self) -> None:
        story = Story().up()
        story.drain("server1")
        story.rm(1)
        story.run(1)
        self.assertEqual(story.names(), ["server2", "server3"])

    def test_all_of_them_may_go(self) -> None:
        story = Story().up()
        command = story.rm(3)
        story.run(1)
        self.assertEqual(story.answers[command].message, {"N": 0, "replicas": []})
        self.assertEqual((story.published[-1], story.living), ((), {}))
        again = story.add(1)
        story.run(1)
        self.assertEqual(story.answers[again].message, {"N": 1, "replicas": ["server4"]})
        self.assertEqual(story.seat("server4"), (4, 4), "ids are never given twice")

    def test_a_crash_during_a_slow_removal_is_mended_meanwhile(self) -> None:
        story = Story().up()
        story.busy.add("server3")
        command = story.rm(1, "server3")
        story.kill("server1").run(1)
        self.assertEqual(story.routable(), ["server4", "server2"])
        self.assertNotIn(command, story.answers)

    def test_one_still_being_started_leaves_no_orphan(self) -> None:
        story = Story().up()
        story.kill("server2")
        command = story.rm(1)  # takes the one that is only being started
        self.assertEqual(story.answers[command].message, {"N": 2, "replicas": ["server1", "server3"]})
        story.run(1)
        self.assertEqual(sorted(story.living), ["server1", "server3"])


class TestOperator(unittest.TestCase):
    def test_drained_is_out_of_routing_not_stopped_until_undrained(self) -> None:
        story = Story().up()
        story.drain("server2")
        self.assertEqual(story.routable(), ["server1", "server3"])
        self.assertEqual(story.state("server2"), "draining")
        story.run(100)
        self.assertIn("server2", story.living)
        story.undrain("SERVER2")
        self.assertEqual(story.routable(), ["server1", "server2", "server3"])

    def test_a_drain_holds_for_the_place_over_a_crash(self) -> None:
        story = Story().up()
        story.drain("server2")
        story.kill("server2").run(1)
        self.assertEqual(story.state("server4"), "draining")
        self.assertEqual(story.routable(), ["server1", "server3"])

    def test_weights_are_of_the_place_too(self) -> None:
        story = Story().up()
        answer = story.answers[story.weigh("server2", 7)]
        self.assertEqual((answer.status, answer.ok), (200, True))
        self.assertIsInstance(answer.message, dict)
        story.kill("server2").run(1)
        self.assertEqual([member.weight for member in story.published[-1]], [1, 7, 1])

    def test_what_is_not_there_is_404_and_a_silly_weight_400(self) -> None:
        story = Story().up()
        self.assertEqual(story.answers[story.drain("nobody")].status, 404)
        self.assertEqual(story.answers[story.weigh("server1", 0)].status, 400)
        self.assertEqual(story.answers[story.weigh("server1", 101)].status, 400)


class TestControlRestart(unittest.TestCase):
    def test_nobody_who_lives_is_restarted(self) -> None:
        story = Story().up()
        before = dict(story.living)
        story.drain("server3")
        story.kill_control().start(cold=False)
        self.assertEqual(story.adopted, ["server1", "server2", "server3"])
        self.assertEqual(story.routable(), ["server1", "server2"])
        story.run(5)
        self.assertEqual(story.living, before)
        self.assertEqual(len(story.spawned), 3)

    def test_who_died_meanwhile_is_replaced(self) -> None:
        story = Story().up()
        story.kill_control()
        story.end("server2", "killed by SIGKILL")
        story.start(cold=False).run(1)
        self.assertEqual(story.names(), ["server1", "server4", "server3"])
        self.assertEqual(story.seat("server4"), (2, 2))

    def test_an_end_told_between_the_list_and_the_start_counts(self) -> None:
        story = Story().up()
        story.kill_control()
        found = tuple(story.living.values())
        story.send(story.end("server2", "killed by SIGKILL"))
        story.send(Started(found, cold=False)).run(1)
        self.assertEqual(story.names(), ["server1", "server4", "server3"])
        self.assertEqual(story.adopted, ["server1", "server3"])

    def test_newcomers_on_trial_are_leftovers_to_the_next_control(self) -> None:
        story = Story().up()
        story.unwell.add(4)
        story.add(1, "half")
        story.run(1).kill_control().start(cold=False).run(1)
        self.assertEqual(sorted(story.living), ["server1", "server2", "server3"])
        self.assertEqual(story.killed, ["half"])
        command = story.add(1, "half")
        story.run(1)
        self.assertEqual(story.answers[command].status, 200)
        self.assertEqual(story.seat("half"), (5, 5), "its ids were given out already")

    def test_a_removal_under_way_is_completed(self) -> None:
        story = Story().up()
        story.busy.add("server3")
        story.rm(1, "server3")
        story.kill_control().start(cold=False)
        self.assertEqual(story.routable(), ["server1", "server2"])
        story.run(31)
        self.assertEqual(sorted(story.living), ["server1", "server2"])

    def test_a_spawn_that_outlived_control_is_known_by_its_node_id(self) -> None:
        story = Story().up()
        story.kill("server2").run(0.0)
        spec = story.spawned[-1]
        story.kill_control()
        story.living[spec.name] = Instance(spec.name, spec.node_id, spec.index, "127.0.0.1", 9, "99:1", pid=99)
        story.born[spec.name] = story.now
        story.start(cold=False).run(1)
        self.assertEqual(story.names(), ["server1", "server4", "server3"])
        self.assertEqual((len(story.spawned), story.killed), (4, []))

    def test_a_stranger_on_a_place_is_gone_before_the_place_is_filled(self) -> None:
        story = Story().up()
        story.kill_control()
        story.end("server2", "killed by SIGKILL")
        story.living["old"] = Instance("old", 2, 2, "127.0.0.1", 9, "99:1", pid=99)
        story.start(cold=False)
        self.assertEqual((story.killed, len(story.spawned)), (["old"], 3))
        story.run(1)
        self.assertEqual(story.names(), ["server1", "server4", "server3"])

    def test_a_new_up_starts_the_recorded_ones_under_their_old_names(self) -> None:
        story = Story().up()
        story.add(1, "S9")
        story.run(1).rm(1, "server1")
        story.run(1)
        story.kill_control()
        story.living.clear()
        story.start(cold=True).run(1)
        self.assertEqual(story.names(), ["server2", "server3", "S9"])
        self.assertEqual([story.seat(name) for name in story.names()], [(2, 2), (3, 3), (4, 4)])

    def test_a_lost_record_makes_the_living_the_fleet(self) -> None:
        story = Story().up()
        story.kill("server1").run(1)
        lost = Story()
        lost.living, lost.born, lost.now = story.living, story.born, story.now
        lost.start(cold=False).run(2)
        self.assertEqual(lost.names(), ["server4", "server2", "server3"])
        self.assertEqual((lost.killed, lost.spawned), ([], []))
        lost.kill("server2").run(1)
        self.assertEqual(lost.names(), ["server4", "server1", "server3"])


class TestStatic(unittest.TestCase):
    def setUp(self) -> None:
        self.story = Story(respawns=False, weights=(("b:2", 5),))
        for number, name in enumerate(("a:1", "b:2"), 1):
            host, port = name.split(":")
            self.story.living[name] = Instance(name, number, number, host, int(port), name)
        self.story.start(cold=True).run(1)

    def test_backends_are_taken_as_they_are(self) -> None:
        self.assertEqual(self.story.routable(), ["a:1", "b:2"])
        self.assertEqual([member.weight for member in self.story.published[-1]], [1, 5])

    def test_a_dead_one_stays_in_the_layout_and_comes_back(self) -> None:
        self.story.away.add("a:1")
        self.story.run(2)
        self.assertEqual(self.story.routable(), ["b:2"])
        self.assertEqual(len(self.story.published[-1]), 2)
        self.story.run(1000)
        self.story.away.clear()
        self.story.run(1)
        self.assertEqual(self.story.routable(), ["a:1", "b:2"])
        self.assertEqual(self.story.seat("a:1"), (1, 1))
        self.assertEqual((self.story.spawned, self.story.killed), ([], []))

    def test_add_takes_in_what_answers_and_refuses_what_does_not(self) -> None:
        self.story.away.add("gone:4")
        good, absent = self.story.add(1, "c:3"), self.story.add(1, "gone:4")
        self.story.run(40)
        self.assertEqual(self.story.answers[good].message, {"N": 3, "replicas": ["a:1", "b:2", "c:3"]})
        self.assertEqual(self.story.answers[absent].status, 503)
        self.assertEqual(len(self.story.rows()), 3)

    def test_rm_forgets_after_the_drain_and_stops_nobody(self) -> None:
        command = self.story.rm(1, "a:1")
        self.story.run(1)
        self.assertEqual(self.story.answers[command].status, 200)
        self.assertEqual((self.story.names(), self.story.stopped), (["b:2"], []))

    def test_names_must_be_addresses_and_all_given(self) -> None:
        self.assertEqual(self.story.answers[self.story.add(1, "S5")].status, 400)
        self.assertEqual(self.story.answers[self.story.add(2, "c:3")].status, 400)

    def test_after_a_restart_of_control_what_was_added_is_still_there(self) -> None:
        self.story.add(1, "c:3")
        self.story.run(1).kill_control().start(cold=False)
        self.assertEqual(self.story.routable(), ["a:1", "b:2", "c:3"])

    def test_a_new_up_goes_by_the_setting_again(self) -> None:
        self.story.add(1, "c:3")
        self.story.run(1).kill_control()
        del self.story.living["a:1"]
        self.story.start(cold=True).run(1)
        self.assertEqual(self.story.routable(), ["b:2"])
        self.assertEqual(self.story.seat("b:2"), (2, 2))
