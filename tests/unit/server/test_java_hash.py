"""`server.java_hash`: the numbers that Java prints, and its definition word by word."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from server.java_hash import partition_of, string_hash


def by_definition(text: str) -> int:
    """s[0]*31^(n-1) + ... + s[n-1] over UTF-16 units (java.lang.String.hashCode), cut to 32 bits at the end."""
    raw = text.encode("utf-16-be", "surrogatepass")
    units = [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]
    value = sum(unit * 31 ** (len(units) - 1 - at) for at, unit in enumerate(units)) % 2**32
    return value - 2**32 if value >= 2**31 else value


class StringHashTest(unittest.TestCase):
    def test_as_java_prints_it(self) -> None:
        known = {"": 0, "a": 97, "hello": 99162322, "Hello, World!": 1498789909, "polygenelubricants": -(2**31)}
        self.assertEqual({text: string_hash(text) for text in known}, known)

    @given(st.text())
    def test_its_definition(self, text: str) -> None:
        self.assertEqual(string_hash(text), by_definition(text))


class PartitionTest(unittest.TestCase):
    def test_the_smallest_int_has_no_absolute_value(self) -> None:
        self.assertEqual(partition_of("polygenelubricants", 50), 0)

    def test_of_the_default_fifty(self) -> None:
        self.assertEqual(partition_of("hello", 50), 22)

    @given(st.text(), st.integers(1, 1000))
    def test_there_is_such_a_partition(self, text: str, partitions: int) -> None:
        self.assertIn(partition_of(text, partitions), range(partitions))
