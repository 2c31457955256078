"""`server.http_view`: what records make of a view, and which of two replicas moves a cursor."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from server.http_view import View
from wire import http_queue as told
from wire.http_queue import CONSUMERS_TOPIC, CURSORS_TOPIC, NAMES_TOPIC, PRODUCERS_TOPIC, Cursor, Registration

WRITERS = ("a", "b", "c")


def move(sequence: int, writer: str, position: int = 0) -> bytes:
    return told.encode_cursor(Cursor(sequence, writer, {0: position}))


class ViewTest(unittest.TestCase):
    def setUp(self) -> None:
        self.view = View("a")

    def test_an_id_is_an_offset(self) -> None:
        one, other = Registration("T1"), Registration("T2", 0, "P1", {0: 5})
        self.view.apply(PRODUCERS_TOPIC, 0, b"", told.encode_registration(one))
        self.view.apply(CONSUMERS_TOPIC, 7, b"", told.encode_registration(other))
        self.view.apply(CONSUMERS_TOPIC, 8, b"", b"nonsense")
        self.assertEqual((self.view.producers, self.view.consumers), ({0: one}, {7: other}))
        self.assertEqual(self.view.positions[CONSUMERS_TOPIC], 9)

    def test_what_was_applied_is_passed_over(self) -> None:
        self.view.apply(CURSORS_TOPIC, 5, told.producer_key(0), told.encode_turn(3))
        self.view.apply(CURSORS_TOPIC, 5, told.producer_key(0), told.encode_turn(9))
        self.assertEqual(self.view.turns, {0: 3})
        self.view.reach(CURSORS_TOPIC, 4)
        self.assertEqual(self.view.positions[CURSORS_TOPIC], 6)
        self.view.reach(CURSORS_TOPIC, 40)
        self.assertEqual(self.view.positions[CURSORS_TOPIC], 40)

    def test_turns_never_go_back(self) -> None:
        for offset, turn in enumerate((1, 3, 2)):
            self.view.apply(CURSORS_TOPIC, offset, told.producer_key(0), told.encode_turn(turn))
        self.assertEqual(self.view.turns, {0: 3})

    def test_the_first_of_two_counts(self) -> None:
        key = told.consumer_key(4)
        self.view.apply(CURSORS_TOPIC, 0, key, move(1, "b", 10))
        self.view.apply(CURSORS_TOPIC, 1, key, move(1, "a", 20))
        self.assertEqual(self.view.cursors[4].positions, {0: 10})
        self.assertEqual([self.view.won(4, offset) for offset in (0, 1)], [False, False])
        self.view.apply(CURSORS_TOPIC, 2, key, move(2, "a", 30))
        self.view.apply(CURSORS_TOPIC, 3, key, move(3, "b", 40))
        self.assertTrue(self.view.won(4, 2))
        self.assertFalse(self.view.won(5, 2))

    def test_of_two_records_of_its_own_the_first_counts(self) -> None:
        """The first was given up (its acknowledgment was late), and got into the log before the second try's."""
        key = told.consumer_key(4)
        self.view.apply(CURSORS_TOPIC, 7, key, move(1, "a", 10))
        self.view.apply(CURSORS_TOPIC, 8, key, move(1, "a", 20))
        self.assertEqual([self.view.won(4, offset) for offset in (7, 8)], [True, False])

    def test_names(self) -> None:
        for partition, name in ((0, "first"), (2, "third")):
            self.view.apply(NAMES_TOPIC, partition, told.name_key("T", partition), told.encode_name(name))
        self.assertEqual(self.view.given_names("T"), {0: "first", 2: "third"})
        self.assertEqual((self.view.least_partitions("T"), self.view.least_partitions("other")), (3, 0))
        for offset, partition in ((3, 2), (4, 0), (5, 0)):
            self.view.apply(NAMES_TOPIC, offset, told.name_key("T", partition), None)
        self.assertEqual((self.view.given_names("T"), self.view.names), ({}, {}))

    def test_what_is_not_understood(self) -> None:
        for topic in told.TOPICS:
            for key, value in ((None, None), (b"{}", b"{}"), (b"x", b"x"), (told.consumer_key(0), b'{"v":2}')):
                self.view.apply(topic, self.view.positions[topic], key, value)
        self.assertEqual((self.view.cursors, self.view.turns, self.view.names), ({}, {}, {}))

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(WRITERS))))
    def test_law_exactly_one_wins_each_number(self, moves: list[tuple[int, str]]) -> None:
        """All replicas agree, whoever they are, and a number is won once."""
        views = [View(writer) for writer in WRITERS]
        won: set[int] = set()
        for offset, (sequence, writer) in enumerate(moves):
            for view in views:
                view.apply(CURSORS_TOPIC, offset, told.consumer_key(0), move(sequence, writer, offset))
            winners = [view.writer for view in views if view.won(0, offset)]
            self.assertIn(winners, ([], [writer]))
            if winners:
                self.assertNotIn(sequence, won)
                won.add(sequence)
        self.assertEqual(len({str(view.cursors) for view in views}), 1)


if __name__ == "__main__":
    unittest.main()
