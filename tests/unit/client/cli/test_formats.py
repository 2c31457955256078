import json
import unittest
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from client.cli.formats import BadFormat, Headers, as_json, compiled, json_line, json_of, of_json, unescaped


@dataclass(frozen=True, slots=True)
class Message:
    topic: str = "T1"
    partition: int = 1
    offset: int = 7
    key: bytes | None = b"k"
    value: bytes | None = b"v\xff"
    headers: Headers = (("a", b"1"), ("b", None))
    timestamp_ms: int = 1700000000123


class FormatTest(unittest.TestCase):
    def test_kcat_s_letters(self) -> None:
        for text, written in (
            (r"%s\n", b"v\xff\n"),
            ("%t:%p@%o %T", b"T1:1@7 1700000000123"),
            ("%k=%s (%K,%S)", b"k=v\xff (1,2)"),
            ("[%h]", b"[a=1,b=NULL]"),
            ("%R%s", b"\0\0\0\2v\xff"),
            (r"100%% \x41\t%p\\\0", b"100% A\t1\\\0"),
            ("ä%s", b"\xc3\xa4v\xff"),
        ):
            self.assertEqual(compiled(text)(Message()), written, text)

    def test_null_is_empty_and_its_length_is_minus_one(self) -> None:
        self.assertEqual(compiled("%k|%s|%K %S %R")(Message(key=None, value=None)), b"||-1 -1 \xff\xff\xff\xff")

    def test_what_is_no_format_says_which_letters_there_are(self) -> None:
        for text in ("%x", r"\q%s", "plain", ""):
            with self.assertRaisesRegex(BadFormat, "%s|not one of"):
                compiled(text)

    def test_separators_as_they_are_typed(self) -> None:
        self.assertEqual(unescaped(r"\t"), b"\t")
        self.assertEqual(unescaped("%:"), b"%:")
        self.assertEqual(unescaped("100%"), b"100%")
        with self.assertRaises(BadFormat):
            unescaped(r"\q")


class JsonTest(unittest.TestCase):
    @settings(deadline=None)
    @given(st.none() | st.binary())
    def test_bytes_come_back(self, data: bytes | None) -> None:
        self.assertEqual(of_json(json.loads(json.dumps(json_of(data))), "value"), data)

    def test_a_message_is_one_line(self) -> None:
        line = json_line(Message(value=b"a\nb"))
        self.assertEqual(line.count(b"\n"), 1)
        self.assertEqual(json.loads(line), as_json(Message(value=b"a\nb")))

    def test_no_time_is_null(self) -> None:
        self.assertIsNone(as_json(Message(timestamp_ms=-1))["timestamp_ms"])

    def test_what_is_neither_string_nor_base64_is_named(self) -> None:
        for found in (1, ["a"], {"base64": "!"}, {"base64": 1}, {"a": "b"}, {}):
            with self.assertRaisesRegex(BadFormat, '"value"'):
                of_json(found, "value")


if __name__ == "__main__":
    unittest.main()
