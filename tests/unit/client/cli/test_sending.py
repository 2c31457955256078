import unittest
from concurrent.futures import Future
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from client.cli.sending import BadState, Found, State, Window, check_of, number_in, state_of
from client.produce_log import HEADER, mark

STATE = State("T1", "abcd", {0: 10, 1: 20})


@dataclass(frozen=True, slots=True)
class Sent:
    partition: int
    offset: int


class StateTest(unittest.TestCase):
    def test_it_comes_back(self) -> None:
        state = replace(STATE, lines=7, check=99)
        self.assertEqual(state_of(state.dump(), "T1"), state)

    def test_another_s_is_refused(self) -> None:
        for found, reason in (
            ({**STATE.dump(), "topic": "T2"}, "of topic T2, not T1"),
            ({**STATE.dump(), "v": 2}, "version 2"),
            ({}, "something else"),
            ({**STATE.dump(), "next": {"a": 1}}, "something else"),
            ({**STATE.dump(), "next": []}, "something else"),
        ):
            with self.assertRaisesRegex(BadState, reason):
                state_of(found, "T1")

    def test_marks(self) -> None:
        headers = (("other", mark("abcd", 1)), (HEADER, mark("dcba", 5)), (HEADER, mark("abcd", 17)))
        self.assertEqual(number_in(headers, "abcd"), 17)
        self.assertIsNone(number_in(headers, "abc"))

    def test_the_check_knows_where_lines_end(self) -> None:
        self.assertNotEqual(check_of(b"b", check_of(b"a", 0)), check_of(b"", check_of(b"ab", 0)))


class WindowTest(unittest.TestCase):
    def test_what_is_acknowledged_out_of_order_waits_for_the_gap(self) -> None:
        window, futures = Window(STATE), [Future[Sent]() for _ in range(3)]
        for number, future in enumerate(futures, 1):
            window.add(number, number * 100, future)
        futures[1].set_result(Sent(1, 20))
        window.settle()
        self.assertEqual((window.state, len(window), window.acknowledged()), (STATE, 3, 1))
        futures[0].set_result(Sent(0, 10))
        window.settle()
        self.assertEqual(window.state, State("T1", "abcd", {0: 11, 1: 21}, 2, 200))
        self.assertEqual((len(window), window.oldest()), (1, 3))

    def test_an_error_stops_the_prefix_before_it(self) -> None:
        window, bad = Window(STATE), Future[Sent]()
        window.add(1, 100, Found(0, 10))
        window.add(2, 200, bad)
        window.add(3, 300, Found(0, 11))
        bad.set_exception(ConnectionError("away"))
        with self.assertRaisesRegex(ConnectionError, "away"):
            window.settle()
        self.assertEqual((window.state.lines, window.oldest(), window.acknowledged()), (1, 2, 1))

    def test_waiting_ends(self) -> None:
        window = Window(STATE)
        window.wait(0.0)
        window.add(1, 1, Future[Sent]())
        with self.assertRaises(TimeoutError):
            window.wait(0.0)

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30), st.integers(0, 30))
    def test_a_restart_finds_every_line_that_is_in_the_log(self, lines: list[tuple[int, bool]], crash: int) -> None:
        """Lines go to partitions in order; some are acknowledged when the sender dies. What is read from `next` on are
        all lines beyond the prefix, whatever others write between them."""
        ends, placed = {0: 5, 1: 0, 2: 9}, list[Sent]()
        window = Window(State("T1", "r", dict(ends)))
        for number, (partition, by_another) in enumerate(lines, 1):
            ends[partition] += by_another
            placed.append(Sent(partition, ends[partition]))
            ends[partition] += 1
            answer = Future[Sent]()
            if number <= crash:
                answer.set_result(placed[-1])
            window.add(number, number, answer)
            window.settle()
        self.assertEqual(window.state.lines, min(crash, len(lines)))
        for number, place in enumerate(placed, 1):
            read_again = place.offset >= window.state.next[place.partition]
            self.assertEqual(read_again, number > window.state.lines)


if __name__ == "__main__":
    unittest.main()
