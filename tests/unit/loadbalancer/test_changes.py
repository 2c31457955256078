import unittest
from typing import Any

from loadbalancer.changes import MAX_QUEUED, QUEUE_TIMEOUT_S, Changes
from loadbalancer.fleet_state import FleetSettings, Place, State
from loadbalancer.fleet_words import AddRequested, Answer, RemoveRequested
from loadbalancer.roster import Roster


class TestChanges(unittest.TestCase):
    """The checks that need the fleet, and the queue's bounds; the stories are in the scenarios."""

    def setUp(self) -> None:
        self.roster = Roster(FleetSettings(max_replicas=5))
        for _ in range(3):
            self.place(State.HEALTHY)
        self.changes = Changes(self.roster)

    def place(self, state: State, **fields: Any) -> Place:
        place = self.roster.open_place(None, 0.0)
        place.state = state
        for name, value in fields.items():
            setattr(place, name, value)
        return place

    def ask(self, change: AddRequested | RemoveRequested) -> list[Answer]:
        self.changes.submit(change, 0.0)
        self.changes.advance(0.0)
        return self.answers()

    def answers(self) -> list[Answer]:
        return [effect for effect in self.roster.take_effects() if isinstance(effect, Answer)]

    def refused(self, change: AddRequested | RemoveRequested) -> str:
        before = self.roster.dump()
        (answer,) = self.ask(change)
        self.assertEqual((answer.status, answer.ok), (400, False))
        self.assertEqual(self.roster.dump(), before)
        self.assertFalse(self.changes.busy)
        return str(answer.message)

    def test_what_does_not_fit_is_refused_and_nothing_changed(self) -> None:
        self.assertEqual(self.refused(AddRequested(1, 3)), "<Error> 3 + 3 replicas are more than 5")
        self.assertEqual(self.refused(AddRequested(1, 1, ("Server2",))), "<Error> 'Server2' is in use")
        self.assertEqual(self.refused(RemoveRequested(1, 4)), "<Error> there are 3 replicas, 4 can't be removed")
        self.assertEqual(self.refused(RemoveRequested(1, 1, ("x",))), "<Error> there is no replica 'x'")
        self.assertIn("at least 1", self.refused(RemoveRequested(1, 0)))
        self.assertIn("removable", self.refused(RemoveRequested(1, 1, ("x", "y"))))

    def test_the_balancer_takes_the_useless_first_then_the_newest(self) -> None:
        self.place(State.SUSPECT)
        self.place(State.DEAD)
        self.place(State.HEALTHY, drained=True)
        self.roster.places[2].state = State.DEAD
        self.ask(RemoveRequested(1, 5, ("server1",)))
        wanted = [place.name for place in self.roster.by_index() if place.wanted]
        self.assertEqual(wanted, ["server3"])

    def test_the_queue_is_bounded(self) -> None:
        for command in range(1, MAX_QUEUED + 1):
            self.changes.submit(AddRequested(command, 1), 0.0)
        self.changes.submit(AddRequested(0, 1), 0.0)
        (answer,) = self.answers()
        self.assertEqual((answer.command, answer.status), (0, 503))

    def test_waiting_is_bounded_and_the_bound_is_told(self) -> None:
        self.ask(AddRequested(1, 1))
        self.changes.submit(RemoveRequested(2, 1), 5.0)
        self.assertEqual(sorted(self.changes.deadlines()), [30.0, 5.0 + QUEUE_TIMEOUT_S])

    def test_a_faulty_body_does_not_wait_for_its_turn(self) -> None:
        self.ask(AddRequested(1, 1))
        self.assertEqual([answer.command for answer in self.ask(AddRequested(2, 0))], [2])
