import unittest
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as some

from client.assignments import parse
from client.consume_log import (
    Record,
    Taken,
    decode_record,
    encode_record,
    late_places,
    line_of,
    missing,
    name_of,
    starts,
    text_of,
    wanted_places,
    ways,
)
from client.errors import ConfigError
from client.values import Offsets

NAMES = {"T1": ("P1", "P2"), "T2": ("north",)}
TOPICS = some.from_regex(r"\A[a-z]{1,5}\Z")


class LineTest(unittest.TestCase):
    def test_place_five_blanks_message(self) -> None:
        self.assertEqual(line_of("T1:P1", "INFO"), b"T1:P1     INFO\n")
        self.assertEqual(line_of("T1:P1", ""), b"T1:P1     \n")

    @settings(deadline=None)
    @given(some.text(alphabet=some.characters(exclude_categories=("Cs",))))
    def test_a_message_is_one_line(self, message: str) -> None:
        self.assertEqual(line_of("T", message).count(b"\n"), 1)

    def test_text(self) -> None:
        self.assertEqual(text_of("ünï".encode()), "ünï")
        self.assertEqual(text_of(b"\xff"), "\ufffd")
        self.assertEqual(text_of(None), "")


class WaysTest(unittest.TestCase):
    def test_a_run_goes_the_way_of_the_one_before(self) -> None:
        taken, positions = {"T1:*": Taken(3)}, {("T1", 0): 7}
        self.assertEqual(ways(None), (False, False))
        self.assertEqual(ways(Record(0)), (False, False))
        self.assertEqual(ways(Record(0, taken=taken)), (True, False))
        self.assertEqual(ways(Record(0, positions)), (False, True))
        self.assertEqual(ways(Record(0, positions, taken)), (False, True))


class PlacesTest(unittest.TestCase):
    def test_wanted(self) -> None:
        wanted = [parse("T1:*"), parse("T1:P2"), parse("T2:north"), parse("T3:*")]
        self.assertEqual(wanted_places(wanted, NAMES), [("T1", 0), ("T1", 1), ("T2", 0)])
        self.assertEqual(missing(wanted, NAMES), ["T3"])
        self.assertEqual(missing([parse("T2:south"), parse("T1:*")], NAMES), ["T2:south"])
        self.assertEqual(name_of(("T2", 0), NAMES), "T2:north")

    def test_late(self) -> None:
        places = [("T1", 0), ("T1", 1), ("T2", 0)]
        self.assertEqual(late_places(places, places, ()), frozenset())
        self.assertEqual(late_places(places, places[:1], ()), {("T1", 1), ("T2", 0)})
        self.assertEqual(late_places(places, places, ("T1:*", "T2:north")), {("T1", 0), ("T1", 1)})


class StartsTest(unittest.TestCase):
    OFFSETS: Final = {("T", index): Offsets(10, 20) for index in range(4)}

    def test_a_known_place_goes_on_a_new_one_starts_at_the_end_a_late_one_at_the_beginning(self) -> None:
        found, words = starts([("T", 0), ("T", 1), ("T", 2)], {("T", 0): 15}, self.OFFSETS, {("T", 0), ("T", 2)})
        self.assertEqual(found, {("T", 0): 15, ("T", 1): 20, ("T", 2): 10})
        self.assertEqual(words, [])

    def test_a_position_that_is_gone(self) -> None:
        for gone in (9, 21):
            found, words = starts([("T", 0)], {("T", 0): gone}, self.OFFSETS, ())
            self.assertEqual(found, {("T", 0): 10})
            self.assertEqual(words, [f"T, partition 0: offset {gone} is gone, going on at 10"])
        for kept in (10, 20):
            self.assertEqual(starts([("T", 0)], {("T", 0): kept}, self.OFFSETS, ()), ({("T", 0): kept}, []))


class RecordTest(unittest.TestCase):
    @settings(deadline=None)
    @given(
        some.dictionaries(some.tuples(TOPICS, some.integers(0, 9)), some.integers(0, 2**40), max_size=4),
        some.dictionaries(TOPICS, some.builds(Taken, some.integers(0, 99), some.none() | some.just(("T:P1", 5)))),
    )
    def test_there_and_back(self, positions: dict[tuple[str, int], int], taken: dict[str, Taken]) -> None:
        record = Record(12, positions, taken, ("T1:*",))
        self.assertEqual(decode_record(encode_record(record)), record)

    def test_what_no_version_wrote_is_not_passed_over(self) -> None:
        for data in (b"", b"{}", b"[]", b'{"v":2}', b'{"v":1,"size":1,"positions":[],"taken":[],"wanted":[]}'):
            with self.subTest(data), self.assertRaisesRegex(ConfigError, "remove it"):
                decode_record(data)
