"""What the drills do around their engine: who is killed, when it is back, what has moved."""

import unittest
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from analysis.queue_drills import churn, consuming, engines, kill, producing
from analysis.queue_drills.churn import Mover, group_end
from analysis.queue_drills.consuming import Member
from analysis.queue_drills.engines import CarouselEngine, Engine, KafkaEngine
from analysis.queue_drills.facts import Delivered, LaneId, Read
from analysis.queue_drills.kill import harm
from analysis.queue_drills.load import Load
from analysis.queue_drills.plan import Change, Kill
from analysis.queue_drills.producing import Recorder
from analysis.queue_drills.report import Report, add_broken


class FakeEngine:
    """Three servers that are killed by their place; `stays` is how often a kill finds one."""

    name = "fake"

    def __init__(self, refuses: bool = False) -> None:
        self.killed: list[float] = []
        self.changed: list[tuple[bool, int]] = []
        self.refuses = refuses
        self.leaders = dict(enumerate([1, 2, 3] * 4))
        self.nodes = {1, 2, 3}
        self.newcomer = 4

    def kill(self, pick: float) -> bool:
        self.killed.append(pick)
        return not self.refuses

    def whole(self) -> bool:
        return True

    def change(self, adds: bool, count: int) -> None:
        if self.refuses:
            raise RuntimeError("no")
        self.changed.append((adds, count))
        self.leaders |= dict.fromkeys((0, 5, 7), self.newcomer) if adds else {}
        self.nodes |= {4} if adds else set()


class FakeLoad:
    def __init__(self, back: bool = True) -> None:
        self.back = back
        self.asked = 0

    def wait_fresh(self, since_s: float, patience_s: float) -> None:
        self.asked += 1
        if not self.back:
            raise TimeoutError


PLAN = (Kill(0.5, False, 0.1), Kill(0.2, True, 0.9), Kill(0.3, False, 0.5))


@mock.patch.object(kill.time, "sleep")
class HarmTest(unittest.TestCase):
    def harmed(self, engine: FakeEngine, load: FakeLoad) -> tuple[list[float], int, int]:
        return harm(cast(Engine, engine), cast(Load, load), PLAN)

    def test_it_waits_for_all_but_in_a_start(self, sleep: mock.Mock) -> None:
        engine, load = FakeEngine(), FakeLoad()
        kills_s, missed, away = self.harmed(engine, load)
        self.assertEqual((len(kills_s), missed, away), (3, 0, 0))
        self.assertEqual(engine.killed, [0.1, 0.9, 0.5])
        self.assertEqual(load.asked, 2)  # before the third, and at the end
        self.assertEqual([call.args for call in sleep.call_args_list], [(0.5,), (0.2,), (0.3,)])

    def test_what_stays_away_ends_it(self, _: mock.Mock) -> None:
        kills_s, _missed, away = self.harmed(FakeEngine(), FakeLoad(back=False))
        self.assertEqual((len(kills_s), away), (2, 1))

    def test_nobody_to_kill(self, _: mock.Mock) -> None:
        self.assertEqual(self.harmed(FakeEngine(refuses=True), FakeLoad(back=False)), ([], 3, 0))


class EnginesTest(unittest.TestCase):
    def test_a_pick_is_a_place_among_those_that_live(self) -> None:
        children = [{"pid": 11}, {"pid": 12}, {"pid": 13}]
        system: Any = SimpleNamespace(children=lambda _: children, cluster=lambda: {"queue": {"bootstrap": "h:1"}})
        engine = CarouselEngine(system, 3)
        with (
            mock.patch.object(engines, "alive", lambda pid: pid != 12),
            mock.patch.object(engines.os, "kill") as killed,
        ):
            self.assertTrue(engine.kill(0.0))
            self.assertTrue(engine.kill(0.99))
            self.assertEqual([call.args[0] for call in killed.call_args_list], [11, 13])
            children.clear()
            self.assertFalse(engine.kill(0.5))

    def test_kafka_starts_again_by_our_hand(self) -> None:
        broker: Any = mock.Mock(pid=11, bootstrap="h:1")
        engine = KafkaEngine(broker)
        with mock.patch.object(engines, "alive", return_value=True), mock.patch.object(engines.os, "kill"):
            self.assertTrue(engine.kill(0.5))
            engine.settle()
        broker.start.assert_called_once_with()
        with self.assertRaises(NotImplementedError):
            engine.change(adds=True, count=1)


class MoverTest(unittest.TestCase):
    def moved(self, engine: FakeEngine, change: Change) -> Mover:
        mover = Mover(cast(Engine, engine))
        with (
            mock.patch.object(churn, "leaders", lambda _, __: dict(engine.leaders)),
            mock.patch.object(churn, "nodes", lambda _: set(engine.nodes)),
            mock.patch.object(churn, "SETTLED_S", -1.0),
            mock.patch.object(churn.time, "sleep"),
        ):
            mover.make(change)
        return mover

    def test_what_changed_its_leader_has_moved(self) -> None:
        mover = self.moved(FakeEngine(), Change(0.0, True, 1))
        self.assertEqual((mover.moved, mover.unsettled), ({"added": [3], "removed": []}, 0))
        self.assertEqual(mover.expected["added"], [12 / 4])
        report = Report("churn", "fake", 7)
        churn.report_moves(report, mover)
        self.assertEqual(report.other, {"partitions moved when servers were added": "3 (1/N would be 3)"})
        self.assertTrue(report.clean)

    def test_what_moves_between_those_who_stay_is_needless(self) -> None:
        engine = FakeEngine()
        engine.newcomer = 1
        mover = self.moved(engine, Change(0.0, True, 1))
        self.assertEqual(mover.needless, 2, "of the three that are to be at 1, one was there before")
        report = Report("churn", "fake", 7)
        churn.report_moves(report, mover)
        self.assertFalse(report.clean)

    def test_of_those_that_leave(self) -> None:
        self.assertEqual(self.moved(FakeEngine(), Change(0.0, False, 1)).expected["removed"], [12 / 3])

    def test_a_refused_change(self) -> None:
        mover = self.moved(FakeEngine(refuses=True), Change(0.0, True, 1))
        self.assertEqual((mover.refused, mover.moved["added"]), (["no"], []))


class GroupTest(unittest.TestCase):
    def test_what_members_got_is_put_together_in_the_order_of_time(self) -> None:
        reads = [Read(offset, 0, 0, offset) for offset in range(3)]
        members = [Member("h:1", "t", "g", number) for number in range(2)]
        for number, at_s, place in ((0, 1.0, 0), (1, 2.0, 1), (0, 3.0, 2)):
            members[number].delivered.append((0, Delivered(reads[place], number, at_s)))
        for member in members:
            member.run = lambda: None
            member.start()
        self.assertEqual([one.read for one in group_end(members, {0: reads})[0]], reads)

    def test_what_breaks_a_thread_is_said_in_its_report(self) -> None:
        with mock.patch.object(consuming, "Consumer", side_effect=OSError("gone")):
            member = Member("h:1", "t", "g", 0)
            member.run()
        with mock.patch.object(producing, "Producer", side_effect=OSError("gone")):
            recorder = Recorder("h:1", "t", 1, 2, 100.0, 7)
            recorder.run()
        report = Report("churn", "fake", 7)
        add_broken(report, "clients", [member.error, recorder.error])
        self.assertEqual(report.examples, ["member 0: OSError('gone')", "producer 1: OSError('gone')"])
        self.assertEqual(report.zeros, {"clients that broke": 2})
        self.assertGreater(recorder.last_s, 0)


class RecorderTest(unittest.TestCase):
    """Against a client that acknowledges at once, or not at all."""

    def recorder(self) -> Recorder:
        return Recorder("h:1", "t", 1, 2, 100.0, 7)

    def sent(self, recorder: Recorder, error: Any = None, full: bool = False) -> None:
        def produce(_: str, value: bytes, partition: int, on_delivery: Any) -> None:
            if full:
                raise BufferError
            message = SimpleNamespace(value=lambda: value, partition=lambda: partition, offset=lambda: 40)
            on_delivery(error, message)

        recorder._send(cast(Any, SimpleNamespace(produce=produce)))  # pyright: ignore[reportPrivateUsage]

    def lanes(self, recorder: Recorder) -> tuple[list[int], dict[int, str]]:
        both = [recorder.lanes[LaneId(1, partition)] for partition in range(2)]
        return [offset for lane in both for offset in lane.offsets], both[0].failed | both[1].failed

    def test_an_ack_is_written_down(self) -> None:
        recorder = self.recorder()
        self.sent(recorder)
        self.assertEqual(self.lanes(recorder), ([40], {}))
        self.assertGreater(max(recorder.fresh_s), 0)

    def test_what_is_given_up(self) -> None:
        recorder = self.recorder()
        self.sent(recorder, error=SimpleNamespace(str=lambda: "timed out"))
        self.assertEqual(self.lanes(recorder), ([-1], {0: "timed out"}))
        self.assertEqual(max(recorder.fresh_s), 0)

    def test_what_the_client_did_not_take_was_not_sent(self) -> None:
        recorder = self.recorder()
        self.sent(recorder, full=True)
        self.assertEqual(self.lanes(recorder), ([], {}))

    def test_the_seed_decides_what_is_sent(self) -> None:
        recorders = [self.recorder(), self.recorder()]
        for recorder in recorders:
            for _ in range(5):
                self.sent(recorder)
        first, second = ([len(lane.offsets) for lane in recorder.lanes.values()] for recorder in recorders)
        self.assertEqual(first, second)
