import unittest

from loadbalancer.fleet_state import TRANSITIONS, Place, State


class TestTransitions(unittest.TestCase):
    def test_each_state_has_a_row(self) -> None:
        self.assertEqual(set(TRANSITIONS), set(State))

    def test_no_state_follows_itself_and_a_leaver_only_leaves(self) -> None:
        for state, following in TRANSITIONS.items():
            self.assertNotIn(state, following)
        self.assertEqual(TRANSITIONS[State.DRAINING], frozenset())

    def test_a_dead_one_serves_again_only_through_a_start_or_its_own_answer(self) -> None:
        self.assertEqual(TRANSITIONS[State.DEAD], {State.STARTING, State.HEALTHY})


class TestPlace(unittest.TestCase):
    def test_routable_are_the_well_unless_drained_or_on_trial(self) -> None:
        place = Place(1, 1, "a", 0.0, state=State.SUSPECT)
        self.assertTrue(place.routable)
        place.drained = True
        self.assertFalse(place.routable)
        self.assertEqual(place.shown, "draining")
        place.drained, place.joining = False, True
        self.assertFalse(place.routable or place.wanted)

    def test_a_drained_one_that_is_dead_shows_as_dead(self) -> None:
        self.assertEqual(Place(1, 1, "a", 0.0, drained=True).shown, "dead")
