import unittest

from client.cli.tail import last_of
from client.values import Message


def message(partition: int, offset: int, timestamp_ms: int) -> Message:
    return Message("T1", partition, offset, None, b"", (), timestamp_ms)


class LastTest(unittest.TestCase):
    def test_the_last_by_time_and_all_that_came_meanwhile(self) -> None:
        ends = {("T1", 0): 2, ("T1", 1): 1}
        found = [message(0, 0, 10), message(0, 1, 30), message(0, 2, 50), message(1, 0, 20), message(1, 1, 40)]
        for count, places in (
            (0, [(1, 1), (0, 2)]),
            (2, [(1, 0), (0, 1), (1, 1), (0, 2)]),
            (9, [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]),
        ):
            self.assertEqual([(one.partition, one.offset) for one in last_of(found, ends, count)], places)


if __name__ == "__main__":
    unittest.main()
