import unittest

from hypothesis import given, settings
from hypothesis import strategies as some

from client.assignments import Assignment, parse
from client.produce_log import (
    Begun,
    Incompatible,
    Line,
    decode_begun,
    encode_begun,
    lacking,
    line_marked,
    mark,
    parse_lines,
    placed,
)

TOPICS = [parse("T1:P1"), parse("T2:P2"), parse("T3:*")]
FITTING = """\
21:52:23  INFO   P1  T1
21:52:24\tWARN\t*\tT2

21:52:25  DEBUG  P7  T3
21:52:26  ERROR  *   T1
"""


class ParseLinesTest(unittest.TestCase):
    def test_a_file_that_fits(self) -> None:
        self.assertEqual(
            parse_lines(FITTING, TOPICS),
            (
                Line(1, "T1", "P1", "INFO"),
                Line(2, "T2", "P2", "WARN"),
                Line(4, "T3", "P7", "DEBUG"),
                Line(5, "T1", "P1", "ERROR"),
            ),
        )

    def test_the_specs_own_line(self) -> None:
        self.assertEqual(parse_lines("21:52:23  INFO  *  T1", [parse("T1:*")]), (Line(1, "T1", "*", "INFO"),))

    def test_lines_that_do_not_fit(self) -> None:
        for text, words in {
            "21:52:23 INFO * T2": "line 1: it is for T2, and the turn is T1's",
            "\n21:52:23 INFO P9 T1": "line 2: it is for T1:P9, and the turn is T1:P1's",
            "21:52:23 two words * T1": "line 1: it has 5 fields",
            "INFO * T1": "line 1: it has 3 fields",
            "21:52:23 a * T1\n21:52:23 b * T1": "line 2: it is for T1, and the turn is T2's",
        }.items():
            with self.subTest(text), self.assertRaisesRegex(Incompatible, f"^log file:incompitable, {words}"):
                parse_lines(text, TOPICS)

    @settings(deadline=None)
    @given(some.lists(some.sampled_from(["a", "b", "c"]), max_size=12), some.integers(1, 3))
    def test_lines_made_in_turn_fit(self, words: list[str], count: int) -> None:
        topics = [parse("T1"), parse("T2:P1"), parse("T1:P2")][:count]
        text = "".join(f"1 {word} * {topics[at % count].topic}\n" for at, word in enumerate(words))
        self.assertEqual([line.message for line in parse_lines(text, topics)], words)


class PlacedTest(unittest.TestCase):
    def test_all_partitions_in_turn_and_named_ones_where_they_are(self) -> None:
        lines = [
            *(Line(number, "T1", "*", "") for number in (1, 2, 3)),
            Line(4, "T1", "b", ""),
            Line(5, "T2", "*", ""),
            Line(6, "T1", "*", ""),
        ]
        names = {"T1": ("a", "b"), "T2": ("P1",)}
        self.assertEqual([number for _, number in placed(lines, names)], [0, 1, 0, 1, 0, 1])

    def test_what_lacks(self) -> None:
        lines = [Line(1, "T1", "*", ""), Line(2, "T2", "P1", ""), Line(3, "T2", "*", ""), Line(4, "T3", "P9", "")]
        self.assertEqual(lacking(lines, {}), ["T1", "T2", "T3"])
        self.assertEqual(lacking(lines, {"T1": ("P1",), "T2": ("P2",), "T3": ("P1",)}), ["T2:P1", "T3:P9"])
        self.assertEqual(lacking(lines, {"T1": ("P1",), "T2": ("P1",), "T3": ("P9",)}), [])


class RunTest(unittest.TestCase):
    def test_a_mark_is_its_own_runs_only(self) -> None:
        self.assertEqual(line_marked(("carousel-line", mark("run", 7)), "run"), 7)
        for header in (
            ("carousel-line", mark("other", 7)),
            ("another", mark("run", 7)),
            ("carousel-line", None),
            ("carousel-line", b"run/x"),
            ("carousel-line", b"\xff"),
        ):
            self.assertIsNone(line_marked(header, "run"))

    def test_there_and_back(self) -> None:
        begun = Begun("run", "digest", {("T1", 0): 5, ("T2", 3): 0})
        self.assertEqual(decode_begun(encode_begun(begun)), begun)

    def test_what_no_version_wrote(self) -> None:
        for data in (b"", b"{}", b"[]", b'{"v": 2}', b'{"v": 1, "run": "r", "digest": "d", "ends": [[1]]}'):
            self.assertIsNone(decode_begun(data))


class AssignmentOfATurnTest(unittest.TestCase):
    def test_a_topic_without_a_partition_takes_all(self) -> None:
        self.assertEqual(parse_lines("1 m P2 T", [Assignment("T")]), (Line(1, "T", "P2", "m"),))
