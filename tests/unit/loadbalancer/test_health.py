import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.fleet_state import TRANSITIONS, State
from loadbalancer.health import LagMeter, ProbeTarget, Schedule, longer, verdict


def target(name: str, eager: bool = False) -> ProbeTarget:
    return ProbeTarget(name, f"{name}:1", "127.0.0.1", 1, eager)


class TestVerdict(unittest.TestCase):
    def judged(self, state: State, answers: str, fall: int = 2, rise: int = 1) -> list[State]:
        """The states after each answer, "+" or "-"."""
        streak, states = 0, [state]
        for answer in answers:
            streak = longer(streak, answer == "+")
            states.append(verdict(states[-1], streak, fall, rise))
        return states[1:]

    def test_two_in_a_row_are_the_end(self) -> None:
        self.assertEqual(self.judged(State.HEALTHY, "-+--"), [State.SUSPECT, State.HEALTHY, State.SUSPECT, State.DEAD])

    def test_with_fall_one_there_is_no_suspicion(self) -> None:
        self.assertEqual(self.judged(State.HEALTHY, "-", fall=1), [State.DEAD])

    def test_one_that_starts_is_not_hurt_by_failures(self) -> None:
        self.assertEqual(self.judged(State.STARTING, "----+"), [State.STARTING] * 4 + [State.HEALTHY])

    def test_rise_counts_answers_in_a_row(self) -> None:
        states = self.judged(State.STARTING, "++-+++", rise=3)
        self.assertEqual(states, [State.STARTING] * 5 + [State.HEALTHY])

    @given(st.sampled_from(State), st.integers(-9, 9), st.integers(1, 9), st.integers(1, 9))
    def test_every_verdict_is_a_transition(self, state: State, streak: int, fall: int, rise: int) -> None:
        self.assertIn(verdict(state, streak, fall, rise), TRANSITIONS[state] | {state})


class TestSchedule(unittest.TestCase):
    def test_a_newcomer_is_asked_at_once_and_often(self) -> None:
        schedule, newcomer = Schedule(0.5, 0.05), target("a", eager=True)
        self.assertEqual(schedule.due([newcomer], 10.0), [newcomer])
        schedule.finished(newcomer, 10.001)
        self.assertEqual(schedule.due([newcomer], 10.04), [])
        self.assertEqual(schedule.due([newcomer], 10.05), [newcomer])

    def test_never_twice_at_a_time(self) -> None:
        schedule, slow = Schedule(0.5), target("a", eager=True)
        schedule.due([slow], 0.0)
        self.assertEqual(schedule.due([slow], 100.0), [])
        schedule.finished(slow, 100.0)
        self.assertEqual(schedule.due([slow], 100.0), [slow])

    def test_old_hands_are_spread_over_the_interval(self) -> None:
        schedule, fleet = Schedule(0.5), [target(str(number)) for number in range(64)]
        asked = [len(schedule.due(fleet, step * 0.01)) for step in range(51)]
        self.assertLessEqual(max(asked), 3)
        self.assertEqual(sum(asked), 64)

    def test_who_is_gone_is_forgotten(self) -> None:
        schedule, gone = Schedule(0.5), target("a", eager=True)
        schedule.due([gone], 0.0)
        schedule.due([], 0.1)
        schedule.finished(gone, 0.2)
        self.assertEqual(schedule.due([gone], 0.2), [gone], "back, it is a newcomer")


class TestLagMeter(unittest.TestCase):
    def test_a_loop_that_beats_is_not_late(self) -> None:
        meter = LagMeter(0.0)
        for beat in range(1, 20):
            meter.beat(beat * 0.06)
        self.assertFalse(meter.late(0.0, 1.2))

    def test_a_pause_counts_for_what_was_under_way_and_not_for_what_came_after(self) -> None:
        meter = LagMeter(0.0)
        meter.beat(0.05)
        meter.beat(0.4)
        self.assertTrue(meter.late(0.04, 0.41))
        meter.beat(0.45)
        self.assertFalse(meter.late(0.41, 0.46))

    def test_a_pause_that_is_not_over_counts_too(self) -> None:
        self.assertTrue(LagMeter(0.0).late(0.01, 0.3))
