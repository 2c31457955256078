import unittest

from loadbalancer.queue_tail import Tail
from wire.cluster import Image, Record
from wire.cluster_link import Position

RECORDS: list[Record] = [{"type": "producer_ids", "next": 1000 * number} for number in range(1, 6)]


class TestTail(unittest.TestCase):
    def setUp(self) -> None:
        self.tail = Tail(Image(2, 10))
        image = self.tail.image
        for number, record in enumerate(RECORDS, start=11):
            image = image.with_records([record], 2, number)
            self.tail.extend(image, [record])

    def test_who_knows_the_rest_gets_what_is_new(self) -> None:
        update = self.tail.since(Position(1, 13))
        self.assertEqual((update.at, update.records, update.snapshot), (Position(2, 15), RECORDS[3:], None))

    def test_who_knows_nothing_or_too_little_gets_a_snapshot(self) -> None:
        for known in (Position(0, 0), Position(1, 9)):
            update = self.tail.since(known)
            self.assertEqual((update.records, update.snapshot), ((), self.tail.image.records()))

    def test_who_knows_all_or_more_gets_nothing(self) -> None:
        self.assertFalse(self.tail.has_news(Position(2, 15)))
        for known in (Position(2, 15), Position(3, 1)):
            self.assertEqual((self.tail.since(known).records, self.tail.since(known).snapshot), ((), None))

    def test_nothing_replaces_what_one_who_knows_more_has(self) -> None:
        self.assertFalse(self.tail.has_news(Position(1, 16)), "it may be the only copy (R5)")

    def test_records_from_before_the_start_count(self) -> None:
        tail = Tail(Image(2, 10), RECORDS)
        self.assertEqual(tail.since(Position(1, 5)).records, RECORDS)


if __name__ == "__main__":
    unittest.main()
