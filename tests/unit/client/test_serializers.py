import unittest
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from client.errors import BadValue, ConfigError
from client.serializers import DESERIALIZERS, SERIALIZERS, decode, deserializer_of, encode, serializer_of

PLAIN = some.none() | some.booleans() | some.integers(-(2**63), 2**63 - 1) | some.floats(allow_nan=False) | some.text()
NESTED = some.recursive(
    PLAIN.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=10,
)


class SerializersTest(unittest.TestCase):
    def test_each_name_goes_both_ways(self) -> None:
        self.assertEqual(set(SERIALIZERS), set(DESERIALIZERS))
        for name, value in {"bytes": b"\xff\0", "str": "ünï ✓", "json": {"a": [1, None]}, "msgpack": {1: b"x"}}.items():
            with self.subTest(name):
                self.assertEqual(DESERIALIZERS[name](SERIALIZERS[name](value)), value)

    @settings(deadline=None)
    @given(NESTED)
    def test_json_and_msgpack_give_back_what_they_took(self, value: Any) -> None:
        for name in ("json", "msgpack"):
            self.assertEqual(DESERIALIZERS[name](SERIALIZERS[name](value)), value)

    @settings(deadline=None)
    @given(some.text(alphabet=some.characters(exclude_categories=("Cs",))), some.binary())
    def test_text_and_bytes_too(self, text: str, data: bytes) -> None:
        self.assertEqual(DESERIALIZERS["str"](SERIALIZERS["str"](text)), text)
        self.assertEqual(DESERIALIZERS["bytes"](SERIALIZERS["bytes"](data)), data)

    def test_what_the_docstring_says(self) -> None:
        self.assertEqual(SERIALIZERS["json"]({"a": float("nan"), "b": 1}), b'{"a":null,"b":1}')
        self.assertEqual(SERIALIZERS["json"](datetime(2026, 1, 2, tzinfo=UTC)), b'"2026-01-02T00:00:00+00:00"')
        moment = datetime(2026, 1, 2, tzinfo=UTC)
        self.assertEqual(DESERIALIZERS["msgpack"](SERIALIZERS["msgpack"](moment)), moment)
        self.assertEqual(SERIALIZERS["bytes"](bytearray(b"x")), b"x")

    def test_a_function_is_taken_as_it_is(self) -> None:
        self.assertIs(serializer_of(repr), repr)  # type: ignore[arg-type]
        self.assertEqual(deserializer_of(len)(b"four"), 4)

    def test_an_unknown_name(self) -> None:
        with self.assertRaisesRegex(ConfigError, "no serializer is called 'yaml': name one of bytes, str, json"):
            serializer_of("yaml")  # type: ignore[arg-type]
        with self.assertRaisesRegex(ConfigError, "no deserializer"):
            deserializer_of("yaml")  # type: ignore[arg-type]

    def test_a_value_that_can_not_be_written_or_read(self) -> None:
        for name, value in {"bytes": "text", "str": b"bytes", "json": object(), "msgpack": object()}.items():
            with (
                self.subTest(name),
                self.assertRaisesRegex(BadValue, "^a value for T1 can't be serialized: .*") as caught,
            ):
                encode(SERIALIZERS[name], value, "a value for T1")
            self.assertIsNotNone(caught.exception.__cause__)
        for name, data in {"str": b"\xff", "json": b"{", "msgpack": b"\xc1"}.items():
            with self.subTest(name), self.assertRaisesRegex(BadValue, "^the value of T1, partition 0, offset 7 can't"):
                decode(DESERIALIZERS[name], data, "T1, partition 0, offset 7")
