"""When a request has waited long enough to be sent to a second replica too (`--hedge-after`).

The problem: of many requests a few are slow for no reason of their own: a collection, a cold page, a queue. Sent again
to another replica after most requests would have been answered, such a one takes the better of two chances, at the
price of a few requests more: "defer sending a secondary request until the first has been outstanding for more than the
95th-percentile expected latency", which bounds the additional load to about 5 % (Dean and Barroso, The Tail at Scale,
2013).

`HedgeDelay` says how long that is: a fixed time, or a percentile of the last minute or so. What it is told are times to
the first byte of an answer, whichever replica gave it. Of a request that its second try won, the first one's own time
is not known, only that it was longer than the delay; as the time told is longer too, the share of times beyond the
delay stays true, and the percentile does not creep down as hedges win.

Buckets are a sixteenth of their value wide, as in an HDR histogram, and the counts in them halve in HALF_LIFE_S.
"""

import re

HEDGED = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Doing these twice at once changes nothing; PUT and DELETE may be repeated, but side by side they may race."""

MIN_SAMPLES = 100
"""A percentile of fewer is noise; the 95th of 100 has five beyond it."""
FLOOR_S = 0.001
"""Never sooner: the loop's timers are no finer, and what is that fast needs no hedge."""
HALF_LIFE_S = 20.0
"""After a minute a sample weighs an eighth."""

_DECAY_EVERY_S = 1.0
_DECAY = 0.5 ** (_DECAY_EVERY_S / HALF_LIFE_S)
_STEPS = 16
_BUCKETS = 384  # the last ones hold 134 s and all beyond
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d)?)")


class RecentTimes:
    """A decaying histogram of durations; a duration is known to a sixteenth."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = [0.0] * _BUCKETS

    def add(self, seconds: float) -> None:
        bucket = _bucket(int(seconds * 1e6))
        self._counts[bucket if bucket < _BUCKETS else -1] += 1

    def decay(self) -> None:
        """To be called each _DECAY_EVERY_S."""
        self._counts = [count * _DECAY for count in self._counts]

    def quantile(self, share: float) -> float | None:
        """The seconds that `share` (0 to 1) of the recent durations did not exceed; None of too few."""
        total = sum(self._counts)
        if total < MIN_SAMPLES:
            return None
        wanted, seen = share * total, 0.0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return _end_us(bucket) / 1e6
        return _end_us(_BUCKETS - 1) / 1e6


def _bucket(us: int) -> int:
    if us < _STEPS:
        return us
    shift = us.bit_length() - _STEPS.bit_length()
    return shift * _STEPS + (us >> shift)


def _end_us(bucket: int) -> int:
    """The first value beyond the bucket."""
    if bucket < _STEPS:
        return bucket + 1
    return (bucket % _STEPS + _STEPS + 1) << (bucket // _STEPS - 1)


class HedgeDelay:
    """`seconds` is the delay now; None while it is not known yet, and nothing is to be hedged."""

    def __init__(self, setting: str, now: float) -> None:
        """`setting` is p1 … p99.9 or a number of seconds; ValueError otherwise. `now` is monotonic, in seconds."""
        match = _PERCENTILE.fullmatch(setting)
        self._share = float(match[1]) / 100 if match else None
        self._times = RecentTimes()
        self._decayed_at = now
        self.seconds: float | None = None if match else max(FLOOR_S, float(setting))

    def add(self, seconds: float) -> None:
        """A request got the first byte of its answer after so long."""
        if self._share is not None:
            self._times.add(seconds)

    def advance(self, now: float) -> None:
        """To be called about once a second."""
        if self._share is None or now - self._decayed_at < _DECAY_EVERY_S:
            return
        for _ in range(min(int((now - self._decayed_at) / _DECAY_EVERY_S), int(20 * HALF_LIFE_S))):
            self._times.decay()
        self._decayed_at = now
        found = self._times.quantile(self._share)
        self.seconds = None if found is None else max(FLOOR_S, found)
