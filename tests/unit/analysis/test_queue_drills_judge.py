"""The judge is given good records, and then losses, doubles and reorders that are planted in them, a rule at a time."""

import random
import unittest
from array import array
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from analysis.queue_drills.facts import NO_OFFSET, Delivered, Lane, LaneId, Read
from analysis.queue_drills.judge import EXAMPLES, GROUP_RULES, RULES, Verdict, judge, judge_group

Lanes = dict[LaneId, Lane]
Logs = dict[int, list[Read]]


def good(seed: int, producers: int = 3, partitions: int = 2, each: int = 20) -> tuple[Lanes, Logs]:
    """Lanes that are interleaved at random, all acknowledged."""
    chance = random.Random(seed)
    lanes = {LaneId(producer, number): Lane() for producer in range(producers) for number in range(partitions)}
    logs: Logs = {number: [] for number in range(partitions)}
    for _ in range(each * len(lanes)):
        lane_id = chance.choice(list(lanes))
        log, lane = logs[lane_id.partition], lanes[lane_id]
        number = lane.sent(1.0)
        lane.acked(number, len(log), 2.0)
        log.append(Read(len(log), lane_id.producer, lane_id.partition, number))
    return lanes, logs


def numbered(reads: list[Read]) -> list[Read]:
    """With the offsets that a log would have given them."""
    return [read._replace(offset=offset) for offset, read in enumerate(reads)]


def told(lanes: Lanes, logs: Logs) -> None:
    """Acks say the offsets that the logs have, as if the queue had told the producers what it did."""
    for lane in lanes.values():
        lane.offsets = array("q", [NO_OFFSET] * len(lane.offsets))
    for partition, log in logs.items():
        for read in log:
            lane = lanes[LaneId(read.producer, partition)]
            if lane.offsets[read.number] == NO_OFFSET:
                lane.offsets[read.number] = read.offset


class JudgeTest(unittest.TestCase):
    def setUp(self) -> None:
        self.lanes, self.logs = good(7)

    def assert_broken(self, **rules: int) -> Verdict:
        verdict = judge(self.lanes, self.logs)
        self.assertEqual(dict(verdict.broken), {rule.replace("_", " "): count for rule, count in rules.items()})
        self.assertLessEqual(set(verdict.broken), set(RULES))
        return verdict

    def one(self, partition: int = 0, back: int = 10) -> Read:
        """Some message in the middle of the log."""
        return self.logs[partition][-back]

    def test_a_good_run(self) -> None:
        verdict = self.assert_broken()
        self.assertEqual((verdict.sent, verdict.acked, verdict.read, verdict.unacked_but_there), (120, 120, 120, 0))

    def test_a_loss_at_the_end(self) -> None:
        last = self.logs[0].pop()
        verdict = self.assert_broken(lost=1)
        name = f"message {last.number} of producer {last.producer} to partition 0, acknowledged at offset {last.offset}"
        self.assertEqual(verdict.examples, {"lost": [name]})

    def test_a_loss_in_the_middle_by_a_log_that_does_not_hide_it(self) -> None:
        self.logs[0].remove(self.one())
        self.assert_broken(lost=1, offset_left_out=1)

    def test_a_loss_that_moves_the_others_up(self) -> None:
        self.logs[0].remove(self.one())
        self.logs[0] = numbered(self.logs[0])
        self.assert_broken(lost=1, misplaced=9)

    def test_a_lost_partition(self) -> None:
        there = len(self.logs[1])
        self.logs[1] = []
        self.assert_broken(lost=there)
        del self.logs[1]
        self.assert_broken(lost=there)

    def test_a_double(self) -> None:
        self.logs[0].append(self.one()._replace(offset=len(self.logs[0])))
        self.assert_broken(doubled=1)

    def test_a_double_at_the_same_offset_is_the_reader_s_or_the_log_s(self) -> None:
        self.logs[0].insert(-5, self.logs[0][-6])
        self.assert_broken(doubled=1, offset_went_back=1)

    def test_a_reorder_that_producers_are_told(self) -> None:
        lane = [place for place, read in enumerate(self.logs[0]) if read.producer == 1]
        first, second = lane[4:6]
        log = self.logs[0]
        log[first], log[second] = log[second], log[first]
        self.logs[0] = numbered(log)
        told(self.lanes, self.logs)
        self.assert_broken(reordered=1)

    def test_two_producers_have_no_order(self) -> None:
        log = self.logs[0]
        place = next(at for at in range(len(log) - 1) if log[at].producer != log[at + 1].producer)
        log[place], log[place + 1] = log[place + 1], log[place]
        self.logs[0] = numbered(log)
        told(self.lanes, self.logs)
        self.assert_broken()

    def test_a_hole_below_what_is_there(self) -> None:
        gone = self.lanes[LaneId(1, 0)]
        gone.offsets[3], gone.told_s[3] = NO_OFFSET, 0.0
        self.logs[0] = numbered([read for read in self.logs[0] if (read.producer, read.number) != (1, 3)])
        told(self.lanes, self.logs)
        self.assert_broken(hole=1, open=1)
        gone.gave_up(3, "timed out", 9.0)
        self.assert_broken(given_up=1)

    def test_open_ones_at_the_end_may_be_there_or_not(self) -> None:
        there, away = (self.lanes[LaneId(producer, 0)] for producer in (1, 2))
        there.offsets[-1] = away.offsets[-1] = NO_OFFSET
        last = len(away.offsets) - 1
        self.logs[0] = numbered([read for read in self.logs[0] if (read.producer, read.number) != (2, last)])
        told(self.lanes, self.logs)
        there.offsets[-1] = NO_OFFSET
        self.assertEqual(self.assert_broken(open=2).unacked_but_there, 1)

    def test_what_nobody_sent(self) -> None:
        end = len(self.logs[0])
        sent = len(self.lanes[LaneId(1, 0)].offsets)
        for read in (Read(end, 9, 0, 0), Read(end, 1, 0, sent), Read(end, 1, 1, 0), Read(end, 1, 0, -1)):
            with self.subTest(read):
                self.logs[0][end:] = [read]
                self.assert_broken(alien=1)

    def test_damaged_bytes_are_no_message(self) -> None:
        self.logs[0][-1] = Read(self.logs[0][-1].offset, -1, -1, -1, intact=False)
        self.assert_broken(damaged=1, lost=1)

    def test_an_offset_acknowledged_twice(self) -> None:
        lane = self.lanes[LaneId(1, 0)]
        lane.offsets[5] = lane.offsets[4]
        self.assert_broken(misplaced=1, offset_acknowledged_twice=1)

    def test_a_message_acknowledged_twice(self) -> None:
        lane = self.lanes[LaneId(1, 0)]
        lane.acked(4, lane.offsets[4], 3.0)
        self.assert_broken(acknowledged_twice=1)

    def test_examples_are_few(self) -> None:
        self.logs[0] = []
        self.assertEqual(len(judge(self.lanes, self.logs).examples["lost"]), EXAMPLES)

    def test_a_log_that_does_not_begin_at_0(self) -> None:
        first = self.logs[0].pop(0)
        verdict = self.assert_broken(lost=1, offset_left_out=1)
        self.assertIn(f"producer {first.producer} ", verdict.examples["lost"][0])


class Laws(unittest.TestCase):
    """Whatever the run was: what is planted is found, and nothing else is."""

    @given(st.integers(0, 1 << 32), st.integers(1, 4), st.integers(1, 4))
    def test_good_runs_break_nothing(self, seed: int, producers: int, partitions: int) -> None:
        self.assertEqual(judge(*good(seed, producers, partitions, 10)).broken, {})

    @given(st.integers(0, 1 << 32), st.data())
    def test_as_many_losses_as_were_planted(self, seed: int, data: st.DataObject) -> None:
        lanes, logs = good(seed)
        log = logs[0]
        gone = data.draw(st.sets(st.integers(0, len(log) - 1), min_size=1, max_size=len(log)))
        logs[0] = [read for place, read in enumerate(log) if place not in gone]
        broken = judge(lanes, logs).broken
        self.assertEqual(broken["lost"], len(gone))
        self.assertEqual(set(broken) - {"lost", "offset left out"}, set())

    @given(st.integers(0, 1 << 32), st.data())
    def test_as_many_doubles_as_were_planted(self, seed: int, data: st.DataObject) -> None:
        lanes, logs = good(seed)
        again = data.draw(st.sets(st.sampled_from(logs[1]), min_size=1))
        places = sorted(data.draw(st.integers(read.offset + 1, len(logs[1]))) for read in again)
        for read, place in zip(sorted(again, reverse=True), reversed(places), strict=True):
            logs[1].insert(max(place, read.offset + 1), read)
        logs[1] = numbered(logs[1])
        told(lanes, logs)
        self.assertEqual(judge(lanes, logs).broken, {"doubled": len(again)})

    @given(st.integers(0, 1 << 32), st.data())
    def test_any_other_order_is_found(self, seed: int, data: st.DataObject) -> None:
        lanes, logs = good(seed, producers=1, partitions=1)
        order = data.draw(st.permutations(logs[0]))
        logs[0] = numbered(order)
        told(lanes, logs)
        broken = judge(lanes, logs).broken
        self.assertEqual(bool(broken["reordered"]), [read.number for read in order] != list(range(len(order))))
        self.assertLessEqual(set(broken), {"reordered"})


class GroupTest(unittest.TestCase):
    def setUp(self) -> None:
        _, self.logs = good(7)
        self.delivered = {
            partition: [Delivered(read, 0, float(read.offset)) for read in log] for partition, log in self.logs.items()
        }

    def assert_broken(self, redelivered: int = 0, **rules: int) -> None:
        verdict = Verdict()
        judge_group(verdict, self.logs, self.delivered)
        self.assertEqual(dict(verdict.broken), {rule.replace("_", " "): count for rule, count in rules.items()})
        self.assertLessEqual(set(verdict.broken), set(GROUP_RULES))
        self.assertEqual(verdict.redelivered, redelivered)

    def change(self, how: Callable[[list[Delivered]], None]) -> None:
        how(self.delivered[0])

    def test_all_once_in_order(self) -> None:
        self.assert_broken()

    def test_missing_ones(self) -> None:
        self.change(lambda delivered: delivered.pop())
        self.assert_broken(not_delivered=1)
        self.change(lambda delivered: delivered.pop(0))
        self.assert_broken(not_delivered=2, delivered_out_of_order=1)

    def test_a_partition_that_never_came(self) -> None:
        del self.delivered[1]
        self.assert_broken(not_delivered=len(self.logs[1]))

    def test_again_after_a_rebalance_is_at_least_once(self) -> None:
        self.change(lambda delivered: delivered.extend([one._replace(member=1) for one in delivered[-4:]]))
        self.assert_broken(redelivered=4)

    def test_what_is_new_comes_in_order(self) -> None:
        def swap(delivered: list[Delivered]) -> None:
            delivered[3], delivered[4] = delivered[4], delivered[3]

        self.change(swap)
        self.assert_broken(delivered_out_of_order=1)

    def test_another_message_at_the_offset(self) -> None:
        def lie(delivered: list[Delivered]) -> None:
            delivered[3] = delivered[3]._replace(read=delivered[3].read._replace(number=99))

        self.change(lie)
        self.assert_broken(delivered_otherwise=1)

    def test_beyond_the_log(self) -> None:
        """A message that a consumer saw and that vanished later: the high watermark went back."""
        self.logs[0].pop()
        self.assert_broken(delivered_otherwise=1)


if __name__ == "__main__":
    unittest.main()
