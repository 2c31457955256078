import unittest
from dataclasses import dataclass
from typing import Any

from client.cli.positions import BadPosition, Position, advanced, position_of, unwritten

POSITION = Position(1234, {("T1", 0): 5, ("T1", 1): 7, ("T2", 0): 1})


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    partition: int
    offset: int
    key: Any = None
    value: Any = None
    headers: Any = ()
    timestamp_ms: int = -1


class PositionTest(unittest.TestCase):
    def test_it_comes_back(self) -> None:
        self.assertEqual(position_of(POSITION.dump()), POSITION)

    def test_what_is_none_is_refused(self) -> None:
        for found in (
            {},
            {**POSITION.dump(), "v": 9},
            {**POSITION.dump(), "next": {"T1": 5}},
            {**POSITION.dump(), "next": 5},
        ):
            with self.assertRaises(BadPosition):
                position_of(found)

    def test_what_the_file_holds_is_not_written_again(self) -> None:
        messages = [Message("T1", 0, 4), Message("T1", 0, 5), Message("T2", 0, 0), Message("T3", 0, 0)]
        self.assertEqual(unwritten(messages, POSITION.next), [messages[1], messages[3]])
        following = dict(POSITION.next)
        advanced(following, messages)
        self.assertEqual(following, {("T1", 0): 6, ("T1", 1): 7, ("T2", 0): 1, ("T3", 0): 1})


if __name__ == "__main__":
    unittest.main()
