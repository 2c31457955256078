import io
import unittest

from rich.console import Console

from client.examples.outcome import count, faults, received, report, sent, shortened, wanted

NAMES = {"T1": ("P1", "P2"), "T2": ("P1", "P2")}
FILES = (
    ("1  a1  *  T1\n1  b1  P1  T2\n1  a2  *  T1\n", ("T1:*", "T2:P1")),
    ("1  c1  P2  T1\n1  c2  *  T1\n", ("T1:P2",)),
)
SENT = {"T1:P1": [["a1"]], "T1:P2": [["a2"], ["c1", "c2"]], "T2:P1": [["b1"]]}


class OutcomeTest(unittest.TestCase):
    def test_what_goes_where(self) -> None:
        self.assertEqual(sent(FILES, NAMES), SENT)
        self.assertEqual(wanted(("T2:*", "T1:P1"), SENT), {"T1:P1": [["a1"]], "T2:P1": [["b1"]]})
        self.assertEqual(count(SENT), 5)

    def test_producers_may_be_mixed_but_each_keeps_its_order(self) -> None:
        for mixed in ("a2 c1 c2", "c1 a2 c2", "c1 c2 a2"):
            got = received("T1:P1     a1\n" + "".join(f"T1:P2     {one}\n" for one in mixed.split()) + "T2:P1     b1\n")
            self.assertEqual(faults(1, got, SENT), [])

    def test_what_is_missing_doubled_strange_or_out_of_order_is_told(self) -> None:
        got = {"T1:P1": ["a1"], "T1:P2": ["a2", "c1", "c2"], "T2:P1": ["b1"]}
        for place, messages, fault in (
            ("T1:P1", [], "consumer 1 got 0 messages of T1:P1, not 1"),
            ("T1:P1", ["a1", "a1"], "consumer 1 got 2 messages of T1:P1, not 1"),
            ("T9:P1", ["x"], "consumer 1 got 1 messages of T9:P1, not 0"),
            ("T2:P1", ["x"], "consumer 1 got T2:P1 in another order than it was sent"),
            ("T1:P2", ["a2", "c2", "c1"], "consumer 1 got T1:P2 in another order than it was sent"),
        ):
            self.assertEqual(faults(1, {**got, place: messages}, SENT), [fault])

    def test_the_table_fits_a_terminal(self) -> None:
        console = Console(file=io.StringIO(), width=1000)
        console.print(report({1: {"T1:P1": [f"message-{number}" for number in range(99)]}}))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertRegex(text, r"1 +T1:P1 +99 +message-0 message-1 .*…")

    def test_shortened(self) -> None:
        self.assertEqual(shortened(["aa", "bb", "cc"], 6), "aa bb …")
        self.assertEqual(shortened(["aa", "bb"], 6), "aa bb")


if __name__ == "__main__":
    unittest.main()
