import unittest

from loadbalancer.adoption import take_over
from loadbalancer.fleet_state import FleetSettings, State
from loadbalancer.fleet_words import Adopt, Effect, Kill, Note, Spawn, Started
from loadbalancer.instances import Instance
from loadbalancer.roster import Roster


def living(name: str, node_id: int, index: int, handle: str = "") -> Instance:
    return Instance(name, node_id, index, "h", 1, handle or f"{node_id}:1")


class TestTakeOver(unittest.TestCase):
    """The decisions at the edges; the stories are in the scenarios."""

    def setUp(self) -> None:
        self.roster = Roster(FleetSettings(replicas=2))

    def take(self, *instances: Instance, cold: bool = False, recorded: bool = True) -> list[Effect]:
        take_over(self.roster, Started(instances, cold), recorded, 0.0)
        self.roster.check()
        effects = self.roster.take_effects()
        return [it for it in effects if isinstance(it, Adopt | Kill | Spawn)]

    def record(self, name: str, state: State, instance: Instance | None) -> None:
        place = self.roster.open_place(name, 0.0)
        place.state, place.instance = state, instance

    def test_another_incarnation_under_the_old_name_is_no_match(self) -> None:
        self.record("a", State.HEALTHY, living("a", 1, 1, "1:1"))
        self.assertEqual(self.take(living("a", 1, 1, "1:2")), [Kill("a", "1:2")])
        self.assertEqual(self.roster.places[1].state, State.DEAD)

    def test_one_that_was_to_be_killed_still_is(self) -> None:
        self.record("a", State.DEAD, living("a", 1, 1))
        self.assertEqual(self.take(living("a", 1, 1)), [Kill("a", "1:1")])
        self.assertNotIn("a", self.roster.doomed)

    def test_the_starting_go_on_starting_the_draining_draining(self) -> None:
        self.record("a", State.STARTING, None)
        self.record("b", State.DRAINING, living("b", 2, 2))
        self.assertEqual(self.take(living("a", 1, 1), living("b", 2, 2)), [Adopt("a"), Adopt("b")])
        self.assertEqual([place.state for place in self.roster.by_index()], [State.STARTING, State.DRAINING])

    def test_a_drained_and_gone_one_has_left(self) -> None:
        self.record("a", State.DRAINING, living("a", 1, 1))
        self.take()
        self.assertEqual(self.roster.places, {})

    def test_without_a_record_the_living_are_the_fleet_filled_up_to_n(self) -> None:
        effects = self.take(living("x", 7, 4), recorded=False)
        self.assertEqual([type(it) for it in effects], [Adopt, Spawn])
        self.assertEqual([(place.node_id, place.index) for place in self.roster.by_index()], [(7, 4), (8, 5)])

    def test_without_a_record_a_second_one_on_a_node_id_is_a_leftover(self) -> None:
        effects = self.take(living("x", 1, 1), living("y", 1, 2), recorded=False)
        self.assertEqual([it for it in effects if isinstance(it, Kill)], [Kill("y", "1:1")])

    def test_everything_is_noted(self) -> None:
        self.record("a", State.HEALTHY, living("a", 1, 1))
        self.record("b", State.HEALTHY, living("b", 2, 2))
        take_over(self.roster, Started((living("a", 1, 1), living("z", 9, 9)), cold=False), True, 0.0)
        notes = [(it.kind, it.replica) for it in self.roster.take_effects() if isinstance(it, Note)]
        self.assertEqual(notes, [("leftover", "z"), ("adopted", "a"), ("dead", "b")])
