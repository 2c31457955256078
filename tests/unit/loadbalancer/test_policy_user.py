import sys
import types
import unittest
from collections.abc import Callable, Collection

from support.views import view_of

from loadbalancer.policy_user import load
from loadbalancer.policy_view import View
from loadbalancer.selection import policy


class Highest:
    """Always the highest node id: a policy as a user would write it."""

    def choose(self, key: int, view: View, tried: Collection[int] = ()) -> int | None:
        return max(view.eligible.difference(tried), default=None)


class Answers:
    """Says whatever it was told to."""

    answer: Callable[[], object] = staticmethod(lambda: None)

    def choose(self, key: int, view: View, tried: Collection[int] = ()) -> object:
        return Answers.answer()


class NeedsArguments(Highest):
    def __init__(self, missing: int) -> None:
        self.missing = missing


class UserPolicyTest(unittest.TestCase):
    def setUp(self) -> None:
        module = types.ModuleType("carousel_users_own")
        for known in (Highest, Answers, NeedsArguments):
            setattr(module, known.__name__, known)
        sys.modules[module.__name__] = module
        self.addCleanup(sys.modules.pop, module.__name__)
        self.faults: list[str] = []

    def test_its_choice_is_taken(self) -> None:
        mine = policy("carousel_users_own:Highest", self.faults.append)
        view = view_of(1, 2, 3)
        self.assertEqual([mine.choose(7, view, tried) for tried in ((), (3,), (1, 2, 3))], [3, 2, None])
        self.assertEqual(self.faults, [])

    def test_what_may_not_be_is_replaced_by_the_rings_choice_and_told_once(self) -> None:
        def explode() -> object:
            raise KeyError("oh\nno")

        view, ring = view_of(1, 2), policy("ring")
        for answer, fault in (
            (lambda: 5, "chose 5 of [2]"),
            (lambda: 1, "chose 1 of [2]"),
            (lambda: None, "chose None of [2]"),
            (list, "chose [] of [2]"),
            (explode, "raised KeyError: 'oh\\nno'"),
        ):
            with self.subTest(fault):
                Answers.answer = staticmethod(answer)
                self.faults.clear()
                mine = policy("carousel_users_own:Answers", self.faults.append)
                for _ in range(2):
                    self.assertEqual(mine.choose(7, view, (1,)), ring.choose(7, view, (1,)))
                self.assertEqual(self.faults, [fault])

    def test_what_cant_be_had_is_told_in_one_line(self) -> None:
        for name, words in (
            ("no.such.module:Policy", "ModuleNotFoundError"),
            ("carousel_users_own:Lowest", "AttributeError"),
            ("carousel_users_own:NeedsArguments", "TypeError"),
            ("fractions:Fraction", "has no method choose"),
        ):
            with self.subTest(name), self.assertRaisesRegex(ValueError, words) as raised:
                load(name)
            self.assertTrue(str(raised.exception).startswith(f"policy {name!r}"))
            self.assertNotIn("\n", str(raised.exception))
