import unittest

from loadbalancer.fleet_state import FleetSettings, Place, State
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


class TestSlots(unittest.TestCase):
    """Of the queue's ports for single servers."""

    def setUp(self) -> None:
        self.roster = Roster(FleetSettings(queue_slots=2))

    def add(self) -> Place:
        place = self.roster.open_place(None, 0.0)
        self.roster.launch(place, "added", 0.0)
        return place

    def test_each_has_the_lowest_that_is_free_and_one_too_many_has_none(self) -> None:
        self.assertEqual([0, 1, -1], [self.add().slot for _ in range(3)])
        self.roster.vacate(self.roster.places[1], "gone", 0.0)
        self.assertEqual(0, self.add().slot)

    def test_it_is_in_the_order_to_spawn_and_in_the_layout(self) -> None:
        self.add()
        specs = [effect.spec for effect in self.roster.take_effects() if isinstance(effect, Spawn)]
        self.assertEqual([0], [spec.slot for spec in specs])
        self.assertEqual([0], [member.queue_slot for member in self.roster.members()])

    def test_a_replacement_keeps_it(self) -> None:
        first, second = self.add(), self.add()
        self.roster.vacate(first, "gone", 0.0)
        self.roster.occupy(second, Instance(second.name, 2, 2, "h", 1, "1:1"), 0.0)
        self.roster.bury(second, "gone", 1.0)
        self.roster.launch(second, "again", 1.0)
        self.assertEqual(1, second.slot)

    def test_who_had_none_or_one_that_is_no_more_gets_one_with_its_next_life(self) -> None:
        place = self.roster.open_place(None, 0.0)
        place.slot = 7
        self.roster.launch(place, "again", 1.0)
        self.assertEqual(0, place.slot)

    def test_a_living_one_without_a_record_keeps_its_own(self) -> None:
        seat = self.roster.seat(Instance("x", 7, 8, "h", 1, "5:5", slot=1), 0.0)
        other = self.roster.seat(Instance("y", 8, 9, "h", 1, "6:6", slot=1), 0.0)
        self.assertEqual((1, -1), (seat and seat.slot, other and other.slot))
