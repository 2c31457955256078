import unittest
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from client.cli.lines import BadLine, Shape
from client.cli.produce_job import Job
from client.cli.sending import BadState, Found, State, Window, check_of
from client.errors import MessageTooLarge, NotDelivered
from client.produce_log import HEADER, mark


@dataclass(frozen=True, slots=True)
class Sent:
    partition: int
    offset: int


@dataclass(slots=True)
class Sender:
    """Acknowledges at once, except what `fails`."""

    fails: dict[bytes, Exception] = field(default_factory=dict[bytes, Exception])
    refuses: bytes = b"-"
    sent: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    flushed: list[float | None] = field(default_factory=list[float | None])

    def send(self, topic: str, value: Any, key: Any = None, partition: Any = None, headers: Any = None,
             timestamp_ms: Any = None) -> Future[Sent]:  # fmt: skip
        if value == self.refuses:
            raise MessageTooLarge("too large")
        self.sent.append((topic, value, key, partition, headers, timestamp_ms))
        future: Future[Sent] = Future()
        if value in self.fails:
            future.set_exception(self.fails[value])
        else:
            future.set_result(Sent(0, len(self.sent) - 1))
        return future

    def flush(self, timeout_s: float | None = None) -> None:
        self.flushed.append(timeout_s)


@dataclass(slots=True)
class Kept:
    written: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def write(self, content: dict[str, Any]) -> None:
        self.written.append(content)


def numbered(*lines: bytes) -> Iterable[tuple[int, bytes]]:
    return enumerate(lines, 1)


def job(sender: Sender, state: State | None = None, kept: Kept | None = None, shape: Shape | None = None,
        found: dict[int, Found] | None = None) -> Job:  # fmt: skip
    state = state or State("T1", "run", {0: 0})
    return Job(sender, shape or Shape(), Window(state), kept, found or {}, now_s=lambda: 0.0)  # type: ignore[arg-type]


class ProduceJobTest(unittest.TestCase):
    def test_every_line_is_sent_as_it_is_shaped(self) -> None:
        sender = Sender()
        work = job(sender, shape=Shape(b":", partition=1, headers=(("h", b"1"),)))
        work.run(numbered(b"k:a", b"l:b"))
        self.assertEqual(
            sender.sent, [("T1", b"a", b"k", 1, (("h", b"1"),), None), ("T1", b"b", b"l", 1, (("h", b"1"),), None)]
        )
        self.assertEqual((work.sent, work.missing, work.left_out), (2, 0, 0))

    def test_with_a_state_each_line_is_marked_and_the_end_is_kept(self) -> None:
        sender, kept = Sender(), Kept()
        job(sender, kept=kept).run(numbered(b"a", b"b"))
        self.assertEqual([sent[4] for sent in sender.sent], [((HEADER, mark("run", number)),) for number in (1, 2)])
        check = check_of(b"b", check_of(b"a", 0))
        self.assertEqual(kept.written[-1], State("T1", "run", {0: 2}, 2, check).dump())

    def test_a_restart_sends_what_is_neither_kept_nor_found(self) -> None:
        sender, kept = Sender(), Kept()
        begun = State("T1", "run", {0: 5}, 1, check_of(b"a", 0))
        work = job(sender, begun, kept, found={3: Found(0, 9)})
        work.run(numbered(b"a", b"b", b"c", b"d"))
        self.assertEqual([sent[1] for sent in sender.sent], [b"b", b"d"])
        self.assertEqual((work.sent, work.left_out, kept.written[-1]["next"]), (2, 2, {"0": 10}))

    def test_another_file_is_not_taken_for_the_rest_of_this_one(self) -> None:
        begun = State("T1", "run", {0: 5}, 2, check_of(b"b", check_of(b"a", 0)))
        for lines, reason in (((b"a", b"x", b"c"), "first 2 lines are not"), ((b"a",), "has 1 lines, but 2")):
            sender = Sender()
            with self.assertRaisesRegex(BadState, reason):
                job(sender, begun).run(numbered(*lines))
            self.assertEqual(sender.sent, [])

    def test_a_line_that_fails_ends_it_and_the_others_are_counted(self) -> None:
        sender, kept = Sender({b"b": NotDelivered("away")}), Kept()
        work = job(sender, kept=kept)
        with self.assertRaisesRegex(NotDelivered, "away"):
            work.run(numbered(b"a", b"b", b"c"))
        work.farewell(3.0)
        self.assertEqual((sender.flushed, work.window.oldest(), work.missing), ([3.0], 2, 1))
        self.assertEqual(kept.written[-1]["lines"], 1)

    def test_a_line_that_can_t_be_sent_or_read_ends_it_behind_the_ones_before(self) -> None:
        for lines, shape, error in (
            ((b"a", b"-", b"c"), Shape(), MessageTooLarge),
            ((b"k:a", b"b"), Shape(b":"), BadLine),
        ):
            sender = Sender()
            work = job(sender, shape=shape)
            with self.assertRaises(error):
                work.run(numbered(*lines))
            work.farewell(0.0)
            self.assertEqual((work.sent, work.missing, work.window.oldest()), (1, 0, 2))

    def test_too_many_under_way_are_waited_for(self) -> None:
        sender = Sender()
        work = job(sender)
        with mock.patch("client.cli.produce_job.UNDER_WAY", 2), mock.patch.object(Window, "settle"):
            waited: list[float] = []

            def wait(window: Window, timeout_s: float) -> None:
                waited.append(timeout_s)
                window._under_way.clear()  # pyright: ignore[reportPrivateUsage]

            with mock.patch.object(Window, "wait", wait):
                work.run(numbered(b"a", b"b", b"c"))
        self.assertEqual(len(waited), 2)


if __name__ == "__main__":
    unittest.main()
