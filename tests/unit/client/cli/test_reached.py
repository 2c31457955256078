import unittest

from client.cli.reached import all_reached

ENDS = {("T1", 0): 5, ("T1", 1): 0}


class ReachedTest(unittest.TestCase):
    def test_by_messages_or_by_word(self) -> None:
        for following, reached, done in (
            ({}, {}, False),
            ({("T1", 0): 5}, {}, False),
            ({("T1", 0): 5}, {("T1", 1): 0}, True),
            ({("T1", 0): 4}, {("T1", 0): 5, ("T1", 1): 0}, True),
            ({("T1", 0): 4}, {("T1", 0): 3, ("T1", 1): 0}, False),
            ({("T1", 0): 9, ("T1", 1): 0}, {}, True),
        ):
            self.assertEqual(all_reached(ENDS, following, reached), done, (following, reached))


if __name__ == "__main__":
    unittest.main()
