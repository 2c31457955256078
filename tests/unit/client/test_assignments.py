import unittest

from hypothesis import given, settings
from hypothesis import strategies as some

from client.assignments import Assignment, names_of, parse, parse_all, resolve
from client.errors import ConfigError, PartitionNotFound
from wire.http_queue import encode_name, name_key


class ParseTest(unittest.TestCase):
    def test_forms(self) -> None:
        for text, wanted in {
            "T1": Assignment("T1", "*"),
            "T1:*": Assignment("T1", "*"),
            "T1:P2": Assignment("T1", "P2"),
            "a.b_c-d:3": Assignment("a.b_c-d", "3"),
        }.items():
            self.assertEqual(parse(text), wanted)

    def test_what_is_none(self) -> None:
        for text in ("", ":P1", "T1:", "T1:P1:P2", "T 1", "T1/2", ".", "x" * 250):
            with self.subTest(text), self.assertRaisesRegex(ConfigError, "write T1"):
                parse(text)

    @settings(deadline=None)
    @given(some.from_regex(r"\A[a-z0-9]{1,9}\Z"), some.from_regex(r"\A[A-Za-z0-9_]{1,9}\Z"))
    def test_text_and_back(self, topic: str, part: str) -> None:
        self.assertEqual(parse(str(Assignment(topic, part))), Assignment(topic, part))

    def test_several_without_repetitions_in_order(self) -> None:
        self.assertEqual(
            parse_all(["T2:P1", ("T1", 3), "T2", "T2:P1"]),
            (Assignment("T2", "P1"), Assignment("T1", "3"), Assignment("T2")),
        )
        self.assertEqual(parse_all("T1"), (Assignment("T1"),))
        with self.assertRaisesRegex(ConfigError, "no topics"):
            parse_all([])


class ResolveTest(unittest.TestCase):
    def test_all(self) -> None:
        self.assertEqual(resolve(Assignment("T", "*"), 3, {}), (0, 1, 2))

    def test_usual_names_and_numbers(self) -> None:
        self.assertEqual(resolve(Assignment("T", "P1"), 3, {}), (0,))
        self.assertEqual(resolve(Assignment("T", "P3"), 3, {}), (2,))
        self.assertEqual(resolve(Assignment("T", "2"), 3, {}), (2,))

    def test_a_given_name_goes_before(self) -> None:
        given = {0: "north", 1: "P1", 2: "0"}
        self.assertEqual(resolve(Assignment("T", "north"), 3, given), (0,))
        self.assertEqual(resolve(Assignment("T", "P1"), 3, given), (1,))
        self.assertEqual(resolve(Assignment("T", "0"), 3, given), (2,))
        self.assertEqual(resolve(Assignment("T", "1"), 3, given), (1,))

    def test_what_is_not_there_names_what_is(self) -> None:
        for part in ("P4", "3", "P0", "south"):
            with self.subTest(part), self.assertRaisesRegex(PartitionNotFound, "T has the partitions P1, P2, P3"):
                resolve(Assignment("T", part), 3, {})


class NamesTest(unittest.TestCase):
    def test_the_last_record_counts(self) -> None:
        records = [
            (name_key("T1", 0), encode_name("a")),
            (name_key("T1", 1), encode_name("b")),
            (name_key("T2", 0), encode_name("c")),
            (name_key("T1", 0), encode_name("d")),
            (name_key("T2", 0), None),
            (name_key("T3", 0), None),
            (b"a stranger's", b"{}"),
            (None, None),
        ]
        self.assertEqual(names_of(records), {"T1": {0: "d", 1: "b"}, "T2": {}})
