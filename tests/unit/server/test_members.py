"""`server.members`: a roster, and that its kept counts are what counting anew would yield."""

import unittest
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from server.members import Member, Roster, member_of, stored_member
from server.now import Now
from wire.errors import ErrorCode

NAMES: Final = ("range", "roundrobin", "sticky")
PROTOCOLS: Final = st.lists(st.sampled_from(NAMES), min_size=1, unique=True)


def member(member_id: str, *names: str, instance: str | None = None) -> Member:
    return Member(member_id, instance, "c", "/h", 10, 20, tuple((name, name.encode()) for name in names))


def roster_of(*members: Member) -> Roster:
    roster = Roster()
    for one in members:
        roster.add(one)
    return roster


class ProtocolTest(unittest.TestCase):
    @given(st.lists(PROTOCOLS, min_size=1, max_size=5), st.data())
    def test_support_is_what_counting_anew_yields(self, preferences: list[list[str]], data: st.DataObject) -> None:
        roster = roster_of(*[member(str(at), *names) for at, names in enumerate(preferences)])
        for one in list(roster.members.values())[1:]:
            change = data.draw(st.sampled_from(("keep", "remove", "change")))
            if change == "remove":
                roster.remove(one)
            elif change == "change":
                roster.change(one, tuple((name, b"") for name in data.draw(PROTOCOLS)), 1, 2)
        for name in NAMES:
            everyone = all(name in one.names for one in roster.members.values())
            self.assertEqual(roster.supports([name]), everyone)

    def test_the_one_most_prefer_of_those_that_all_share(self) -> None:
        roster = roster_of(
            member("a", "sticky", "range", "roundrobin"),
            member("b", "range", "roundrobin"),
            member("c", "roundrobin", "range"),
        )
        self.assertEqual(roster.choose(), "range")

    def test_of_two_the_first_members(self) -> None:
        self.assertEqual(roster_of(member("a", "x", "y"), member("b", "y", "x")).choose(), "x")


class LeaderTest(unittest.TestCase):
    def test_the_next_follows_when_one_goes(self) -> None:
        a, b = member("a", "x"), member("b", "x")
        roster = roster_of(a, b)
        roster.remove(a)
        self.assertEqual(roster.leader, "b")
        roster.remove(b)
        self.assertIsNone(roster.leader)

    def test_one_that_has_joined_is_elected(self) -> None:
        a, b = member("a", "x"), member("b", "x")
        roster = roster_of(a, b)
        self.assertFalse(roster.elect())
        roster.park_join(b, 1)
        self.assertTrue(roster.elect())
        self.assertEqual(roster.leader, "b")

    def test_one_that_leads_and_has_joined_stays(self) -> None:
        a, b = member("a", "x"), member("b", "x")
        roster = roster_of(a, b)
        roster.leader = "b"
        roster.park_join(a, 1)
        roster.park_join(b, 2)
        self.assertTrue(roster.elect())
        self.assertEqual(roster.leader, "b")


class StaticTest(unittest.TestCase):
    def test_a_new_id_keeps_place_and_leadership(self) -> None:
        a = member("a", "x", instance="i")
        roster = roster_of(a, member("b", "x"))
        roster.park_join(a, 1)
        roster.rename(a, "a2")
        self.assertEqual((list(roster.members), roster.leader, roster.static("i")), (["a2", "b"], "a2", "a2"))
        self.assertEqual(roster.joining, {"a2"})

    def test_who_is_who(self) -> None:
        roster = roster_of(member("a", "x", instance="i"), member("b", "x"))
        asked = [("a", "i"), ("b", None), ("a", None), ("b", "i"), ("b", "j"), ("c", None)]
        codes = [roster.check(*one) for one in asked]
        ok, unknown = ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID
        self.assertEqual(codes, [ok, ok, ok, ErrorCode.FENCED_INSTANCE_ID, unknown, unknown])


class WaitingTest(unittest.TestCase):
    def test_all_have_joined_when_no_id_is_outstanding(self) -> None:
        a = member("a", "x")
        roster = roster_of(a)
        self.assertIsNone(roster.park_join(a, 1))
        self.assertEqual(roster.park_join(a, 2), 1)
        self.assertTrue(roster.all_joined)
        roster.pending["b"] = 5
        self.assertFalse(roster.all_joined)
        roster.add(member("b", "x"))
        self.assertFalse(roster.all_joined)
        self.assertEqual(roster.unpark_join(a), 2)


class StoredTest(unittest.TestCase):
    def test_there_and_back(self) -> None:
        a = member("a", "x", "y", instance="i")
        back = member_of(stored_member(a, "y", b"assigned"), "y", Now(100, 0))
        self.assertEqual((back.member_id, back.instance_id, back.assignment), ("a", "i", b"assigned"))
        self.assertEqual((back.protocols, back.expires_ms), ((("y", b"y"),), 110))
        self.assertEqual(stored_member(back, "y", None), stored_member(a, "y", b"assigned"))
