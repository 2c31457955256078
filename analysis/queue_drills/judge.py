"""Whether a queue kept what acks=all with idempotence promises. Pure, and made from the promise alone.

It knows what producers were told and what was read (facts.py), but neither how messages are made or sent nor what was
done to the servers. It is itself tested by losses, doubles and reorders that are planted in good records.

The rules, for each lane (what one producer sent to one partition, numbered without a gap):
- what was acknowledged is read, at the offset that the ack named (`lost`, `misplaced`);
- nothing is read twice (`doubled`), and the numbers that are read only go up (`reordered`);
- what is read is a beginning of what was sent: a number is missing below another one only if the client gave it up
  (`hole`). Unacknowledged messages at the end may be there or not;
- what is read was sent, to this partition, and its bytes are the same (`alien`, `damaged`).
For each partition: an offset is acknowledged once (`offset acknowledged twice`) and read once, offsets go up
(`offset went back`) and none is left out (`offset left out`: no transactions, no compaction here).
A client that is told to try for ever gives up nothing (`given up`), and leaves nothing open (`open`).

For a group: each message that the partition holds comes to some member (`not delivered`), as the partition has it
(`delivered otherwise`), and none before the one that it follows (`delivered out of order`). Delivered again after a
rebalance is at least once, so it is counted and no violation.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from analysis.queue_drills.facts import NO_OFFSET, Delivered, Deliveries, Lane, LaneId, Lanes, Logs, Read

EXAMPLES = 5
"""Of each broken rule."""
RULES = (
    "lost", "misplaced", "doubled", "reordered", "hole", "alien", "damaged", "offset acknowledged twice",
    "offset went back", "offset left out", "acknowledged twice", "given up", "open",
)  # fmt: skip
GROUP_RULES = ("not delivered", "delivered otherwise", "delivered out of order")


@dataclass(slots=True)
class Verdict:
    """`broken` counts by rule, `examples` has the first of each in words. The rest is only counted."""

    sent: int = 0
    acked: int = 0
    read: int = 0
    unacked_but_there: int = 0
    redelivered: int = 0
    broken: Counter[str] = field(default_factory=Counter[str])
    examples: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def breaks(self, rule: str, what: str) -> None:
        self.broken[rule] += 1
        examples = self.examples.setdefault(rule, [])
        if len(examples) < EXAMPLES:
            examples.append(what)


def judge(lanes: Lanes, logs: Logs) -> Verdict:
    verdict = Verdict(read=sum(map(len, logs.values())))
    for partition, log in logs.items():
        _judge_offsets(verdict, partition, log)
    by_lane = _by_lane(verdict, lanes, logs)
    for lane_id, lane in lanes.items():
        verdict.sent += len(lane.offsets)
        verdict.acked += sum(offset != NO_OFFSET for offset in lane.offsets)
        _judge_told(verdict, lane_id, lane)
        _judge_lane(verdict, lane_id, lane, by_lane.get(lane_id, []))
    _judge_acked_offsets(verdict, lanes)
    return verdict


def judge_group(verdict: Verdict, logs: Logs, deliveries: Deliveries) -> None:
    """Adds what a group saw to the verdict on the log that it read."""
    for partition, log in logs.items():
        held = {read.offset: read for read in log}
        delivered = deliveries.get(partition, ())
        for offset in held.keys() - {one.read.offset for one in delivered}:
            verdict.breaks("not delivered", f"offset {offset} of partition {partition}")
        for one in delivered:
            if held.get(one.read.offset) != one.read:
                verdict.breaks("delivered otherwise", f"offset {one.read.offset} of partition {partition}")
        _judge_delivered_order(verdict, partition, delivered)
    verdict.redelivered += sum(
        len(delivered) - len({one.read.offset for one in delivered}) for delivered in deliveries.values()
    )


def _judge_offsets(verdict: Verdict, partition: int, log: Sequence[Read]) -> None:
    for expected, read in zip(_expected(log), log, strict=False):
        if read.offset < expected:
            verdict.breaks("offset went back", f"offset {read.offset} after {expected - 1} in partition {partition}")
        elif read.offset > expected:
            verdict.breaks("offset left out", f"offsets {expected} to {read.offset - 1} of partition {partition}")


def _expected(log: Sequence[Read]) -> Iterator[int]:
    yield 0
    yield from (read.offset + 1 for read in log)


def _by_lane(verdict: Verdict, lanes: Lanes, logs: Logs) -> dict[LaneId, list[Read]]:
    found: dict[LaneId, list[Read]] = {lane_id: [] for lane_id in lanes}
    for partition, log in logs.items():
        for read in log:
            lane = lanes.get(LaneId(read.producer, partition))
            if not read.intact:
                verdict.breaks("damaged", f"offset {read.offset} of partition {partition}")
            elif lane is None or read.partition != partition or not 0 <= read.number < len(lane.offsets):
                verdict.breaks("alien", f"{_words(read)} at offset {read.offset} of partition {partition}")
            else:
                found[LaneId(read.producer, partition)].append(read)
    return found


def _judge_told(verdict: Verdict, lane_id: LaneId, lane: Lane) -> None:
    for number, why in lane.failed.items():
        verdict.breaks("given up", f"{_name(lane_id, number)}: {why}")
    for number in lane.acked_again:
        verdict.breaks("acknowledged twice", _name(lane_id, number))
    for number, offset in enumerate(lane.offsets):
        if offset == NO_OFFSET and number not in lane.failed:
            verdict.breaks("open", _name(lane_id, number))


def _judge_lane(verdict: Verdict, lane_id: LaneId, lane: Lane, reads: Sequence[Read]) -> None:
    places: dict[int, list[int]] = {}
    for read in reads:
        places.setdefault(read.number, []).append(read.offset)
    for number, offset in enumerate(lane.offsets):
        _judge_place(verdict, _name(lane_id, number), offset, places.get(number, []))
    _judge_order(verdict, lane_id, reads)
    for number in range(max(places, default=-1)):
        if number not in places and lane.offsets[number] == NO_OFFSET and number not in lane.failed:
            verdict.breaks("hole", _name(lane_id, number))


def _judge_place(verdict: Verdict, name: str, acked: int, places: Sequence[int]) -> None:
    if len(places) > 1:
        verdict.breaks("doubled", f"{name} at offsets {', '.join(map(str, places))}")
    if acked == NO_OFFSET:
        verdict.unacked_but_there += bool(places)
    elif not places:
        verdict.breaks("lost", f"{name}, acknowledged at offset {acked}")
    elif acked not in places:
        verdict.breaks("misplaced", f"{name}, acknowledged at offset {acked}, is at {places[0]}")


def _judge_order(verdict: Verdict, lane_id: LaneId, reads: Sequence[Read]) -> None:
    """A number that comes again is doubled, and so not reordered as well."""
    seen: set[int] = set()
    highest = -1
    for read in reads:
        if read.number < highest and read.number not in seen:
            verdict.breaks("reordered", f"{_name(lane_id, read.number)} after {highest}")
        seen.add(read.number)
        highest = max(highest, read.number)


def _judge_acked_offsets(verdict: Verdict, lanes: Lanes) -> None:
    acked = Counter(
        (lane_id.partition, offset) for lane_id, lane in lanes.items() for offset in lane.offsets if offset != NO_OFFSET
    )
    for (partition, offset), times in acked.items():
        if times > 1:
            verdict.breaks("offset acknowledged twice", f"offset {offset} of partition {partition}, {times} times")


def _judge_delivered_order(verdict: Verdict, partition: int, delivered: Sequence[Delivered]) -> None:
    """What is new comes in order. A step back is a redelivery; it may go on wherever the group had come to before."""
    expected = 0
    for one in delivered:
        if one.read.offset > expected:
            told = f"offset {one.read.offset} of partition {partition}, {expected} was due"
            verdict.breaks("delivered out of order", told)
        expected = max(expected, one.read.offset + 1)


def _name(lane_id: LaneId, number: int) -> str:
    return f"message {number} of producer {lane_id.producer} to partition {lane_id.partition}"


def _words(read: Read) -> str:
    return _name(LaneId(read.producer, read.partition), read.number)
