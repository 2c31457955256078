import io
import unittest
from dataclasses import dataclass
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from client.cli.formats import BadFormat, Headers, json_line
from client.cli.lines import BadLine, Record, Shape, header_of, lines_of, record_of


@dataclass(frozen=True, slots=True)
class Message:
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    topic: str = "T1"
    partition: int = 3
    offset: int = 9


class LinesTest(unittest.TestCase):
    def test_lines_are_numbered_and_the_last_one_needs_no_newline(self) -> None:
        file = io.BytesIO(b"a\n\nb\r\nc")
        self.assertEqual(list(lines_of(file)), [(1, b"a"), (2, b""), (3, b"b\r"), (4, b"c")])

    def test_a_line_without_end_is_refused(self) -> None:
        with mock.patch("client.cli.lines.LINE_BYTES", 4), self.assertRaisesRegex(BadLine, "line 2 is longer"):
            list(lines_of(io.BytesIO(b"abc\nabcdef")))

    def test_key_and_value(self) -> None:
        shape = Shape(key_separator=b":", partition=2, headers=(("h", b"x"),))
        self.assertEqual(record_of(1, b"k:v:w", shape), Record(b"v:w", b"k", (("h", b"x"),), 2))
        with self.assertRaisesRegex(BadLine, "line 7 has no key"):
            record_of(7, b"v", shape)

    def test_an_empty_value_is_a_tombstone_where_that_is_asked_for(self) -> None:
        self.assertEqual(record_of(1, b"k:", Shape(b":")).value, b"")
        self.assertIsNone(record_of(1, b"k:", Shape(b":", tombstones=True)).value)

    @settings(deadline=None)
    @given(
        st.builds(
            Message,
            st.none() | st.binary(),
            st.none() | st.binary(),
            st.lists(st.tuples(st.text(), st.none() | st.binary())).map(tuple),
            st.integers(0, 1 << 40),
        )
    )
    def test_what_consume_writes_is_read(self, message: Message) -> None:
        record = record_of(1, json_line(message).removesuffix(b"\n"), Shape(as_json=True))
        self.assertEqual(record, Record(message.value, message.key, tuple(message.headers), None, message.timestamp_ms))

    def test_headers_of_an_object_stand_behind_those_given(self) -> None:
        record = record_of(1, b'{"value": "v", "headers": {"b": "2"}}', Shape(as_json=True, headers=(("a", b"1"),)))
        self.assertEqual(record.headers, (("a", b"1"), ("b", b"2")))

    def test_json_that_can_t_be_read_names_the_line_and_the_field(self) -> None:
        for line, reason in (
            (b"{", "line 5 is no JSON: Expecting .* at character 2$"),
            (b"[]", "line 5: it is no JSON object"),
            (b"hello", "line 5 is no JSON: "),
            (b"\xff\xfe", "line 5 is no JSON: "),
            (b'{"vaule": "x"}', 'line 5: "vaule" is none of'),
            (b'{"value": 5}', 'line 5: "value" is not a string'),
            (b'{"timestamp_ms": true}', "no integer"),
            (b'{"headers": 5}', "no list of pairs"),
            (b'{"headers": ["a"]}', "no pair of a name"),
            (b'{"headers": [["a", 5]]}', '"headers: a" is not a string'),
        ):
            with self.assertRaisesRegex(BadLine, reason):
                record_of(5, line, Shape(as_json=True))

    def test_a_header_as_it_is_typed(self) -> None:
        self.assertEqual(header_of("a=b=c"), ("a", b"b=c"))
        for text in ("a", "=b"):
            with self.assertRaisesRegex(BadFormat, "name=value"):
                header_of(text)


if __name__ == "__main__":
    unittest.main()
