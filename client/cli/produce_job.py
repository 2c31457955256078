"""One run of `carousel produce`: lines go out, acknowledgments come in, the state file follows."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from client.cli.kept import Kept
from client.cli.lines import Record, Shape, record_of
from client.cli.sending import Answer, BadState, Found, Window, check_of
from client.produce_log import HEADER, mark

UNDER_WAY: Final = 20_000  # lines: a tenth of a second's worth; librdkafka's own bound is 100 000 messages
SAVE_EVERY_S: Final = 0.5
STEP_S: Final = 0.1  # how long a wait lasts before somebody else has a turn


class Sender(Protocol):
    """The part of `client.Producer` that is needed here."""

    def send(
        self, topic: str, value: Any, key: bytes | None = None, partition: int | None = None,
        headers: Any = None, timestamp_ms: int | None = None,
    ) -> Answer: ...  # fmt: skip
    def flush(self, timeout_s: float | None = None) -> None: ...


@dataclass(slots=True)
class Job:
    """`found`: lines beyond the prefix that are in the log already. `told` hears of (lines, bytes) now and then."""

    sender: Sender
    shape: Shape
    window: Window
    kept: Kept | None = None
    found: dict[int, Found] = field(default_factory=dict[int, Found])
    told: Callable[[int, int], None] = lambda lines, size: None
    now_s: Callable[[], float] = time.monotonic
    sent: int = 0
    left_out: int = 0
    _begun: int = field(init=False)
    _saved_s: float = field(init=False)
    _told_s: float = field(init=False)
    _read_bytes: int = 0

    def __post_init__(self) -> None:
        self._begun = self.window.state.lines
        self._saved_s = self._told_s = self.now_s()

    def run(self, lines: Iterable[tuple[int, bytes]]) -> None:
        """Every line, then every acknowledgment. Raises BadLine, BadState, or the oldest failed line's error."""
        number, check = 0, 0
        for number, line in lines:
            check = check_of(line, check)
            self._read_bytes += len(line) + 1
            if number <= self._begun:
                self._skip(number, check)
            else:
                self._add(number, line, check)
            self._turn(number)
        if number < self._begun:
            raise BadState(f"the input has {number} lines, but {self._begun} of it are sent: is it another file?")
        self._drain()
        self.told(number, self._read_bytes)

    @property
    def missing(self) -> int:
        """Lines sent and not acknowledged."""
        return len(self.window) - self.window.acknowledged()

    def farewell(self, timeout_s: float) -> None:
        """After an error: wait for what is under way, whatever becomes of it, and keep how far it is."""
        try:
            with suppress(Exception):
                self.sender.flush(timeout_s)
        finally:
            with suppress(Exception):
                self.window.settle()
            self._save(at_once=True)

    def _drain(self) -> None:
        while len(self.window):
            self._wait()
            self._save()
        self._save(at_once=True)

    def _skip(self, number: int, check: int) -> None:
        self.left_out += 1
        if number == self._begun and check != self.window.state.check:
            raise BadState(f"the first {number} lines are not those that were sent: is it another file?")

    def _add(self, number: int, line: bytes, check: int) -> None:
        known = self.found.pop(number, None)
        if known is not None:
            self.left_out += 1
            self.window.add(number, check, known)
            return
        record = record_of(number, line, self.shape)
        self.window.add(number, check, self._send(record, number))
        self.sent += 1

    def _send(self, record: Record, number: int) -> Answer:
        headers = record.headers
        if self.kept is not None:
            headers = (*headers, (HEADER, mark(self.window.state.run, number)))
        return self.sender.send(
            self.window.state.topic, record.value, record.key, record.partition, headers or None, record.timestamp_ms
        )

    def _turn(self, number: int) -> None:
        self.window.settle()
        while len(self.window) >= UNDER_WAY:
            self._wait()
        now_s = self.now_s()
        if now_s - self._told_s >= STEP_S:
            self._told_s = now_s
            self.told(number, self._read_bytes)
            self._save()

    def _wait(self) -> None:
        try:
            self.window.wait(STEP_S)
        except TimeoutError:
            if self.window.failed():
                raise

    def _save(self, at_once: bool = False) -> None:
        if self.kept is not None and (at_once or self.now_s() - self._saved_s >= SAVE_EVERY_S):
            self._saved_s = self.now_s()
            self.kept.write(self.window.state.dump())
