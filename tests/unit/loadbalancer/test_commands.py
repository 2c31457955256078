import unittest

from loadbalancer.commands import BadCommand, Change, check_change, check_weight

ADD = "<Error> Length of hostname list is more than newly added instances"
REMOVE = "<Error> Length of hostname list is more than removable instances"


def fault(n: int, *hostnames: str, removing: bool = False, backends: bool = False) -> str:
    """What is wrong with it, or ""."""
    try:
        check_change(Change(n, hostnames), removing=removing, backends=backends)
    except BadCommand as bad:
        return bad.message
    return ""


class TestCheckChange(unittest.TestCase):
    def test_hostnames_may_be_fewer(self) -> None:
        self.assertEqual([fault(2), fault(2, "a"), fault(2, "a", "b")], ["", "", ""])

    def test_the_two_texts_to_the_letter_before_anything_else(self) -> None:
        for names in (("a", "b"), ("a", "a"), ("-", "!")):
            self.assertEqual(fault(1, *names), ADD)
            self.assertEqual(fault(1, *names, removing=True), REMOVE)
        self.assertEqual([fault(0, "a"), fault(-1, "a")], [ADD, ADD])

    def test_other_faults_are_named(self) -> None:
        self.assertEqual([fault(0), fault(-1)], ["<Error> n must be at least 1"] * 2)
        self.assertEqual(fault(2, "a", "A"), "<Error> 'A' is repeated")
        self.assertIn("<Error> 'a.b' is not of the form", fault(1, "a.b"))

    def test_static_backends_are_addresses_and_all_named(self) -> None:
        self.assertEqual(fault(1, "a:1", backends=True), "")
        self.assertIn("HOST:PORT", fault(1, "a", backends=True))
        self.assertIn("HOST:PORT", fault(1, backends=True))
        self.assertEqual(fault(1, backends=True, removing=True), "")


class TestCheckWeight(unittest.TestCase):
    def test_one_to_a_hundred(self) -> None:
        check_weight(1)
        check_weight(100)
        for weight in (-1, 0, 101):
            with self.assertRaises(BadCommand):
                check_weight(weight)
