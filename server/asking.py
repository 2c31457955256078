"""Questions to control that wait: for the link, then for their answers. Pure.

While control is away, questions wait for it as long as who asked does, so that a restart of control is a pause and not
an error (R10). What was sent when the link broke may or may not have been done: it is never sent again, and its asker
is told NOT_CONTROLLER as Kafka's clients are when a controller dies; they know to look before they repeat.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from wire.errors import ErrorCode

MAX_QUESTIONS: Final = 1_000
"""Waiting at once; each is a client's admin request or an AlterPartition."""
MAX_BYTES: Final = 8 * 1024 * 1024
"""Of all of them. A CreateTopics of 1 000 topics has 40 KB."""

Outcome = memoryview | ErrorCode


@dataclass(eq=False, slots=True)
class Question:
    """One question; `sent_as` is its correlation id on the link, None while it waits for one."""

    api_key: int
    version: int
    body: bytes
    deadline_s: float
    done: Callable[[Outcome], None]
    sent_as: int | None = None


class Link(Protocol):
    """The connection, while there is one."""

    def send(self, question: Question) -> int: ...
    def forget(self, correlation_id: int) -> None: ...


class Asking:
    """All questions that wait. `done` of each is called exactly once."""

    def __init__(self) -> None:
        self._link: Link | None = None
        self._waiting: dict[Question, None] = {}  # in order
        self._size_bytes = 0

    def ask(self, question: Question) -> None:
        """NOT_CONTROLLER at once where too much waits already."""
        if len(self._waiting) >= MAX_QUESTIONS or self._size_bytes + len(question.body) > MAX_BYTES:
            question.done(ErrorCode.NOT_CONTROLLER)
            return
        self._waiting[question] = None
        self._size_bytes += len(question.body)
        if self._link is not None:
            question.sent_as = self._link.send(question)

    def answered(self, question: Question, frame: memoryview) -> None:
        self._settle(question, frame)

    def joined(self, link: Link) -> None:
        """There is a link: send what has waited for one."""
        self._link = link
        for question in self._waiting:
            question.sent_as = link.send(question)

    def lost(self) -> None:
        """There is none any more."""
        self._link = None
        for question in [question for question in self._waiting if question.sent_as is not None]:
            self._settle(question, ErrorCode.NOT_CONTROLLER)

    def expire(self, now_s: float) -> None:
        """Tell those whose time is over."""
        for question in [question for question in self._waiting if question.deadline_s <= now_s]:
            if question.sent_as is not None and self._link is not None:
                self._link.forget(question.sent_as)
            self._settle(
                question, ErrorCode.NOT_CONTROLLER if question.sent_as is None else ErrorCode.REQUEST_TIMED_OUT
            )

    def next_deadline_s(self) -> float | None:
        return min((question.deadline_s for question in self._waiting), default=None)

    def _settle(self, question: Question, outcome: Outcome) -> None:
        if question in self._waiting:
            del self._waiting[question]
            self._size_bytes -= len(question.body)
            question.done(outcome)
