"""`server.asking`: each question is settled once, whatever happens to the link."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from server.asking import MAX_BYTES, MAX_QUESTIONS, Asking, Outcome, Question
from wire.errors import ErrorCode


class FakeLink:
    def __init__(self) -> None:
        self.sent: list[Question] = []
        self.forgotten: list[int] = []

    def send(self, question: Question) -> int:
        self.sent.append(question)
        return len(self.sent)

    def forget(self, correlation_id: int) -> None:
        self.forgotten.append(correlation_id)


class AskingTest(unittest.TestCase):
    def setUp(self) -> None:
        self.asking = Asking()
        self.link = FakeLink()
        self.outcomes: list[Outcome] = []

    def ask(self, deadline_s: float = 10.0, size: int = 1) -> Question:
        question = Question(19, 7, bytes(size), deadline_s, self.outcomes.append)
        self.asking.ask(question)
        return question

    def test_sent_at_once_with_a_link(self) -> None:
        self.asking.joined(self.link)
        question = self.ask()
        self.asking.answered(question, memoryview(b"yes"))
        self.assertEqual((self.link.sent, self.outcomes), ([question], [b"yes"]))

    def test_waits_for_a_link(self) -> None:
        first, second = self.ask(), self.ask()
        self.asking.joined(self.link)
        self.assertEqual(self.link.sent, [first, second])

    def test_what_was_sent_is_not_sent_again(self) -> None:
        self.asking.joined(self.link)
        self.ask()
        self.asking.lost()
        waiting = self.ask()
        self.assertEqual(self.outcomes, [ErrorCode.NOT_CONTROLLER])
        other = FakeLink()
        self.asking.joined(other)
        self.assertEqual(other.sent, [waiting])

    def test_time_is_over(self) -> None:
        self.ask(1.0)
        self.asking.expire(1.0)
        self.asking.joined(self.link)
        self.ask(2.0), self.ask(3.0)
        self.assertEqual(self.asking.next_deadline_s(), 2.0)
        self.asking.expire(2.5)
        self.assertEqual(self.outcomes, [ErrorCode.NOT_CONTROLLER, ErrorCode.REQUEST_TIMED_OUT])
        self.assertEqual(self.link.forgotten, [1])
        self.assertEqual(self.asking.next_deadline_s(), 3.0)

    def test_too_many_and_too_much(self) -> None:
        for _ in range(MAX_QUESTIONS + 1):
            self.ask()
        self.assertEqual(self.outcomes, [ErrorCode.NOT_CONTROLLER])
        self.asking.expire(10.0)
        self.outcomes.clear()
        self.ask(size=MAX_BYTES)
        self.ask()
        self.assertEqual(self.outcomes, [ErrorCode.NOT_CONTROLLER])

    @given(st.lists(st.sampled_from(["ask", "join", "lose", "expire", "answer"])))
    def test_each_is_settled_once(self, steps: list[str]) -> None:
        self.setUp()
        asked: list[Question] = []
        for at, step in enumerate(steps):
            match step:
                case "ask":
                    asked.append(self.ask(at + 2.0))
                case "join":
                    self.asking.lost()
                    self.link = FakeLink()
                    self.asking.joined(self.link)
                case "lose":
                    self.asking.lost()
                case "expire":
                    self.asking.expire(float(at))
                case _:
                    for question in self.link.sent:
                        self.asking.answered(question, memoryview(b""))
        self.asking.expire(float("inf"))
        self.assertEqual(len(self.outcomes), len(asked))
        self.assertIsNone(self.asking.next_deadline_s())
