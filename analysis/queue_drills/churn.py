"""Random /add and /rm under producers and a group: nothing lost, nothing twice, order kept; how long they waited."""

import time
from typing import Final

from confluent_kafka import KafkaException

from analysis.queue_drills.consuming import Member
from analysis.queue_drills.drill import Size
from analysis.queue_drills.engines import Engine, Start, leaders, nodes
from analysis.queue_drills.facts import Delivered, Read
from analysis.queue_drills.figures import acks, arrivals, worst_pause
from analysis.queue_drills.judge import judge, judge_group
from analysis.queue_drills.load import PARTITIONS, TOPIC, Load
from analysis.queue_drills.plan import Change, changes
from analysis.queue_drills.report import Report, add_broken, add_verdict

SERVERS: Final = 3
MOST: Final = 6
MEMBERS: Final = 3
SETTLED_S: Final = 1.0
"""Leaders that don't change for that long have settled."""
SETTLE_S: Final = 60.0
CAUGHT_UP_S: Final = 60.0


class Mover:
    """Makes the changes, and sees which partitions they move."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._have = SERVERS
        self.refused: list[str] = []
        self.unsettled = 0
        self.needless = 0
        """Moved between servers that were there before and after: neither a newcomer's share nor a leaver's."""
        self.moved: dict[str, list[int]] = {"added": [], "removed": []}
        self.expected: dict[str, list[float]] = {"added": [], "removed": []}

    def make(self, change: Change) -> None:
        time.sleep(change.wait_s)
        before, there = leaders(self._engine, TOPIC), nodes(self._engine)
        try:
            self._engine.change(change.adds, change.count)
        except RuntimeError as error:
            self.refused.append(str(error))
            return
        after = self._settled()
        there &= nodes(self._engine)
        pairs = [(leader, after[partition]) for partition, leader in before.items() if after[partition] != leader]
        self.needless += sum(there.issuperset(pair) for pair in pairs)
        kind = "added" if change.adds else "removed"
        self.moved[kind].append(len(pairs))
        larger = self._have + change.count if change.adds else self._have
        self.expected[kind].append(len(before) * change.count / larger)
        self._have += change.count if change.adds else -change.count

    def _settled(self) -> dict[int, int]:
        """The leaders, when each partition has one and none has changed for SETTLED_S; as they are after SETTLE_S."""
        until = time.monotonic() + SETTLE_S
        seen: dict[int, int] = {}
        since = time.monotonic()
        while time.monotonic() < until:
            try:
                now = leaders(self._engine, TOPIC)
            except KafkaException:
                continue
            if now != seen or -1 in now.values():
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > SETTLED_S:
                return seen
            time.sleep(0.1)
        self.unsettled += 1
        return seen


def churn(start: Start, name: str, size: Size) -> Report:
    report = Report("churn", name, size.seed)
    with start(SERVERS, size.parent) as engine:
        load = Load(engine, size.rate, size.seed)
        members = [Member(engine.bootstrap, TOPIC, "drill", number) for number in range(MEMBERS)]
        for member in members:
            member.start()
        load.start()
        wait_assigned(members)
        begin_s, mover = time.monotonic(), Mover(engine)
        for change in changes(size.seed, size.changes, SERVERS, MOST):
            mover.make(change)
        lanes = load.end()
        logs = load.read()
        delivered = group_end(members, logs)
    verdict = judge(lanes, logs)
    judge_group(verdict, logs, delivered)
    add_verdict(report, verdict, group=True)
    report_moves(report, mover)
    add_broken(report, "producers", load.broken())
    add_broken(report, "members", [member.error for member in members if member.error])
    report.counts["rebalances seen by members"] = sum(member.rebalances for member in members)
    report.seconds["producers' worst pause"] = worst_pause(acks(lanes), begin_s, load.end_s).lasted_s
    came = arrivals(delivered, PARTITIONS)
    report.seconds["consumers' worst pause"] = worst_pause(came, begin_s, load.end_s).lasted_s
    return report


def wait_assigned(members: list[Member]) -> None:
    """Until each has got something: before that a pause is the group's beginning. Raises TimeoutError."""
    until = time.monotonic() + CAUGHT_UP_S
    while not all(member.delivered for member in members):
        if time.monotonic() > until:
            raise TimeoutError(f"members without messages in {CAUGHT_UP_S} s: {[m.error for m in members]}")
        time.sleep(0.05)


def group_end(members: list[Member], logs: dict[int, list[Read]]) -> dict[int, list[Delivered]]:
    """By partition in the order of time, when the group has all that is in the logs, or after CAUGHT_UP_S."""
    wanted = sum(map(len, logs.values()))
    until = time.monotonic() + CAUGHT_UP_S
    while time.monotonic() < until and _distinct(members) < wanted:
        time.sleep(0.2)
    for member in members:
        member.stop()
    for member in members:
        member.join(CAUGHT_UP_S)
    together = sorted((one for member in members for one in member.delivered), key=lambda one: one[1].at_s)
    found: dict[int, list[Delivered]] = {partition: [] for partition in logs}
    for partition, delivered in together:
        found[partition].append(delivered)
    return found


def _distinct(members: list[Member]) -> int:
    return len({(partition, one.read.offset) for member in members for partition, one in list(member.delivered)})


def report_moves(report: Report, mover: Mover) -> None:
    report.zeros |= {
        "changes refused": len(mover.refused),
        "leaders that did not settle": mover.unsettled,
        "moved though neither came nor left": mover.needless,
    }
    report.examples += mover.refused[:3]
    for kind, moved in mover.moved.items():
        if moved:
            expected = sum(mover.expected[kind])
            report.other[f"partitions moved when servers were {kind}"] = f"{sum(moved)} (1/N would be {expected:.0f})"
