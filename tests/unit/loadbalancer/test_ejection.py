import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.ejection import LONGEST_EJECTION_S, STRIKES, Ejections
from loadbalancer.snapshot import Member


def member(node: int, name: str = "", port: int = 80, routable: bool = True, draining: bool = False) -> Member:
    return Member(node, node, name or f"S{node}", "h", port, routable=routable, draining=draining)


def fleet(size: int, threshold: float = 0.5) -> Ejections:
    ejections = Ejections(threshold)
    ejections.apply([member(node) for node in range(size)])
    return ejections


class Signs(unittest.TestCase):
    def test_a_refused_connection_ejects_at_once(self) -> None:
        ejections = fleet(3)
        self.assertTrue(ejections.refused(1, 0.0))
        self.assertEqual(ejections.eligible, {0, 2})

    def test_resets_eject_after_three_in_a_row(self) -> None:
        ejections = fleet(3)
        self.assertEqual([ejections.failed(1, 0.0) for _ in range(STRIKES)], [False, False, True])
        self.assertFalse(ejections.failed(1, 0.0))

    def test_an_answer_between_them_starts_anew(self) -> None:
        ejections = fleet(3)
        for _ in range(10):
            self.assertFalse(ejections.failed(1, 0.0))
            self.assertFalse(ejections.failed(1, 0.0))
            self.assertTrue(ejections.unsettled(1))
            self.assertFalse(ejections.answered(1))
        self.assertFalse(ejections.unsettled(1))

    def test_another_worker_s_word_holds_for_that_instance_only(self) -> None:
        ejections = fleet(3)
        self.assertFalse(ejections.told(1, "S1-older", 0.0))
        self.assertTrue(ejections.told(1, "S1", 0.0))
        self.assertEqual(ejections.eligible, {0, 2})

    def test_unknown_nodes_are_let_pass(self) -> None:
        ejections = fleet(3)
        self.assertFalse(ejections.refused(9, 0.0) or ejections.failed(9, 0.0) or ejections.answered(9))
        ejections.trial_failed(9, 0.0)


class Trials(unittest.TestCase):
    def test_ejections_double_from_one_second_to_thirty(self) -> None:
        ejections, now, pauses = fleet(3), 0.0, list[float]()
        ejections.refused(1, now)
        while len(pauses) < 7:
            start = now
            while not ejections.due(now):
                now += 0.5
            pauses.append(now - start)
            ejections.trial_failed(1, now)
        self.assertEqual(pauses, [1, 2, 4, 8, 16, LONGEST_EJECTION_S, LONGEST_EJECTION_S])

    def test_one_trial_at_a_time_and_a_good_one_restores(self) -> None:
        ejections = fleet(3)
        ejections.refused(1, 0.0)
        self.assertEqual((ejections.due(0.9), ejections.due(1.0), ejections.due(5.0)), ([], [1], []))
        self.assertFalse(ejections.answered(1))
        self.assertTrue(ejections.answered(1, trial=True))
        self.assertEqual(ejections.eligible, {0, 1, 2})

    def test_a_new_instance_is_not_ejected_an_unchanged_one_stays(self) -> None:
        ejections = fleet(3)
        ejections.refused(1, 0.0)
        ejections.apply([member(0), member(1), member(2)])
        self.assertEqual(ejections.eligible, {0, 2})
        ejections.apply([member(0), member(1, name="S1b"), member(2)])
        self.assertEqual(ejections.eligible, {0, 1, 2})


class Panic(unittest.TestCase):
    def test_with_less_than_half_healthy_requests_go_to_all(self) -> None:
        ejections = Ejections(0.5)
        ejections.apply([member(0), member(1, routable=False), member(2, routable=False)])
        self.assertTrue(ejections.panicking)
        self.assertEqual(ejections.eligible, {0, 1, 2})

    def test_half_is_enough(self) -> None:
        ejections = Ejections(0.5)
        ejections.apply([member(0), member(1, routable=False)])
        self.assertEqual(ejections.eligible, {0})

    def test_not_to_empty_places_leavers_and_those_that_refused(self) -> None:
        ejections = Ejections(0.5)
        down = [member(1, routable=False, port=0), member(2, routable=False), member(3, routable=False)]
        ejections.apply([member(0), *down, member(4, routable=False, draining=True)])
        self.assertEqual(ejections.eligible, {0, 2, 3})
        ejections.refused(2, 0.0)
        self.assertEqual(ejections.eligible, {0, 3})

    def test_if_all_refused_they_are_all_tried(self) -> None:
        ejections = fleet(2)
        for node in (0, 1):
            ejections.refused(node, 0.0)
        ejections.apply([member(0, routable=False), member(1, routable=False)])
        self.assertEqual(ejections.eligible, {0, 1})

    def test_a_threshold_of_zero_never_panics(self) -> None:
        ejections = Ejections(0.0)
        ejections.apply([member(0, routable=False)])
        self.assertEqual(ejections.eligible, frozenset())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["refused", "failed", "told", "answered", "due", "lost"]), st.integers(0, 8), st.floats(0, 3)
    ),
    max_size=60,
)


class Laws(unittest.TestCase):
    @given(st.integers(1, 9), STEPS)
    def test_never_more_than_half_is_ejected_and_somebody_is_eligible(
        self, size: int, steps: list[tuple[str, int, float]]
    ) -> None:
        ejections, now = fleet(size), 0.0
        for step, node, pause in steps:
            now += pause
            before = ejections.ejected()
            ejected = self.take(ejections, step, node, now)
            self.assertEqual(ejected, bool(ejections.ejected() - before))
            self.assertLessEqual(2 * len(ejections.ejected()), size)
            self.assertTrue(ejections.eligible)

    def take(self, ejections: Ejections, step: str, node: int, now: float) -> bool:
        match step:
            case "refused":
                return ejections.refused(node, now)
            case "failed":
                return ejections.failed(node, now)
            case "told":
                return ejections.told(node, f"S{node}", now)
            case "answered":
                ejections.answered(node, trial=now % 1 < 0.5)
            case "due":
                ejections.due(now)
            case _:
                ejections.trial_failed(node, now)
        return False
