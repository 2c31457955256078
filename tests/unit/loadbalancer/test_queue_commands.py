import unittest
from typing import Any

from support.queue_story import Story

from loadbalancer import queue_words as w
from loadbalancer.mover import AWAIT_S
from loadbalancer.queue_commands import ANSWER_S
from loadbalancer.queue_topics import OFFSETS
from wire.errors import ErrorCode as E


class TestAnswers(unittest.TestCase):
    """When a command that makes partitions is answered."""

    def setUp(self) -> None:
        self.story = Story(2)

    def ask(self, name: str = "orders", timeout_s: float = 30.0) -> Any:
        return self.story.ask(w.CreateTopics, (w.NewTopic(name, 8),), timeout_s)

    def test_when_every_leader_has_applied_it(self) -> None:
        request = self.ask()
        self.story.sync(1)
        self.assertNotIn(request, self.story.answers)
        self.story.sync(2)
        self.assertEqual(self.story.answers[request]["topics"][0]["error_code"], E.NONE)

    def test_or_when_that_takes_too_long(self) -> None:
        for timeout_s, waits_s in ((30.0, ANSWER_S), (1.0, 1.0)):
            request = self.ask(f"slow-{waits_s:.0f}", timeout_s)
            self.assertEqual(self.story.queue.deadline(), self.story.now + waits_s)
            self.story.now += waits_s
            self.story.send(w.Tick())
            self.assertEqual(self.story.answers[request]["topics"][0]["error_code"], E.NONE)

    def test_a_leader_that_has_ended_is_not_waited_for(self) -> None:
        request = self.ask()
        self.story.sync(1)
        self.story.kill(2)
        self.assertIn(request, self.story.answers)

    def test_nobody_waits_for_the_requests_of_a_link_that_is_gone(self) -> None:
        request = self.ask()
        self.story.send(w.Gone(frozenset({request})))
        self.story.run()
        self.assertNotIn(request, self.story.answers)
        self.assertIn("orders", self.story.kept.topics)

    def test_kafka_s_own_topics_wait_for_the_servers_that_are_still_to_come(self) -> None:
        self.story.tell_members(wanted=frozenset({1, 2, 3}))
        request = self.ask(OFFSETS)
        self.assertNotIn(OFFSETS, self.story.kept.topics)
        self.story.start(3).run()
        self.assertIn(request, self.story.answers)
        self.assertGreater(self.story.on(3), 0)

    def test_but_not_for_ever(self) -> None:
        self.story.tell_members(wanted=frozenset({1, 2, 3}))
        self.ask(OFFSETS)
        self.story.now += AWAIT_S
        self.story.send(w.Tick())
        self.assertIn(OFFSETS, self.story.kept.topics)

    def test_who_finds_the_topic_being_made_waits_with_who_makes_it(self) -> None:
        first, second = self.ask(), self.ask()
        self.assertNotIn(second, self.story.answers)
        self.story.sync(1)
        self.assertNotIn(second, self.story.answers)
        self.story.sync(2)
        self.assertIn(first, self.story.answers)
        self.assertEqual(self.story.answers[second]["topics"][0]["error_code"], E.TOPIC_ALREADY_EXISTS)
        self.assertEqual(self.ask()["topics"][0]["error_code"], E.TOPIC_ALREADY_EXISTS, "there, and served: at once")

    def wide(self, timeout_s: float = 30.0) -> Any:
        return self.story.ask(w.CreateTopics, (w.NewTopic("wide", 4, 3),), timeout_s)

    def test_a_topic_that_wants_more_servers_waits_for_those_still_to_come(self) -> None:
        self.story.tell_members(wanted=frozenset({1, 2, 3}))
        request = self.wide()
        self.story.start(3).run()
        self.assertEqual(self.story.answers[request]["topics"][0]["error_code"], E.NONE)

    def test_and_is_refused_where_they_do_not(self) -> None:
        self.assertEqual(self.wide()["topics"][0]["error_code"], E.INVALID_REPLICATION_FACTOR)
        self.story.tell_members(wanted=frozenset({1, 2, 3}))
        request = self.wide()
        self.story.now += AWAIT_S
        self.story.send(w.Tick())
        self.assertEqual(self.story.answers[request]["topics"][0]["error_code"], E.INVALID_REPLICATION_FACTOR)


class TestParts(unittest.TestCase):
    """Each part of a command is done or refused for itself."""

    def setUp(self) -> None:
        self.story = Story(2)
        self.story.create("orders", 2)

    def test_topics(self) -> None:
        wishes = tuple(w.NewTopic(name, 1) for name in ("new", "orders", "twice", "twice", "bad name"))
        request = self.story.ask(w.CreateTopics, wishes, 30.0)
        self.story.run()
        codes = [topic["error_code"] for topic in self.story.answers[request]["topics"]]
        expected = [
            E.NONE, E.TOPIC_ALREADY_EXISTS, E.INVALID_REQUEST, E.INVALID_REQUEST, E.INVALID_TOPIC_EXCEPTION,
        ]  # fmt: skip
        self.assertEqual(codes, expected)
        self.assertEqual(set(self.story.kept.topics), {"orders", "new"})

    def test_trying_changes_nothing(self) -> None:
        before = self.story.kept
        self.assertEqual(self.story.create("new", 3, validate_only=True)["num_partitions"], 3)
        grown = self.story.ask(w.CreatePartitions, (w.MorePartitions("orders", 5),), 5.0, True)
        self.assertEqual(grown["results"][0]["error_code"], E.NONE)
        self.assertEqual(self.story.kept, before)

    def test_more_partitions(self) -> None:
        wishes = (w.MorePartitions("orders", 5), w.MorePartitions("nothing", 5))
        request = self.story.ask(w.CreatePartitions, wishes, 5.0)
        self.story.run()
        codes = [topic["error_code"] for topic in self.story.answers[request]["results"]]
        self.assertEqual(codes, [E.NONE, E.UNKNOWN_TOPIC_OR_PARTITION])
        self.assertEqual(len(self.story.partitions("orders")), 5)

    def test_deletion(self) -> None:
        told = self.story.ask(w.DeleteTopics, (("orders", None), ("nothing", None)), 5.0)
        codes = [topic["error_code"] for topic in told["responses"]]
        self.assertEqual(codes, [E.NONE, E.UNKNOWN_TOPIC_OR_PARTITION])
        self.assertEqual((self.story.kept.topics, self.story.kept.partitions), ({}, {}))

    def test_configs(self) -> None:
        changes = (("retention.ms", w.ConfigOp.SET, "5"),)
        resources = (w.ConfigChange(2, "orders", changes), w.ConfigChange(2, "nothing", changes))
        told = self.story.ask(w.AlterConfigs, resources)
        codes = [resource["error_code"] for resource in told["responses"]]
        self.assertEqual(codes, [E.NONE, E.UNKNOWN_TOPIC_OR_PARTITION])
        self.assertEqual(dict(self.story.kept.topics["orders"].configs), {"retention.ms": "5"})

    def test_the_elr_empties_before_min_isr_changes(self) -> None:
        story = Story(2, settings=w.QueueSettings(replication=2))
        story.create("safe", 1, configs=(("min.insync.replicas", "2"),))
        (partition,) = story.partitions("safe")
        story.alter(partition, (partition.leader,))
        self.assertTrue(story.partitions("safe")[0].elr)
        story.ask(w.AlterConfigs, (w.ConfigChange(2, "safe", (("min.insync.replicas", w.ConfigOp.SET, "1"),)),))
        self.assertEqual(story.partitions("safe")[0].elr, ())


class TestElections(unittest.TestCase):
    def setUp(self) -> None:
        self.story = Story(2, settings=w.QueueSettings(replication=2))
        self.story.create("orders", 1)
        (partition,) = self.story.partitions("orders")
        self.first, self.second = partition.replicas

    def ask(self, *, unclean: bool = False, partitions: Any = (("orders", 0),)) -> list[E]:
        told = self.story.ask(w.ElectLeaders, unclean, partitions)["replica_election_results"]
        return [row["error_code"] for topic in told for row in topic["partition_result"]]

    def test_the_preferred_one_leads_again(self) -> None:
        self.assertEqual(self.ask(), [E.ELECTION_NOT_NEEDED])
        self.story.kill(self.first)
        self.assertEqual(self.story.leaders("orders"), [self.second])
        self.assertEqual(self.ask(), [E.PREFERRED_LEADER_NOT_AVAILABLE])
        self.story.start(self.first).run()
        self.assertEqual(self.story.leaders("orders"), [self.second])
        self.assertEqual(self.ask(), [E.NONE])
        self.assertEqual(self.story.leaders("orders"), [self.first])
        self.assertEqual(self.ask(partitions=None), [], "what needs nothing is left out")
        self.assertEqual(self.ask(partitions=(("orders", 7),)), [E.UNKNOWN_TOPIC_OR_PARTITION])

    def test_an_unclean_one_is_the_operator_s_word(self) -> None:
        (partition,) = self.story.partitions("orders")
        self.story.alter(partition, (self.first,))
        self.story.kill(self.first)
        self.assertEqual(self.story.leaders("orders"), [-1])
        self.assertEqual(self.ask(unclean=True), [E.NONE])
        self.assertEqual(self.story.leaders("orders"), [self.second])
        self.assertIn("unclean-election", self.story.kinds())


if __name__ == "__main__":
    unittest.main()
