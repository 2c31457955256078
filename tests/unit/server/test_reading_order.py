"""`server.reading_order`: whose turn it is, and that no message is lost or taken for acknowledged."""

import unittest
from dataclasses import replace

from hypothesis import given as with_drawn
from hypothesis import settings
from hypothesis import strategies as st

from server.reading_order import acknowledged, avoided, given, in_turn, position, taken
from wire.http_queue import Cursor, Registration

ALL = Registration("T", None, "*", {0: 3, 1: 0})


class TurnsTest(unittest.TestCase):
    def test_in_turn(self) -> None:
        self.assertEqual(in_turn(Cursor(), ALL, 3), (0, 1, 2))
        self.assertEqual(in_turn(Cursor(turn=2), ALL, 3), (2, 0, 1))
        self.assertEqual(in_turn(Cursor(turn=5), ALL, 3), (0, 1, 2))
        self.assertEqual(in_turn(Cursor(turn=1), Registration("T", 4, "P5"), 1), (4,))

    def test_positions(self) -> None:
        self.assertEqual([position(Cursor(), ALL.ends, at) for at in (0, 1, 2)], [3, 0, 0])
        self.assertEqual(position(Cursor(positions={0: 9}), ALL.ends, 0), 9)

    def test_taken(self) -> None:
        cursor = taken(Cursor(positions={0: 5}, given=(1, 7), acked=(0, 4)), (1, 7), 2)
        self.assertEqual(cursor, Cursor(positions={0: 5, 1: 8}, turn=0))


class AckTest(unittest.TestCase):
    def test_nothing_was_given(self) -> None:
        self.assertEqual(acknowledged(Cursor(), 5), (Cursor(), None))

    def test_the_given_one(self) -> None:
        cursor = given(Cursor(), (1, 7), 3)
        self.assertEqual((cursor.given, cursor.positions, cursor.turn), ((1, 7), {}, 2))
        after, again = acknowledged(cursor, 7)
        self.assertEqual((after.positions, after.given, after.acked, again), ({1: 8}, None, (1, 7), None))

    def test_another_ack_gets_it_again(self) -> None:
        cursor = given(Cursor(), (1, 7), 3)
        for ack in (-1, 6, 8):
            self.assertEqual(acknowledged(cursor, ack), (cursor, (1, 7)))

    def test_an_ack_that_may_mean_either(self) -> None:
        cursor = given(Cursor(acked=(0, 7)), (1, 7), 2)
        self.assertTrue(avoided(Cursor(acked=(0, 7)), (1, 7)))
        after, again = acknowledged(cursor, 7)
        self.assertEqual((after, again), (replace(cursor, again=True), (1, 7)))
        after, again = acknowledged(after, 7)
        self.assertEqual((after.positions, again), ({1: 8}, None))

    def test_what_is_avoided(self) -> None:
        cursor = Cursor(acked=(0, 7))
        self.assertEqual(
            [avoided(cursor, place) for place in ((0, 8), (1, 8), (0, 7), (1, 7))], [False, False, False, True]
        )
        self.assertFalse(avoided(Cursor(), (1, 7)))

    @settings(deadline=None)
    @with_drawn(st.lists(st.lists(st.none(), max_size=4), min_size=1, max_size=3), st.lists(st.booleans(), max_size=40))
    def test_law_lost_answers_lose_nothing(self, logs: list[list[None]], lost: list[bool]) -> None:
        """An answer may be lost at any time, but not two in a row: none is acknowledged that the client hasn't seen."""
        cursor, ack, seen = Cursor(), -1, set[tuple[int, int]]()
        was_lost = False
        for is_lost in [*lost, *[False] * 40]:
            after, again = acknowledged(cursor, ack)
            self.assertLessEqual({(p, at) for p, end in after.positions.items() for at in range(end)}, seen)
            place = again or self.next_of(after, logs)
            cursor = after if again or place is None else given(after, place, len(logs))
            was_lost = is_lost and not was_lost
            if place is not None and not was_lost:
                seen.add(place)
                ack = place[1]
        self.assertEqual(seen, {(p, at) for p, log in enumerate(logs) for at in range(len(log))})

    def next_of(self, cursor: Cursor, logs: list[list[None]]) -> tuple[int, int] | None:
        """As a replica chooses it."""
        due = [(p, position(cursor, {}, p)) for p in in_turn(cursor, Registration("T"), len(logs))]
        there = [(p, at) for p, at in due if at < len(logs[p])]
        return next((place for place in there if not avoided(cursor, place)), there[0] if there else None)


if __name__ == "__main__":
    unittest.main()
