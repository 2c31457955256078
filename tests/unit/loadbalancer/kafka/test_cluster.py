import unittest
from unittest import mock

from confluent_kafka import KafkaError
from support.adding_contract import AddingContract
from support.fake_confluent import Admin, Consumer, Memory, Message, Producer, error

from loadbalancer.kafka import cluster as module
from loadbalancer.kafka.cluster import NAMES, KafkaCluster
from loadbalancer.partition_adding import Refused, Unavailable
from wire.http_queue import encode_name, name_key


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.memory = Memory()
        for name, kind in (("AdminClient", Admin), ("Consumer", Consumer), ("Producer", Producer)):
            self.enterContext(mock.patch.object(module, name, lambda _, kind=kind: kind(self.memory)))
        for name in ("APPEARS_S", "SERVES_S", "LOOK_S"):
            self.enterContext(mock.patch.object(module, name, 0))
        self.cluster = KafkaCluster("k:1")


class Contract(AddingContract, Case):
    """The faults of the fake's own making aside: it makes whatever it is asked for."""

    test_partitions_are_made_one_by_one = None


class Making(Case):
    def test_another_was_faster(self) -> None:
        codes = (KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.INVALID_PARTITIONS, KafkaError.UNKNOWN_TOPIC_OR_PART)
        for code in codes:
            self.memory.faults["make"] = [error(code)]
            self.assertFalse(self.cluster.make(("T1", 0)))

    def test_no_answer_in_time(self) -> None:
        for fault in (error(KafkaError._TIMED_OUT), error(KafkaError.REQUEST_TIMED_OUT), TimeoutError()):
            self.memory.faults["make"] = [fault]
            with self.assertRaises(Unavailable):
                self.cluster.make(("T1", 0))
        self.memory.made_anyway, self.memory.faults["make"] = True, [error(KafkaError._TIMED_OUT)]
        self.assertTrue(self.cluster.make(("T1", 0)), "it was made all the same")

    def test_refused(self) -> None:
        self.memory.faults["make"] = [error(KafkaError.TOPIC_EXCEPTION, "bad name")]
        with self.assertRaisesRegex(Refused, "bad name"):
            self.cluster.make(("T1", 0))

    def test_a_partition_without_a_leader_does_not_serve(self) -> None:
        self.memory.topics["T1"], self.memory.leader = 1, -1
        self.assertFalse(self.cluster.appears(("T1", 0)))

    def test_the_cluster_is_away(self) -> None:
        self.memory.faults["metadata"] = [error(KafkaError._TRANSPORT, "away")]
        with self.assertRaisesRegex(Unavailable, "away"):
            self.cluster.partitions("T1")


class Names(Case):
    def test_only_what_is_new_is_read(self) -> None:
        self.cluster.write_names({("T1", 0): "a"})
        self.assertEqual(self.cluster.names(), {("T1", 0): "a"})
        log = self.memory.logs[NAMES]
        log[0] = Message(NAMES, 0, name_key("T1", 0), encode_name("changed behind our back"))
        self.cluster.write_names({("T1", 1): "b"})
        self.assertEqual(self.cluster.names(), {("T1", 0): "a", ("T1", 1): "b"})

    def test_a_topic_that_was_made_anew_is_read_anew(self) -> None:
        self.cluster.write_names({("T1", 0): "a", ("T1", 1): "b"})
        self.cluster.names()
        self.memory.logs.clear()
        self.cluster.write_names({("T2", 0): "c"})
        self.assertEqual(self.cluster.names(), {("T2", 0): "c"})
        self.memory.topics.clear()
        self.assertEqual(self.cluster.names(), {})

    def test_a_broker_that_does_not_know_the_topic_yet_is_not_believed(self) -> None:
        """Believed, the names that are there would be given again, and taken away from those that have them."""
        self.cluster.write_names({("T1", 0): "a"})
        answers = iter([{"T1": 1}, {"T1": 1}])
        known = self.memory.metadata

        def lagging(topic: str | None) -> object:
            with mock.patch.object(self.memory, "topics", next(answers, self.memory.topics)):
                return known(topic)

        with mock.patch.object(self.memory, "metadata", lagging), mock.patch.object(module, "APPEARS_S", 1):
            self.assertEqual(self.cluster.names(), {("T1", 0): "a"})

    def test_what_nobody_understands_is_passed_over(self) -> None:
        self.cluster.write_names({("T1", 0): "a"})
        log = self.memory.logs[NAMES]
        log += [
            Message(NAMES, 1, b"?", b"?"),
            Message(NAMES, 5, None, None),
            Message(NAMES, 9, name_key("T1", 0), b"?"),
        ]
        self.assertEqual(self.cluster.names(), {})

    def test_a_leader_that_has_moved_is_looked_for(self) -> None:
        self.cluster.write_names({("T1", 0): "a"})
        own = (KafkaError._UNKNOWN_PARTITION, KafkaError._DESTROY_BROKER)  # pyright: ignore[reportPrivateUsage]
        self.memory.faults["end"] = [error(code) for code in (KafkaError.NOT_LEADER_FOR_PARTITION, *own)]
        self.memory.faults["read"] = [error(KafkaError._ALL_BROKERS_DOWN)]
        self.assertEqual(self.cluster.names(), {("T1", 0): "a"})

    def test_one_that_is_never_found(self) -> None:
        self.cluster.write_names({("T1", 0): "a"})
        with mock.patch.object(module, "CALL_S", 0):
            self.memory.faults["end"] = [error(KafkaError.NOT_LEADER_FOR_PARTITION)] * 3
            with self.assertRaises(Unavailable):
                self.cluster.names()
            self.memory.faults.clear()
            with self.assertRaises(Unavailable):
                self.cluster.names()

    def test_names_that_can_t_be_kept(self) -> None:
        self.memory.faults["write"] = [error(KafkaError._MSG_TIMED_OUT, "too late")]
        with self.assertRaisesRegex(Unavailable, "too late"):
            self.cluster.write_names({("T1", 0): "a"})
        self.memory.acks = False
        with self.assertRaisesRegex(Unavailable, "in time"):
            self.cluster.write_names({("T1", 0): "a"})

    def test_closing(self) -> None:
        self.cluster.close()
        self.assertEqual(self.memory.closed, 1)


if __name__ == "__main__":
    unittest.main()
