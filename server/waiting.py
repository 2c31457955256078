"""Deadlines of what waits: parked fetches and produces. Pure.

The problem: thousands of fetches are parked and unparked each second, nearly all long before their deadline; a heap
that they are taken out of again costs more than the fetch, and a timer of the loop for each even more. So time is cut
into slots of some ms, a deadline costs an append to its slot's list, and who isn't waiting any more is passed over when
the slot is due. Deadlines are met up to one slot late, never early; nobody who waits for half a second can tell.
(Kafka's timing wheels, with one wheel, and nothing to purge as no slot outlives its time.)
"""

from heapq import heappop, heappush
from typing import Final, Protocol

from server.now import Now

SLOT_BITS: Final = 4
"""A slot is 16 ms: a fiftieth of what clients wait in a Fetch by default."""


class Waiter(Protocol):
    """Who waits. `expire` is called once its time is over, whether it still waits or not."""

    def expire(self, now: Now) -> None: ...


class Deadlines:
    """Who waits until when, on the steady clock."""

    __slots__ = ("_due", "_slots")

    def __init__(self) -> None:
        self._slots: dict[int, list[Waiter]] = {}
        self._due: list[int] = []

    def add(self, deadline_ms: int, waiter: Waiter) -> bool:
        """Whether `next_ms` has become earlier."""
        slot = (deadline_ms >> SLOT_BITS) + 1
        waiters = self._slots.get(slot)
        if waiters is None:
            self._slots[slot] = [waiter]
            heappush(self._due, slot)
            return self._due[0] == slot
        waiters.append(waiter)
        return False

    def next_ms(self) -> int | None:
        """When `expire` is to be called next; any `add` may change it."""
        return self._due[0] << SLOT_BITS if self._due else None

    def expire(self, now: Now) -> None:
        """Tell all whose time is over."""
        while self._due and self._due[0] << SLOT_BITS <= now.steady_ms:
            for waiter in self._slots.pop(heappop(self._due)):
                waiter.expire(now)
