"""What a chaos run's records say about time. Pure."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.chaos.facts import Ending, Harm, Record
from analysis.measures import percentile

FELT_S = 2.0
"""How long before a request harm may have begun and still be told in its story."""


@dataclass(frozen=True, slots=True)
class Speed:
    """In seconds. Latencies are of whole 200s, from the moment when each was due, without answers that are slow on
    purpose. `gap_s` is the longest time in which no 200 ended while requests were sent; it began `gap_at_s` after the
    start of the load."""

    p50_s: float
    p99_s: float
    p999_s: float
    worst_s: float
    gap_s: float
    gap_at_s: float


def speed(records: Sequence[Record], begin: float) -> Speed:
    good = [record for record in records if record.ending is Ending.WHOLE and record.status == 200]
    ordered = sorted(record.ended - record.due for record in good if not record.ask.slow)
    last = max((record.due for record in records), default=begin)
    ends = [begin, *sorted(record.ended for record in good if record.ended < last), last]
    gap_s, since = max((later - earlier, earlier) for earlier, later in itertools.pairwise(ends))
    worst_s = ordered[-1] if ordered else 0.0
    p50_s, p99_s, p999_s = (percentile(ordered, share) for share in (0.5, 0.99, 0.999))
    return Speed(p50_s, p99_s, p999_s, worst_s, gap_s, since - begin)


def told(record: Record, by: Sequence[str], harms: Sequence[Harm], begin: float) -> str:
    """One request's story, for who looks for the cause: times are seconds since `begin`."""
    ask = record.ask
    sent = f"{ask.id}: {ask.method} {ask.path} of {ask.size}, due {record.due - begin:.3f}"
    ended = f"{record.ending} {record.status or 'without a status'} at {record.ended - begin:.3f}"
    met = [harm for harm in harms if harm.at <= record.ended and record.due <= harm.until + FELT_S]
    among = ", ".join(told_harm(harm, begin) for harm in met)
    return f"{sent}, {ended}; acted on by: {', '.join(by) or 'nobody'}; harm: {among or 'none'}"


def told_harm(harm: Harm, begin: float) -> str:
    lasted = f" for {harm.until - harm.at:.3f}" if harm.until > harm.at else ""
    return f"{harm.kind} {harm.target} at {harm.at - begin:.3f}{lasted}"


def climbed(values: Sequence[float]) -> float:
    """By how much a counter has gone up in all, from its first value on; a fall is a counter that began anew."""
    return sum(max(0.0, later - earlier) for earlier, later in itertools.pairwise(values))
