import io
import unittest
from collections import Counter

from rich.console import Console

from client.examples.outcome import faults, received, report, sent, shortened

PRODUCED = ("21:52:23  a1  *  T1\n21:52:24  b1  P1  T2\n", "21:52:23  a2  P2  T1\n")
ONE = received("T1:P1     a1\nT1:P2     a2\nT2:P1     b1\n")
TWO = received("T1:P2     a2\nT2:P1     b1\n")
WANTED = {1: ("T1:*", "T2:P1"), 2: ("T2:*", "T1:P2")}


class OutcomeTest(unittest.TestCase):
    def test_what_was_sent_and_received(self) -> None:
        self.assertEqual(sent(PRODUCED), {"T1": Counter(("a1", "a2")), "T2": Counter(("b1",))})
        self.assertEqual(ONE, {"T1:P1": ["a1"], "T1:P2": ["a2"], "T2:P1": ["b1"]})
        self.assertEqual(faults({1: ONE, 2: TWO}, WANTED, sent(PRODUCED)), [])

    def test_what_is_missing_doubled_or_out_of_order_is_told(self) -> None:
        for one, fault in (
            ({**ONE, "T1:P1": []}, "consumer 1 got a1 of T1 0 times, sent 1 times"),
            ({**ONE, "T1:P1": ["a1", "a1"]}, "consumer 1 got a1 of T1 2 times, sent 1 times"),
            ({**ONE, "T2:P1": ["b1", "b2"]}, "consumers 1 and 2 differ in T2:P1"),
        ):
            self.assertEqual(faults({1: one, 2: TWO}, WANTED, sent(PRODUCED)), [fault])

    def test_the_table_fits_a_terminal(self) -> None:
        console = Console(file=io.StringIO(), width=1000)
        console.print(report({1: {**ONE, "T1:P1": [f"message-{number}" for number in range(99)]}}))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertRegex(text, r"1 +T1:P1 +99 +message-0 message-1 .*…")

    def test_shortened(self) -> None:
        self.assertEqual(shortened(["aa", "bb", "cc"], 6), "aa bb …")
        self.assertEqual(shortened(["aa", "bb"], 6), "aa bb")


if __name__ == "__main__":
    unittest.main()
