import unittest

from client.cli.telling import Telling
from client.errors import CarouselError, NotAllowed, error_of
from client.values import Message

PLACE = ("T1", 0)


def messages(*offsets: int) -> list[Message]:
    return [Message("T1", 0, offset, None, None, (), 0) for offset in offsets]


class TellingTest(unittest.TestCase):
    def setUp(self) -> None:
        self.answers: list[str] = []
        self.telling = Telling(self.commit)

    def commit(self) -> None:
        if self.answers:
            raise error_of(self.answers.pop(), "no", "committing")

    def test_told_is_owed_no_more(self) -> None:
        self.telling.hand(messages(0, 1))
        self.assertTrue(self.telling.owes([PLACE]))
        self.assertTrue(self.telling.tell())
        self.assertFalse(self.telling.owes([PLACE]))

    def test_after_the_group_moved_on_it_is_owed_until_it_came_again(self) -> None:
        for code in ("UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS"):
            self.setUp()
            self.answers = [code]
            self.telling.hand(messages(0, 1, 2))
            self.assertFalse(self.telling.tell())
            self.assertTrue(self.telling.tell())  # there is nothing to tell: we have just joined
            self.assertTrue(self.telling.owes([PLACE]))
            for offsets, owes in (((0, 1), True), ((2,), False)):
                self.telling.hand(messages(*offsets))
                self.assertTrue(self.telling.tell())
                self.assertEqual(self.telling.owes([PLACE]), owes)

    def test_a_coordinator_that_is_away_is_told_next_time(self) -> None:
        self.answers = ["COORDINATOR_NOT_AVAILABLE"]
        self.telling.hand(messages(0))
        self.assertFalse(self.telling.tell())
        self.assertTrue(self.telling.tell())
        self.assertFalse(self.telling.owes([PLACE]))

    def test_what_is_somebody_else_s_now_is_not_ours_to_tell(self) -> None:
        self.telling.hand(messages(0))
        self.assertFalse(self.telling.owes([("T1", 1)]))

    def test_what_waiting_does_not_mend_is_raised(self) -> None:
        for code, kind in (("GROUP_AUTHORIZATION_FAILED", NotAllowed), ("UNKNOWN", CarouselError)):
            self.answers = [code]
            with self.assertRaises(kind):
                self.telling.tell()


if __name__ == "__main__":
    unittest.main()
