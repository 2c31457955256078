"""`server.read_windows`: a slow twin that keeps every message agrees, as far as windows are kept."""

import tracemalloc
import unittest
from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from server.read_windows import MESSAGE_BYTES, WINDOW_BYTES, Message, Window, Windows

P = ("T", 0)


def window(start: int, *offsets: int, size: int = 10) -> Window:
    return Window(start, max(offsets, default=start) + 1, [Message(offset, b"x" * size) for offset in offsets])


class Asked(int):
    """An offset that counts the comparisons with it."""

    compared: ClassVar[int] = 0

    def _counted(self, holds: bool) -> bool:
        Asked.compared += 1
        return holds

    def __lt__(self, other: int) -> bool:
        return self._counted(int.__lt__(self, other))

    def __le__(self, other: int) -> bool:
        return self._counted(int.__le__(self, other))

    def __gt__(self, other: int) -> bool:
        return self._counted(int.__gt__(self, other))

    def __ge__(self, other: int) -> bool:
        return self._counted(int.__ge__(self, other))


class WindowsTest(unittest.TestCase):
    def test_the_first_message_from_there_on(self) -> None:
        windows = Windows()
        windows.add(P, window(5, 5, 6, 9))
        found = [message and message.offset for message in (windows.find(P, at) for at in (4, 5, 6, 7, 9, 10))]
        self.assertEqual(found, [None, 5, 6, 9, 9, None])
        self.assertIsNone(windows.find(("T", 1), 5))

    def test_an_empty_one_is_not_kept(self) -> None:
        windows = Windows()
        windows.add(P, Window(5, 9, []))
        self.assertIsNone(windows.find(P, 5))

    def test_the_one_used_longest_ago_goes_first(self) -> None:
        windows = Windows(max_bytes=2 * (WINDOW_BYTES + MESSAGE_BYTES + 10))
        windows.add(P, window(0, 0))
        windows.add(P, window(1, 1))
        self.assertIsNotNone(windows.find(P, 0))
        windows.add(("T", 1), window(0, 0))
        self.assertEqual([windows.find(P, at) is None for at in (0, 1)], [False, True])

    def test_one_that_is_too_large_is_kept_alone(self) -> None:
        windows = Windows(max_bytes=1)
        windows.add(P, window(0, 0))
        windows.add(P, window(1, 1))
        self.assertEqual([windows.find(P, at) is None for at in (0, 1)], [True, False])

    def test_another_window_from_the_same_offset(self) -> None:
        windows = Windows()
        windows.add(P, window(0, 0))
        windows.add(P, window(0, 0, 1))
        found = windows.find(P, 1)
        self.assertEqual(found and found.offset, 1)

    def test_a_log_that_is_another(self) -> None:
        windows = Windows()
        windows.add(P, window(0, 0))
        windows.add(P, window(3, 3))
        windows.add(("T2", 0), window(0, 0))
        windows.forget("T")
        self.assertEqual([windows.find(P, at) for at in (0, 3)], [None, None])
        self.assertIsNotNone(windows.find(("T2", 0), 0))
        windows.add(P, window(3, 3))
        self.assertIsNotNone(windows.find(P, 3))

    def test_a_reader_at_the_end_makes_a_window_of_each_message(self) -> None:
        """Ten thousands of them: a look-up doesn't go through all."""
        windows, count = Windows(), 20_000
        for at in range(count):
            windows.add(P, window(at, at))
        found = windows.find(P, Asked(count - 1)), windows.find(P, Asked(count))
        self.assertEqual([message and message.offset for message in found], [count - 1, None])
        self.assertLess(Asked.compared, 100)

    def test_windows_of_one_message_are_bounded_by_what_they_cost(self) -> None:
        windows = Windows(max_bytes=1_000_000)
        tracemalloc.start()
        try:
            for at in range(10_000):
                windows.add(P, Window(at, at + 1, [Message(at, b"%d" % at)]))
            self.assertLess(tracemalloc.get_traced_memory()[0], 1_100_000)  # free lists that are empty cost some more
        finally:
            tracemalloc.stop()

    @settings(deadline=None)
    @given(st.sets(st.integers(0, 60)), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 10)), max_size=12))
    def test_law_what_is_found_is_the_log_s_next(self, offsets: set[int], reads: list[tuple[int, int]]) -> None:
        windows = Windows(max_bytes=20 * (WINDOW_BYTES + MESSAGE_BYTES))
        for start, count in reads:
            rest = sorted(offset for offset in offsets if offset >= start)[:count]
            windows.add(P, window(start, *rest))
            for asked in range(62):
                found = windows.find(P, asked)
                if found is not None:
                    self.assertEqual(found.offset, min(offset for offset in offsets if offset >= asked))


if __name__ == "__main__":
    unittest.main()
