import unittest
from dataclasses import replace

from loadbalancer.queue_ledger import Ledger
from wire.cluster import NO_LEADER, Broker, Image, Partition, Topic

TOPIC = Topic("orders", "a" * 32, configs={"min.insync.replicas": "2"})
FIRST = Partition(TOPIC.id, 0, (1, 2), (1, 2), last_leader=1, leader=1)
SECOND = replace(FIRST, partition=1, replicas=(2,), isr=(2,), last_leader=2, leader=2)


class TestLedger(unittest.TestCase):
    def setUp(self) -> None:
        self.ledger = Ledger(Image(4, 10))
        self.ledger.put([TOPIC.record(), Broker(1, "1" * 32, "d" * 32, 11, False).record()])
        self.ledger.put_partitions([FIRST, SECOND])
        self.ledger.take()

    def test_records_count_versions_and_a_position_is_an_epoch(self) -> None:
        self.assertEqual((self.ledger.image.generation, self.ledger.image.version), (4, 14))
        self.assertEqual(self.ledger.next_epoch, 15)
        self.ledger.put([])
        self.ledger.put_partitions([FIRST])
        self.assertEqual(self.ledger.take(), ([], []), "what is as it was isn't written")

    def test_what_was_not_committed_is_not_so(self) -> None:
        before = self.ledger.image
        moving = replace(FIRST, replicas=(3, 1, 2), adding=(3,), removing=(1,))
        self.ledger.put_partitions([moving])
        self.assertEqual(self.ledger.moving, {FIRST.key})
        records, _ = self.ledger.take()
        self.assertEqual(len(records), 1)
        self.ledger.undo()
        self.assertEqual((self.ledger.image, self.ledger.moving), (before, set()))

    def test_a_control_that_starts_finds_the_moves_under_way(self) -> None:
        self.ledger.put_partitions([replace(FIRST, replicas=(3, 1, 2), adding=(3,))])
        self.assertEqual(Ledger(self.ledger.image).moving, {FIRST.key})
        self.ledger.remove_topic(TOPIC)
        self.assertEqual((self.ledger.moving, self.ledger.image.partitions), (set(), {}))

    def test_one_note_for_all_leaders_of_a_step(self) -> None:
        self.ledger.put_partitions([replace(FIRST, leader=2), replace(SECOND, leader=NO_LEADER)])
        _, notes = self.ledger.take()
        told = [(note.kind, note.reason) for note in notes]
        expected = [
            ("leaders-elected", "orders-0 led by node 2 now"),
            ("partitions-offline", "orders-1 without a leader"),
        ]
        self.assertEqual(told, expected)

    def test_questions(self) -> None:
        self.assertEqual([p.key for p in self.ledger.on(2)], [FIRST.key, SECOND.key])
        self.assertEqual(self.ledger.live(), {1})
        self.assertEqual([self.ledger.min_isr(p) for p in (FIRST, SECOND)], [2, 1], "no more than there are replicas")
        self.assertFalse(self.ledger.unclean(FIRST))


if __name__ == "__main__":
    unittest.main()
