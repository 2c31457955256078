"""The addresses of one name as the data path uses them: in turn, kept while resolving fails, known bad ones last.

A core without clocks and sockets: `now` is monotonic, in seconds. Who resolves is told when (`ask`) and tells what came
of it. A backend is its name, however many addresses that has, as in Envoy's LOGICAL_DNS: health, weight and ejection
are the name's, and its connections spread over the addresses.
"""

from collections.abc import Iterable

RETRY_S = 1.0
"""After a failure, the next attempt comes so soon, if the refresh would come later (HAProxy's `timeout retry`)."""


class Addresses:
    """What is known of one name; `found` is empty until it was resolved for the first time."""

    __slots__ = ("_asked_at", "_bad", "_pause_s", "_refresh_s", "_turn", "asking", "failing", "found")

    def __init__(self, refresh_s: float) -> None:
        self.found: tuple[str, ...] = ()
        self.asking = False
        self.failing = False
        self._asked_at = float("-inf")
        self._bad: set[str] = set()
        self._pause_s = 0.0
        self._refresh_s = refresh_s
        self._turn = 0

    def ask(self, now: float) -> bool:
        """Whether it is to be resolved now, which then is under way until `answered` or `failed`."""
        if self.asking or now < self._asked_at + self._pause_s:
            return False
        self._asked_at, self.asking = now, True
        return True

    def answered(self, addresses: Iterable[str]) -> bool:
        """It has these addresses (at least one). True if some that it had are no more."""
        former, self.found = self.found, tuple(dict.fromkeys(addresses))
        assert self.found
        self.asking = self.failing = False
        self._bad.clear()
        self._pause_s = self._refresh_s
        return not set(former) <= set(self.found)

    def failed(self) -> bool:
        """It could not be resolved: what was found stays. True for the first failure of a row."""
        first = not self.failing
        self.asking, self.failing = False, True
        self._pause_s = min(RETRY_S, self._refresh_s)
        return first

    def order(self) -> list[str]:
        """Whom to try, one after the other: each address once, each time another one first, bad ones last."""
        if not self.found:
            return []
        at = self._turn = (self._turn + 1) % len(self.found)
        return sorted(self.found[at:] + self.found[:at], key=self._bad.__contains__)

    def unreachable(self, address: str) -> None:
        """Nobody answered there; others come first until the name is resolved anew."""
        self._bad.add(address)
