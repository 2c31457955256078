import unittest

from loadbalancer.fleet_state import FleetSettings, State
from loadbalancer.fleet_words import Kill, Note, Publish, Spawn, Stop
from loadbalancer.instances import Instance
from loadbalancer.roster import Roster


class TestRoster(unittest.TestCase):
    def setUp(self) -> None:
        self.roster = Roster(FleetSettings())
        self.place = self.roster.open_place("a", 0.0)
        self.roster.launch(self.place, "first start", 0.0, "a")
        self.instance = Instance("a", 1, 1, "h", 1, "1:1")

    def test_effects_are_ordered_and_a_publish_is_added_once(self) -> None:
        effects = [type(effect) for effect in self.roster.take_effects()]
        self.assertEqual(effects, [Publish, Spawn, Note])
        self.roster.touch()
        self.assertEqual(self.roster.take_effects(), [])

    def test_ids_are_never_given_twice(self) -> None:
        self.roster.vacate(self.place, "gone", 0.0)
        self.assertEqual(self.roster.open_place("b", 0.0).node_id, 2)

    def test_a_fenced_place_can_not_be_launched(self) -> None:
        self.roster.occupy(self.place, self.instance, 0.0)
        self.roster.bury(self.place, "gone", 1.0)
        self.roster.doom("old", 1, "9:9", None)
        with self.assertRaises(AssertionError):
            self.roster.launch(self.place, "again", 1.0)
        self.roster.doomed.clear()
        self.roster.launch(self.place, "again", 1.0)
        self.assertEqual(self.place.name, "server1")

    def test_a_transition_that_is_not_in_the_table_is_a_bug(self) -> None:
        with self.assertRaises(AssertionError):
            self.roster.shift(self.place, State.SUSPECT, "never", 0.0)

    def test_what_is_taken_back_is_stopped_and_awaited(self) -> None:
        self.roster.occupy(self.place, self.instance, 0.0)
        self.roster.take_effects()
        self.roster.vacate(self.place, "taken back", 1.0)
        self.assertIn(Stop("a", "1:1", 10.0), self.roster.take_effects())
        self.assertEqual(self.roster.doomed["a"].again_at, 16.0)

    def test_what_is_being_killed_is_awaited_and_not_killed_twice(self) -> None:
        self.roster.occupy(self.place, self.instance, 0.0)
        self.roster.condemn(self.place, "ill", 1.0)
        self.assertIn(Kill("a", "1:1"), self.roster.take_effects())
        self.roster.vacate(self.place, "removed", 2.0)
        self.assertNotIn(Kill("a", "1:1"), self.roster.take_effects())
        self.assertEqual(self.roster.doomed["a"].again_at, 7.0)

    def test_what_did_not_stop_is_killed(self) -> None:
        self.roster.occupy(self.place, self.instance, 0.0)
        self.roster.drain(self.place, 0.0)
        self.roster.cut(self.place, "drained", 0.0)
        self.roster.take_effects()
        self.roster.vacate(self.place, "did not stop", 15.0)
        self.assertIn(Kill("a", "1:1"), self.roster.take_effects())
        self.assertEqual(self.roster.doomed["a"].again_at, 20.0)

    def test_a_living_stranger_gets_a_seat_only_under_its_own_free_ids(self) -> None:
        self.assertIsNone(self.roster.seat(Instance("x", 1, 7, "h", 1, "5:5"), 0.0))
        self.assertIsNone(self.roster.seat(Instance("x", 7, 1, "h", 1, "5:5"), 0.0))
        self.assertIsNone(self.roster.seat(Instance("A", 7, 7, "h", 1, "5:5"), 0.0))
        self.assertIsNotNone(self.roster.seat(Instance("x", 7, 8, "h", 1, "5:5"), 0.0))
        self.assertEqual((self.roster.next_node_id, self.roster.next_index), (8, 9))

    def test_check_sees_what_is_wrong(self) -> None:
        self.roster.check()
        self.roster.open_place("b", 0.0).name = "A"
        with self.assertRaises(AssertionError):
            self.roster.check()
