"""Stories of the queue's controller, to be read: what happens to servers and topics, and what becomes of them."""

import unittest

from support.queue_story import Story

from loadbalancer import queue_words as w
from wire.cluster_link import Stop
from wire.errors import ErrorCode as E


class TestStart(unittest.TestCase):
    def test_servers_register_and_take_part_when_they_have_seen_that_they_did(self) -> None:
        story = Story(0)
        story.tell_members(wanted=frozenset({1}))
        answer = story.ask(w.Registered, 1, "a" * 32, "b" * 32, -1, Stop.CLEAN, {})
        self.assertEqual(answer, {"error_code": 0, "broker_epoch": story.kept.brokers[1].epoch})
        self.assertFalse(story.kept.is_live(1))
        story.send(w.Applied(1, "a" * 32, story.kept.version))
        self.assertTrue(story.kept.is_live(1))

    def test_a_registration_repeated_gets_the_same_epoch_and_changes_nothing(self) -> None:
        story = Story(1)
        version, server = story.kept.version, story.servers[1]
        self.assertEqual(story.register(1, Stop.CLEAN, server.epoch)["broker_epoch"], server.epoch)
        self.assertEqual(story.kept.version, version)

    def test_a_stranger_is_refused(self) -> None:
        story = Story(1)
        answer = story.ask(w.Registered, 9, "a" * 32, "b" * 32, -1, Stop.CLEAN, {})
        self.assertIs(answer, E.INVALID_REGISTRATION)

    def test_before_the_fleet_is_known_nobody_is_answered(self) -> None:
        story = Story(0)
        self.assertIs(story.ask(w.Registered, 1, "a" * 32, "b" * 32, -1, Stop.CLEAN, {}), E.NOT_CONTROLLER)

    def test_producer_ids_come_in_blocks_and_never_twice(self) -> None:
        story = Story(2)
        starts = [story.ask(w.AllocateIds, node, story.servers[node].epoch)["producer_id_start"] for node in (1, 2, 1)]
        story.restart_control()
        starts.append(story.ask(w.AllocateIds, 1, story.servers[1].epoch)["producer_id_start"])
        self.assertEqual(starts, [0, 1000, 2000, 3000])
        self.assertIs(story.ask(w.AllocateIds, 1, 99), E.STALE_BROKER_EPOCH)


class TestTopics(unittest.TestCase):
    def test_a_topic_is_spread_and_answered_when_its_leaders_serve(self) -> None:
        story = Story(3)
        request = story.ask(w.CreateTopics, (w.NewTopic("orders", 12),), 30.0)
        self.assertIsInstance(request, int)
        for node in sorted(set(story.leaders("orders"))):
            self.assertNotIn(request, story.answers)
            story.sync(node)
        made = story.answers[request]["topics"][0]
        self.assertEqual((made["error_code"], made["num_partitions"], made["replication_factor"]), (0, 12, 1))
        self.assertEqual(set(story.leaders("orders")), {1, 2, 3})
        self.assertIn("topic-created", story.kinds())

    def test_a_leader_that_never_comes_round_holds_up_the_answer_for_five_seconds(self) -> None:
        story = Story(1)
        request = story.ask(w.CreateTopics, (w.NewTopic("orders"),), 30.0)
        deadline = story.queue.deadline()
        assert deadline is not None
        self.assertEqual(deadline, story.now + 5)
        story.now = deadline
        story.send(w.Tick())
        self.assertIn(request, story.answers)

    def test_names_that_are_there_are_refused_and_so_is_what_makes_no_sense(self) -> None:
        story = Story(2)
        story.create("orders")
        cases = [
            (w.NewTopic("orders"), E.TOPIC_ALREADY_EXISTS),
            (w.NewTopic("a b"), E.INVALID_TOPIC_EXCEPTION),
            (w.NewTopic("x", 0), E.INVALID_PARTITIONS),
            (w.NewTopic("x", 1, 3), E.INVALID_REPLICATION_FACTOR),
            (w.NewTopic("x", assignments=((1, (1,)),)), E.INVALID_REPLICA_ASSIGNMENT),
            (w.NewTopic("x", assignments=((0, (7,)),)), E.INVALID_REPLICA_ASSIGNMENT),
            (w.NewTopic("x", 10_001), E.INVALID_PARTITIONS),
        ]
        for topic, code in cases:
            answer = story.ask(w.CreateTopics, (topic,), 30.0)
            self.assertIs(answer["topics"][0]["error_code"], code, topic)
        self.assertEqual(list(story.kept.topics), ["orders"])

    def test_dots_and_underscores_are_one_in_metrics_so_they_collide(self) -> None:
        story = Story(1)
        story.create("a.b")
        self.assertIs(story.create("a_b")["error_code"], E.INVALID_TOPIC_EXCEPTION)

    def test_validate_only_validates_only(self) -> None:
        story = Story(1)
        self.assertEqual(story.create("orders", validate_only=True)["error_code"], 0)
        self.assertEqual(dict(story.kept.topics), {})

    def test_with_an_assignment_everything_lies_where_it_says(self) -> None:
        story = Story(3)
        story.create("orders", assignments=((0, (3, 1)), (1, (2, 3))))
        self.assertEqual([p.replicas for p in story.partitions("orders")], [(3, 1), (2, 3)])
        self.assertEqual(story.leaders("orders"), [3, 2])

    def test_more_partitions_and_never_fewer(self) -> None:
        story = Story(2)
        story.create("orders", 2)
        before = story.partitions("orders")
        answer = story.ask(w.CreatePartitions, (w.MorePartitions("orders", 5),), 30.0)
        story.run()
        self.assertEqual(story.answers[answer]["results"][0]["error_code"], 0)
        self.assertEqual(story.partitions("orders")[:2], before)
        self.assertEqual(len(story.partitions("orders")), 5)
        answer = story.ask(w.CreatePartitions, (w.MorePartitions("orders", 5),), 30.0)
        self.assertIs(answer["results"][0]["error_code"], E.INVALID_PARTITIONS)

    def test_a_topic_deleted_and_made_again_has_another_id(self) -> None:
        story = Story(1)
        first = story.create("orders")["topic_id"]
        answer = story.ask(w.DeleteTopics, ((None, first.hex()),), 30.0)
        self.assertEqual(answer["responses"][0]["name"], "orders")
        self.assertEqual(dict(story.kept.partitions), {})
        self.assertNotEqual(story.create("orders")["topic_id"], first)
        answer = story.ask(w.DeleteTopics, (("none", None), (None, first.hex())), 30.0)
        codes = [row["error_code"] for row in answer["responses"]]
        self.assertEqual(codes, [E.UNKNOWN_TOPIC_OR_PARTITION, E.UNKNOWN_TOPIC_ID])

    def test_kafkas_own_topics_wait_for_the_servers_that_are_still_to_come(self) -> None:
        story = Story(1)
        story.tell_members(wanted=frozenset({1, 2}))
        request = story.ask(w.CreateTopics, (w.NewTopic("__consumer_offsets", 1, 1),), 30.0)
        self.assertEqual(dict(story.kept.topics), {})
        story.start(2).run()
        self.assertEqual(story.answers[request]["topics"][0]["num_partitions"], 50)
        self.assertEqual(set(story.leaders("__consumer_offsets")), {1, 2})
        topic = story.kept.topics["__consumer_offsets"]
        self.assertTrue(topic.internal)
        self.assertEqual(topic.configs["cleanup.policy"], "compact")

    def test_but_not_for_ever(self) -> None:
        story = Story(1)
        story.tell_members(wanted=frozenset({1, 2}))
        request = story.ask(w.CreateTopics, (w.NewTopic("__consumer_offsets"),), 30.0)
        story.now += 3
        story.send(w.Tick()).run()
        self.assertEqual(story.answers[request]["topics"][0]["error_code"], 0)

    def test_configs_are_set_appended_to_and_deleted(self) -> None:
        story = Story(1)
        story.create("orders", configs=(("cleanup.policy", "delete"),))
        set_, append, delete = w.ConfigOp.SET, w.ConfigOp.APPEND, w.ConfigOp.DELETE
        subtract = w.ConfigOp.SUBTRACT
        for changes, want in [
            ((("retention.ms", set_, "5"),), {"cleanup.policy": "delete", "retention.ms": "5"}),
            ((("cleanup.policy", append, "compact"),), {"cleanup.policy": "delete,compact", "retention.ms": "5"}),
            ((("retention.ms", delete, None),), {"cleanup.policy": "delete,compact"}),
        ]:
            answer = story.ask(w.AlterConfigs, (w.ConfigChange(2, "orders", changes),))
            self.assertEqual(answer["responses"][0]["error_code"], 0)
            self.assertEqual(story.kept.topics["orders"].configs, want)
        story.ask(w.AlterConfigs, (w.ConfigChange(2, "orders", (("retention.ms", set_, "7"),), True),))
        self.assertEqual(story.kept.topics["orders"].configs, {"retention.ms": "7"})
        answer = story.ask(w.AlterConfigs, (w.ConfigChange(2, "orders", (("retention.ms", append, "7"),)),))
        self.assertIs(answer["responses"][0]["error_code"], E.INVALID_CONFIG)
        for operation, value, want in ((append, "compact", "delete,compact"), (subtract, "delete, x", "compact")):
            story.ask(w.AlterConfigs, (w.ConfigChange(2, "orders", (("cleanup.policy", operation, value),)),))
            self.assertEqual(story.kept.topics["orders"].configs["cleanup.policy"], want)
        for operation, value in ((subtract, "compact"), (append, "burn")):
            changes = (("cleanup.policy", operation, value),)
            answer = story.ask(w.AlterConfigs, (w.ConfigChange(2, "orders", changes),))
            self.assertIs(answer["responses"][0]["error_code"], E.INVALID_CONFIG)
        answer = story.ask(w.AlterConfigs, (w.ConfigChange(4, "9", ()), w.ConfigChange(8, "1", ())))
        codes = [row["error_code"] for row in answer["responses"]]
        self.assertEqual(codes, [E.BROKER_ID_NOT_REGISTERED, E.INVALID_REQUEST])


class TestCrashWithOneReplica(unittest.TestCase):
    def test_its_partitions_wait_for_it_and_it_leads_them_again_under_a_new_epoch(self) -> None:
        story = Story(3)
        story.create("orders", 12)
        before = {p.key: p for p in story.partitions("orders") if p.leader == 2}
        others = [p for p in story.partitions("orders") if p.leader != 2]
        story.kill(2)
        for key in before:
            self.assertEqual((story.kept.partitions[key].leader, story.kept.partitions[key].isr), (-1, (2,)))
            self.assertEqual(story.kept.partitions[key].last_leader, 2)
        story.start(2, Stop.SAME_BOOT)
        for key, then in before.items():
            self.assertEqual(story.kept.partitions[key].leader, 2)
            self.assertGreater(story.kept.partitions[key].leader_epoch, then.leader_epoch)
        self.assertEqual([p for p in story.partitions("orders") if p.leader != 2], others)
        self.assertIn("partitions-offline", story.kinds())

    def test_one_that_came_back_before_its_end_was_told_leads_under_a_new_epoch_too(self) -> None:
        story = Story(1)
        story.create("orders", 1)
        (then,) = story.partitions("orders")
        story.start(1)
        (now,) = story.partitions("orders")
        self.assertEqual(now.leader, 1)
        self.assertGreater(now.leader_epoch, then.leader_epoch)

    def test_a_new_directory_an_old_copy_or_unsynced_writes_keep_it_offline_until_the_operator_decides(self) -> None:
        for unsynced, stop, how in [
            (False, Stop.CLEAN, {"directory": "f" * 32}),
            (False, Stop.CLEAN, {"epoch": 1}),
            (True, Stop.UNCLEAN, {}),
        ]:
            story = Story(2, settings=w.QueueSettings(synced=not unsynced))
            story.create("orders", 1)
            (leader,) = story.leaders("orders")
            story.kill(leader).start(leader, Stop.SAME_BOOT).kill(leader).start(leader, stop, **how)
            (partition,) = story.partitions("orders")
            self.assertEqual((partition.leader, partition.isr, partition.last_leader), (-1, (), leader), how)
            self.assertIn("broker-disk-distrusted", story.kinds())
            answer = story.ask(w.ElectLeaders, True, (("orders", 0),))
            self.assertEqual(answer["replica_election_results"][0]["partition_result"][0]["error_code"], 0)
            self.assertEqual(story.leaders("orders"), [leader])

    def test_an_epoch_that_never_reached_the_disk_is_forgiven(self) -> None:
        story = Story(1)
        story.create("orders", 1)
        served = story.servers[1].epoch
        story.kill(1)
        story.servers[1].incarnation = "e" * 32
        story.register(1, Stop.SAME_BOOT, served)  # granted, and the machine loses power before it is stored
        story.kill(1).start(1, Stop.UNCLEAN, epoch=served)
        self.assertEqual(story.leaders("orders"), [1])

    def test_with_synced_writes_an_unclean_stop_loses_nothing(self) -> None:
        story = Story(1)
        story.create("orders", 1)
        story.kill(1).start(1, Stop.UNCLEAN)
        self.assertEqual(story.leaders("orders"), [1])

    def test_a_condemned_server_that_thaws_changes_nothing(self) -> None:
        story = Story(2)
        story.create("orders", 4)
        thawed = story.servers[1]
        story.kill(1)
        self.assertIs(story.register(1, Stop.CLEAN, thawed.epoch), E.DUPLICATE_BROKER_REGISTRATION)
        self.assertIs(story.ask(w.Beat, 1, thawed.epoch, story.kept.version), E.STALE_BROKER_EPOCH)
        story.sync(1)
        self.assertFalse(story.kept.is_live(1))


class TestCrashWithThreeReplicas(unittest.TestCase):
    def story(self) -> Story:
        story = Story(3)
        story.create("orders", 6, 3, configs=(("min.insync.replicas", "2"),))
        return story

    def test_another_in_sync_replica_leads_at_once_and_the_dead_one_is_out_of_sync(self) -> None:
        story = self.story()
        story.kill(1)
        for partition in story.partitions("orders"):
            self.assertIn(partition.leader, (2, 3))
            self.assertEqual((set(partition.isr), partition.elr), ({2, 3}, ()))

    def test_below_min_isr_who_was_in_sync_stays_eligible_the_last_one_too(self) -> None:
        story = self.story()
        story.kill(1).kill(2).kill(3)
        for partition in story.partitions("orders"):
            self.assertEqual((partition.isr, set(partition.elr), partition.leader), ((), {2, 3}, -1))
        story.start(1)
        self.assertEqual(story.leaders("orders"), [-1] * 6, "it was out of sync: it lacks what the others acknowledged")
        story.start(3)
        self.assertEqual(story.leaders("orders"), [3] * 6)
        story.start(2).run()
        for partition in story.partitions("orders"):
            self.assertEqual((set(partition.isr), partition.elr), ({1, 2, 3}, ()))

    def test_a_stale_epoch_gets_nobody_into_the_isr(self) -> None:
        story = self.story()
        old = story.kept.brokers[1].epoch
        story.kill(1).start(1)
        partition = story.partitions("orders")[0]
        leader = partition.leader
        stale = ((leader, story.kept.brokers[leader].epoch), (1, old))
        answer = story.alter(partition, (), members=stale)
        self.assertIs(answer["topics"][0]["partitions"][0]["error_code"], E.INELIGIBLE_REPLICA)

    def test_alter_partition_by_who_leads_no_more_or_knows_too_little_is_refused(self) -> None:
        story = self.story()
        partition = story.partitions("orders")[0]
        other = next(node for node in (1, 2, 3) if node != partition.leader)
        isr = partition.isr
        for fields, code in [
            ({"leader": other}, E.FENCED_LEADER_EPOCH),
            ({"leader_epoch": partition.leader_epoch + 1}, E.NOT_CONTROLLER),
            ({"partition_epoch": partition.partition_epoch + 1}, E.NOT_CONTROLLER),
            ({"partition_epoch": partition.partition_epoch - 1}, E.INVALID_UPDATE_VERSION),
            ({"members": ((other, -1),)}, E.INVALID_REQUEST),
        ]:
            answer = story.alter(partition, isr, **fields)
            self.assertIs(answer["topics"][0]["partitions"][0]["error_code"], code, fields)

    def test_a_follower_that_falls_behind_is_eligible_below_min_isr_until_there_are_enough_again(self) -> None:
        story = self.story()
        partition = story.partitions("orders")[0]
        lead = partition.leader
        story.alter(partition, (lead,))
        partition = story.partitions("orders")[0]
        self.assertEqual((partition.isr, set(partition.elr)), ((lead,), {1, 2, 3} - {lead}))
        story.run()
        self.assertEqual((set(story.partitions("orders")[0].isr), story.partitions("orders")[0].elr), ({1, 2, 3}, ()))

    def test_elr_empties_before_min_isr_changes(self) -> None:
        story = self.story()
        story.kill(1).kill(2)
        self.assertTrue(all(partition.elr for partition in story.partitions("orders")))
        change = w.ConfigChange(2, "orders", (("min.insync.replicas", w.ConfigOp.SET, "3"),))
        story.ask(w.AlterConfigs, (change,))
        self.assertEqual([partition.elr for partition in story.partitions("orders")], [()] * 6)

    def test_a_server_that_stops_in_order_hands_over_first(self) -> None:
        story = self.story()
        answer = story.ask(w.Beat, 2, story.servers[2].epoch, story.kept.version, wants_stop=True)
        self.assertTrue(answer["should_shut_down"])
        self.assertNotIn(2, story.leaders("orders"))
        partition = story.partitions("orders")[0]
        answer = story.alter(partition, (*partition.isr, 2))
        self.assertIs(answer["topics"][0]["partitions"][0]["error_code"], E.INELIGIBLE_REPLICA)

    def test_the_preferred_leader_leads_again_when_asked_for(self) -> None:
        story = self.story()
        preferred = [partition.replicas[0] for partition in story.partitions("orders")]
        story.kill(1).start(1).run()
        self.assertNotIn(1, story.leaders("orders"))
        answer = story.ask(w.ElectLeaders, False, None)
        self.assertEqual(story.leaders("orders"), preferred)
        rows = answer["replica_election_results"][0]["partition_result"]
        self.assertEqual([row["partition_id"] for row in rows], [n for n, node in enumerate(preferred) if node == 1])
        again = story.ask(w.ElectLeaders, False, (("orders", 0),))
        code = again["replica_election_results"][0]["partition_result"][0]["error_code"]
        self.assertIs(code, E.ELECTION_NOT_NEEDED)


class TestMoves(unittest.TestCase):
    def test_a_newcomer_gets_its_share_and_nothing_else_moves(self) -> None:
        story = Story(3)
        story.create("orders", 120)
        before = story.leaders("orders")
        story.join(4).run()
        after = story.leaders("orders")
        moved = [new for old, new in zip(before, after, strict=True) if old != new]
        self.assertEqual(set(moved), {4})
        self.assertTrue(15 <= len(moved) <= 45, len(moved))
        self.assertEqual([p.replicas for p in story.partitions("orders")], [(leader,) for leader in after])
        self.assertTrue(story.kept.brokers[4].welcomed)

    def test_a_few_at_once(self) -> None:
        story = Story(2)
        story.create("orders", 60)
        story.join(3)
        moves = story.queue.view()["moves"]
        self.assertEqual(moves["under_way"], 8)
        self.assertGreater(moves["waiting"], 0)

    def test_the_newcomer_leads_under_a_new_epoch_only_when_it_has_everything(self) -> None:
        story = Story(1)
        story.create("orders", 20)
        story.join(2)
        partition = next(p for p in story.partitions("orders") if p.adding)
        self.assertEqual((partition.adding, partition.removing, partition.isr, partition.leader), ((2,), (1,), (1,), 1))
        answer = story.alter(partition, (1, 2))["topics"][0]["partitions"][0]
        self.assertIs(answer["error_code"], E.NEW_LEADER_ELECTED)
        moved = story.kept.partitions[partition.key]
        self.assertEqual((moved.replicas, moved.isr, moved.leader), ((2,), (2,), 2))
        self.assertEqual(moved.leader_epoch, partition.leader_epoch + 1)

    def test_a_leaver_gives_all_away_and_is_forgotten(self) -> None:
        story = Story(3)
        story.create("orders", 30)
        kept = {p.key: p for p in story.partitions("orders") if p.leader != 2}
        story.leave(2)
        self.assertIn(2, story.queue.holders())
        story.run()
        self.assertNotIn(2, story.queue.holders())
        for key, partition in kept.items():
            self.assertEqual(story.kept.partitions[key], partition)
        story.part(2)
        self.assertEqual(sorted(story.kept.brokers), [1, 3])

    def test_nothing_new_lies_on_a_leaver(self) -> None:
        story = Story(2)
        story.leave(2)
        story.create("orders", 20)
        self.assertEqual(set(story.leaders("orders")), {1})

    def test_a_leaver_that_crashes_comes_back_and_goes_on_giving(self) -> None:
        story = Story(2)
        story.create("orders", 30)
        story.leave(2).kill(2).run()
        self.assertIn(2, story.queue.holders())
        story.start(2, Stop.SAME_BOOT).run()
        self.assertEqual(set(story.leaders("orders")), {1})

    def test_a_newcomer_that_leaves_again_at_once_takes_nothing_with_it(self) -> None:
        story = Story(2)
        story.create("orders", 30)
        before = story.leaders("orders")
        story.join(3).leave(3).run()
        self.assertEqual(story.leaders("orders"), before)
        self.assertNotIn(3, story.queue.holders())

    def test_the_last_one_keeps_what_nobody_can_take(self) -> None:
        story = Story(1)
        story.create("orders", 3)
        story.leave(1).run()
        self.assertEqual(story.leaders("orders"), [1, 1, 1])

    def test_a_new_control_goes_on_with_the_moves(self) -> None:
        story = Story(2)
        story.create("orders", 60)
        story.join(3)
        half = next(p for p in story.partitions("orders") if p.adding)
        story.alter(half, (*half.isr, 3))
        story.restart_control().run()
        self.assertTrue(10 <= story.on(3) <= 30, story.on(3))
        self.assertFalse(any(p.adding or p.removing for p in story.partitions("orders")))

    def test_a_wish_for_replicas_is_granted_as_servers_join_and_lowered_as_they_leave(self) -> None:
        story = Story(1, settings=w.QueueSettings(replication=3))
        story.create("orders", 6)
        self.assertEqual({len(p.replicas) for p in story.partitions("orders")}, {1})
        story.join(2).run().join(3).run()
        self.assertEqual({len(p.isr) for p in story.partitions("orders")}, {3})
        story.leave(2).run()
        self.assertEqual({frozenset(p.replicas) for p in story.partitions("orders")}, {frozenset({1, 3})})


class TestControlAndItsDisk(unittest.TestCase):
    def test_a_full_disk_refuses_commands_and_changes_nothing(self) -> None:
        story = Story(2)
        story.disk = False
        self.assertIs(story.create("orders"), E.NOT_CONTROLLER)
        self.assertIs(story.ask(w.AllocateIds, 1, story.servers[1].epoch), E.NOT_CONTROLLER)
        self.assertEqual(dict(story.kept.topics), {})
        story.disk = True
        self.assertEqual(story.create("orders")["error_code"], 0)

    def test_a_crash_that_could_not_be_written_down_is_written_when_it_can(self) -> None:
        story = Story(2)
        story.create("orders", 8)
        story.disk = False
        story.kill(1)
        self.assertTrue(story.kept.is_live(1))
        story.disk = True
        deadline = story.queue.deadline()
        assert deadline is not None
        self.assertEqual(deadline, story.now + 1)
        story.send(w.Tick())
        self.assertFalse(story.kept.is_live(1))

    def test_control_restarted_changes_nothing_for_servers_that_live(self) -> None:
        story = Story(3)
        story.create("orders", 12)
        before = story.kept.partitions
        story.restart_control()
        self.assertEqual(story.kept.partitions, before)
        self.assertTrue(all(story.kept.is_live(node) for node in (1, 2, 3)))

    def test_servers_that_know_more_than_control_stop_it(self) -> None:
        story = Story(1)
        story.create("orders", 1)
        lost = Story(0)
        lost.tell_members(wanted=frozenset({1}))
        server = story.servers[1]
        answer = lost.ask(w.Registered, 1, server.incarnation, server.directory, server.epoch + 40, Stop.CLEAN, {})
        self.assertIs(answer, E.NOT_CONTROLLER)
        self.assertIn("queue-state-lost", lost.kinds())
        self.assertIs(lost.create("orders"), E.NOT_CONTROLLER)
        self.assertEqual(dict(lost.kept.brokers), {})

    def test_who_has_gone_is_not_answered(self) -> None:
        story = Story(1)
        request = story.ask(w.CreateTopics, (w.NewTopic("orders"),), 30.0)
        story.send(w.Gone(frozenset({request}))).run()
        self.assertNotIn(request, story.answers)


if __name__ == "__main__":
    unittest.main()
