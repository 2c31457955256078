import contextlib
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from client.cli.starts import BEGINNING, END, BadStart, Start, offset_of, start_of

NOW_MS = 1_700_000_000_000


class StartTest(unittest.TestCase):
    def test_what_can_be_typed(self) -> None:
        for text, start in (
            ("beginning", BEGINNING),
            ("earliest", BEGINNING),
            ("end", END),
            ("0", Start("offset", 0)),
            ("17", Start("offset", 17)),
            ("-3", Start("last", 3)),
            ("-90s", Start("time", NOW_MS - 90_000)),
            ("-2h", Start("time", NOW_MS - 7_200_000)),
            ("@123", Start("time", 123)),
            ("2023-11-14T22:13:20Z", Start("time", NOW_MS)),
            ("2023-11-14T22:13:20.5+00:00", Start("time", NOW_MS + 500)),
        ):
            self.assertEqual(start_of(text, NOW_MS), start, text)

    def test_what_is_none_of_them_says_what_can_be(self) -> None:
        for text in ("", "now", "1.5", "-", "-5y", "@", "2023-13-01", "1" * 30):
            with self.assertRaisesRegex(BadStart, "beginning, end"):
                start_of(text, NOW_MS)

    def test_offsets(self) -> None:
        for start, offset in (
            (BEGINNING, 10),
            (END, 20),
            (Start("last", 3), 17),
            (Start("last", 99), 10),
            (Start("offset", 15), 15),
            (Start("offset", 20), 20),
            (Start("time", 1), 12),
        ):
            self.assertEqual(offset_of(start, 10, 20, 12), offset, start)
        self.assertEqual(offset_of(Start("time", 1), 10, 20, None), 20)

    def test_an_offset_that_is_not_there_is_no_start(self) -> None:
        for offset in (9, 21):
            with self.assertRaisesRegex(BadStart, "10 to 20"):
                offset_of(Start("offset", offset), 10, 20, None)

    @settings(deadline=None)
    @given(st.text(max_size=12))
    def test_any_text_is_a_start_or_a_bad_one(self, text: str) -> None:
        with contextlib.suppress(BadStart):
            start_of(text, NOW_MS)


if __name__ == "__main__":
    unittest.main()
