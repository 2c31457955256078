"""`server.auto_creation`: one question to control for each topic, however many wait."""

import unittest

from support.cluster_world import FakeControl

from server.auto_creation import CREATION_WAIT_S, SERVED_WAIT_S, AutoCreation
from wire.errors import ErrorCode


class AutoCreationTest(unittest.TestCase):
    def setUp(self) -> None:
        self.control = FakeControl()
        self.creation = AutoCreation(self.control)
        self.done: list[str] = []

    def create(self, who: str, *names: str) -> None:
        self.creation.create(names, lambda: self.done.append(who))

    def answer(self, at: int) -> None:
        self.control.asked[at][-1](ErrorCode.NOT_CONTROLLER)

    def test_asked_once_and_told_to_all(self) -> None:
        self.create("a", "x", "y")
        self.create("b", "y")
        self.create("c", "y", "z", "z")
        self.assertEqual([[t.name for t in self.control.request(at).topics] for at in (0, 1)], [["x", "y"], ["z"]])
        self.assertEqual(self.control.request(0).topics[0].num_partitions, -1)
        self.answer(0)
        self.assertEqual(self.done, ["a", "b"])
        self.answer(1)
        self.assertEqual(self.done, ["a", "b", "c"])

    def test_asked_again_later(self) -> None:
        self.create("a", "x")
        self.answer(0)
        self.create("b", "x")
        self.assertEqual(len(self.control.asked), 2)

    def test_how_long_it_may_take(self) -> None:
        for wait_s in (CREATION_WAIT_S, SERVED_WAIT_S):
            self.creation.create([f"x{wait_s:.0f}"], lambda: None, wait_s)
            told = self.control.request().timeout.total_seconds()
            self.assertEqual((self.control.asked[-1][3], told), (wait_s, wait_s))

    def test_under_way_until_control_has_answered(self) -> None:
        self.create("a", "x")
        self.assertEqual([self.creation.is_under_way(name) for name in "xy"], [True, False])
        self.answer(0)
        self.assertFalse(self.creation.is_under_way("x"))

    def test_an_answer_at_once(self) -> None:
        self.control.outcome = lambda *_: ErrorCode.NOT_CONTROLLER
        self.create("a", "x", "y")
        self.assertEqual(self.done, ["a"])
