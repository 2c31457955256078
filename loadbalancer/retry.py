"""Which requests may be tried again, and how many of them in all.

The problem: a request that failed on one replica may succeed on the next, but one that was perhaps carried
out must not be carried out twice, and retries must not multiply the load of a fleet that is failing because
of its load.

- `may_retry` is the table of the first half. It asks how far the request got, and whether doing it twice is
  harmless.
- `RetryBudget` is the second half: over any ten seconds, work that is sent twice is at most a fifth of the
  requests, three a second, and a reserve. A try that never left this process (connecting was refused) cost no
  replica anything and is not charged: were it, two refusing replicas of three would drain the budget in a
  second, though the third one serves.

The road not taken: a bucket that fills by the request and drains by the retry (a token bucket in the narrow
sense) remembers the traffic of long ago; counting both over a sliding window (Finagle's RetryBudget) forgets
it.
"""

from collections import deque
from typing import Final

IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))

MAX_TRIES = 3
"""The first try and two more, each on another replica (the spec's rule)."""

REPLAY_LIMIT_BYTES = 64 * 1024
"""The largest body that is kept for another try; 512 of them are 32 MiB."""

FRESH_S = 1.0
"""A request that can't be repeated never goes out on a pooled connection idle for longer: its end may be on
its way."""

WINDOW_S = 10
RETRY_SHARE = 0.2
RETRIES_PER_S = 3
RESERVE = 512
"""Retries for which no traffic of the last seconds must stand: all requests under way on one replica.

The death of one of three under 512 busy connections takes back 171 requests if the ring is fair, 432 with the
skewest preset (`spec` gives one replica 84.37 %), and that within the first second of load too, when nothing
has been earned yet.
"""


class Phase:
    """How far a try has got. Integers, not an Enum: the hot path sets and compares them."""

    UNSENT: Final = 0  # no byte of the request was written: nobody can have acted on it
    SENT: Final = 1  # at least one byte was written
    ANSWERED: Final = 2  # at least one byte of the answer was seen


def may_retry(method: bytes, phase: int, replayable: bool) -> bool:
    """Whether a request whose try failed in `phase` may go to another replica.

    `replayable` says that all its bytes are still at hand (its body is at most REPLAY_LIMIT_BYTES); of a
    request that is unsent they always are.
    """
    return phase == Phase.UNSENT or (phase == Phase.SENT and replayable and method in IDEMPOTENT)


class RetryBudget:
    """Counts requests and charged retries of the last WINDOW_S whole seconds and of the one that runs.

    `requests` is counted up by the owner, an attribute for speed; `advance` must be called at least about
    once a second.
    """

    __slots__ = ("_past", "_second", "_spent", "requests", "reserve")

    def __init__(self, now: float, reserve: int = RESERVE) -> None:
        self.requests = 0
        self.reserve = reserve
        self._spent = 0
        self._second = int(now)
        self._past: deque[tuple[int, int]] = deque(((0, 0),) * WINDOW_S, maxlen=WINDOW_S)

    def advance(self, now: float) -> None:
        """Close the seconds that have passed; `now` is monotonic, in seconds."""
        passed = min(int(now) - self._second, WINDOW_S + 1)
        for _ in range(passed):
            self._past.append((self.requests, self._spent))
            self.requests = self._spent = 0
        self._second = max(self._second, int(now))

    def left(self) -> float:
        """Retries that may still be charged now; one is granted if at least one is left."""
        requests = self.requests + sum(requests for requests, _ in self._past)
        spent = self._spent + sum(spent for _, spent in self._past)
        return self.reserve + RETRY_SHARE * requests + RETRIES_PER_S * WINDOW_S - spent

    def spend(self, now: float, needed: bool = True) -> bool:
        """Charge one retry; False if the budget denies it. One that is not `needed` leaves the reserve alone."""
        self.advance(now)
        if self.left() < (1 if needed else 1 + self.reserve):
            return False
        self._spent += 1
        return True
