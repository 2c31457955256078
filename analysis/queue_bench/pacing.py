"""An open load at a steady rate, and how late its messages came. Pure.

Messages are due in bursts, one each millisecond: a sleep wakes some 60 µs late, so a pace of single messages is one no
process can keep. Each carries the moment at which it was due, not that at which it was sent: a sender that is held up
does not hide the delay from the figures (coordinated omission).
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from analysis.measures import percentile

TICKS: Final = 1000
"""Bursts a second."""
WARM: Final = 0.1
"""The part of the messages, the first ones, that count for nothing: connections and caches fill then."""
_STAMP: Final = struct.Struct("<q")


def ticks(begun_ns: int, count: int, rate: int) -> Iterator[tuple[int, int]]:
    """(when it is due, how many messages) for each burst, until there were `count`."""
    sent, tick = 0, 0
    while sent < count:
        until = min(count, (tick + 1) * rate // TICKS)
        if until > sent:
            yield begun_ns + tick * 1_000_000_000 // TICKS, until - sent
        sent, tick = until, tick + 1


def stamped(due_ns: int, size: int) -> bytes:
    """A message of `size` bytes, at least 8, that carries its time."""
    return _STAMP.pack(due_ns).ljust(size, b"x")


def late_s(message: bytes, now_ns: int) -> float:
    return (now_ns - _STAMP.unpack_from(message)[0]) / 1e9


def latency(took_s: Sequence[float]) -> dict[str, float]:
    """The metrics of these times; 0 without any."""
    ordered = sorted(took_s)
    return {"p50_us": percentile(ordered, 0.5) * 1e6, "p99_us": percentile(ordered, 0.99) * 1e6}


def one_by_one(took_s: Sequence[float]) -> dict[str, float]:
    """The metrics of messages that were sent one after another: their rate is what their times say."""
    return {**latency(took_s), "rate": len(took_s) / sum(took_s)}


def warmed(took_s: Sequence[float]) -> Sequence[float]:
    return took_s[int(len(took_s) * WARM) :]
