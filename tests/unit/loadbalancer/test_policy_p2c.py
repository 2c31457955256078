import random
import unittest
from collections import Counter

from support.views import NODES, view_of

from loadbalancer.policy_p2c import LeastOfTwoPolicy
from loadbalancer.policy_view import View


class LeastOfTwoPolicyTest(unittest.TestCase):
    def choose_often(self, view: View, times: int = 3000, tried: tuple[int, ...] = ()) -> Counter[int | None]:
        chosen_by = LeastOfTwoPolicy(random.Random(5).random)
        return Counter(chosen_by.choose(7, view, tried) for _ in range(times))

    def test_of_two_always_the_less_loaded(self) -> None:
        self.assertEqual(self.choose_often(view_of(1, 2, in_flight={1: 4, 2: 3})), {2: 3000})

    def test_load_is_by_weight(self) -> None:
        view = view_of(1, 2, in_flight={1: 4, 2: 3}, weights={1: 2})
        self.assertEqual(self.choose_often(view), {1: 3000})

    def test_the_most_loaded_of_many_is_never_chosen(self) -> None:
        self.assertNotIn(3, self.choose_often(view_of(*NODES, in_flight={3: 1})))

    def test_an_idle_fleet_is_used_evenly_for_one_key(self) -> None:
        for count in self.choose_often(view_of(*NODES)).values():
            self.assertAlmostEqual(count / 600, 1, delta=0.12)

    def test_an_idle_fleet_is_used_by_weight(self) -> None:
        counts = self.choose_often(view_of(1, 2, 3, weights={1: 2}))
        self.assertAlmostEqual(counts[1] / 1500, 1, delta=0.1)

    def test_what_was_tried_is_not_drawn(self) -> None:
        self.assertEqual(set(self.choose_often(view_of(1, 2, 3, in_flight={3: 9}), tried=(2,))), {1})

    def test_a_long_run_stays_level(self) -> None:
        """5000 requests that never end: the power of two choices keeps the most loaded near the mean."""
        in_flight: dict[int, int] = {}
        view, chosen_by = view_of(*NODES, in_flight=in_flight), LeastOfTwoPolicy(random.Random(5).random)
        for key in range(5000):
            chosen = chosen_by.choose(key, view)
            assert chosen is not None
            in_flight[chosen] = in_flight.get(chosen, 0) + 1
        self.assertLess(max(in_flight.values()) - min(in_flight.values()), 10)
