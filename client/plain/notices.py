"""What the two programs say on standard error while something is away: when it begins, now and then, at its end."""

import math
import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

AGAIN_S: Final = 10.0
"""Between two lines about the same trouble."""


def words_for(error: Exception) -> str:
    """One line for whoever started the program."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def seconds(text: str) -> float:
    """A number of seconds as an argument. Raises ValueError for what can't be one."""
    found = float(text)
    if not 0 <= found < math.inf:
        raise ValueError
    return found


class Notices:
    """`say`: one line. `trouble` and `over` frame a time when something is away."""

    def __init__(self, program: str, out: TextIO | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._program = program
        self._out = out
        self._now = now
        self._since: float | None = None
        self._said = 0.0
        self.outages = 0
        """How often something was away and came back."""

    @property
    def in_trouble(self) -> bool:
        return self._since is not None

    def say(self, text: str) -> None:
        print(f"{self._program}: {text}", file=self._out or sys.stderr, flush=True)

    def trouble(self, text: str) -> None:
        """Says so, unless it was said within the last ten seconds; we go on trying."""
        now = self._now()
        if self._since is None or now - self._said >= AGAIN_S:
            self._since = now if self._since is None else self._since
            self._said = now
            self.say(f"{text}; still trying")

    def over(self) -> None:
        """What was away is back; silent if nothing was."""
        if self._since is not None:
            self.say(f"goes on, after {self._now() - self._since:.1f} s")
            self._since = None
            self.outages += 1
