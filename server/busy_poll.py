"""When to look for the next request instead of sleeping until it comes.

The problem: a client that sends, waits for the acknowledgment and sends again is a conversation of one, and each of its
turns wakes this server. On a virtual machine whose core went idle, that takes 40 us, a quarter of the round trip, and
CPU as well: the kernel's, to halt the core and to send it an interrupt. HAProxy calls the remedy `busy-polling`, Linux
`busy_poll` and haltpoll. To do it always would take a core for nothing, and from the clients of a small machine.

So it is done after an answer, for `most_s` at the most, and only while it pays: one client alone is served, and most of
its requests came so soon after the answer before. The loop goes round meanwhile (each turn asks the kernel for what has
come, without waiting) and serves whatever else there is.
"""

from collections.abc import Callable
from typing import Final

ENOUGH: Final = 4
"""Requests that came soon, in a row, before it begins."""

MOST: Final = 16
"""Of these are remembered."""

LATE: Final = 4
"""One that came late weighs as much as so many that came soon."""


class BusyPoll:
    """`call_soon` calls in the loop's next turn, as an event loop's does, and keeps it from sleeping; `clock` in
    seconds."""

    def __init__(
        self, most_s: float, call_soon: Callable[[Callable[[], None]], object], clock: Callable[[], float]
    ) -> None:
        self._most_s = most_s
        self._call_soon = call_soon
        self._clock = clock
        self._who: object = None
        self._credit = 0
        self._answered_s = 0.0
        self.is_polling = False

    def asked(self, who: object, now_s: float) -> None:
        """A request has come from `who`."""
        if who is not self._who:
            self._who = who
            self._credit = 0
        elif now_s - self._answered_s <= self._most_s:
            self._credit = min(self._credit + 1, MOST)
        else:
            self._credit = max(self._credit - LATE, 0)

    def answered(self) -> None:
        """It has its answer."""
        if not self._most_s:
            return
        self._answered_s = self._clock()
        if self._credit >= ENOUGH and not self.is_polling:
            self.is_polling = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        if self._credit >= ENOUGH and self._clock() - self._answered_s <= self._most_s:
            self._call_soon(self._turn)
        else:
            self.is_polling = False
