import unittest

from hypothesis import given
from hypothesis import strategies as st

from analysis.queue_drills.marks import HEAD, Mark, mark_of, marked

MARKS = st.builds(Mark, st.integers(0, 99), st.integers(0, 99), st.integers(0, 1 << 40))


class MarksTest(unittest.TestCase):
    @given(MARKS, st.binary(max_size=100))
    def test_it_comes_back(self, mark: Mark, filling: bytes) -> None:
        self.assertEqual(mark_of(marked(mark, filling)), mark)

    @given(MARKS, st.binary(max_size=100), st.data())
    def test_any_changed_bit_is_seen(self, mark: Mark, filling: bytes, data: st.DataObject) -> None:
        value = bytearray(marked(mark, filling))
        value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        self.assertIsNone(mark_of(bytes(value)))

    @given(st.binary(max_size=HEAD.size - 1))
    def test_too_short(self, value: bytes) -> None:
        self.assertIsNone(mark_of(value))

    def test_cut_off(self) -> None:
        self.assertIsNone(mark_of(marked(Mark(1, 2, 3), b"filling")[:-1]))
