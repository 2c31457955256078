"""What a run's records say about time. Pure; all times are monotonic, in seconds."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from analysis.queue_drills.facts import NO_OFFSET, Deliveries, Lanes


class Pause(NamedTuple):
    """The longest time in which nothing came, and when it began."""

    lasted_s: float
    since_s: float


def longest_pause(moments: Iterable[float], begin_s: float, end_s: float) -> Pause:
    """Between `begin_s` and `end_s`, in the moments and at both ends."""
    within = sorted(moment for moment in moments if begin_s < moment < end_s)
    return max(Pause(later - earlier, earlier) for earlier, later in itertools.pairwise([begin_s, *within, end_s]))


def worst_pause(by_partition: Mapping[int, Sequence[float]], begin_s: float, end_s: float) -> Pause:
    """The longest of any partition alone: others that go on don't hide it."""
    return max(longest_pause(moments, begin_s, end_s) for moments in by_partition.values())


def acks(lanes: Lanes) -> dict[int, list[float]]:
    """When acks came, by partition."""
    found: dict[int, list[float]] = {}
    for lane_id, lane in lanes.items():
        times = found.setdefault(lane_id.partition, [])
        times += (at for at, offset in zip(lane.told_s, lane.offsets, strict=True) if offset != NO_OFFSET)
    return found


def arrivals(deliveries: Deliveries, partitions: int) -> dict[int, list[float]]:
    return {partition: [one.at_s for one in deliveries.get(partition, ())] for partition in range(partitions)}


def back_after(lanes: Lanes, kills_s: Sequence[float]) -> list[float | None]:
    """For each kill, the time until each partition has acknowledged a message that was sent after it; None if the next
    kill came before that.

    A message that was sent before may have its ack under way when its server is killed, so it says nothing; a partition
    whose server was not the one that was killed answers at once, and doesn't count.
    """
    back = [0.0] * len(kills_s)
    for partition in {lane_id.partition for lane_id in lanes}:
        of_partition = [lane for lane_id, lane in lanes.items() if lane_id.partition == partition]
        pairs = sorted(
            (sent, told)
            for lane in of_partition
            for sent, told, offset in zip(lane.sent_s, lane.told_s, lane.offsets, strict=True)
            if offset != NO_OFFSET
        )
        for number, first in enumerate(_first_told(pairs, kills_s)):
            back[number] = max(back[number], first - kills_s[number])
    ends = [*kills_s, math.inf][1:]
    return [
        after if after < math.inf and at + after <= end else None
        for after, at, end in zip(back, kills_s, ends, strict=True)
    ]


def _first_told(pairs: Sequence[tuple[float, float]], kills_s: Sequence[float]) -> list[float]:
    """The earliest ack among messages sent at or after each kill; pairs are sorted by when they were sent."""
    earliest: list[float] = [math.inf] * (len(pairs) + 1)
    for place in range(len(pairs) - 1, -1, -1):
        earliest[place] = min(earliest[place + 1], pairs[place][1])
    found: list[float] = []
    place = 0
    for kill_s in kills_s:
        while place < len(pairs) and pairs[place][0] < kill_s:
            place += 1
        found.append(earliest[place])
    return found
