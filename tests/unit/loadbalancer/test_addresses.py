import unittest

from loadbalancer.addresses import RETRY_S, Addresses


class Asking(unittest.TestCase):
    def test_at_once_then_each_refresh(self) -> None:
        name = Addresses(10)
        self.assertTrue(name.ask(100))
        self.assertFalse(name.ask(200))  # under way, however long
        name.answered(["a"])
        self.assertFalse(name.ask(109.9))
        self.assertTrue(name.ask(110))

    def test_sooner_after_a_failure_unless_the_refresh_is_sooner(self) -> None:
        for refresh_s, pause_s in ((10.0, RETRY_S), (0.2, 0.2)):
            name = Addresses(refresh_s)
            name.ask(100)
            name.failed()
            self.assertFalse(name.ask(100 + pause_s - 0.01))
            self.assertTrue(name.ask(100 + pause_s))


class Answers(unittest.TestCase):
    def test_only_addresses_that_went_count_as_a_change(self) -> None:
        name = Addresses(10)
        self.assertFalse(name.answered(["a", "b", "a"]))
        self.assertEqual(name.found, ("a", "b"))
        self.assertFalse(name.answered(["b", "a"]))
        self.assertFalse(name.answered(["b", "a", "c"]))
        self.assertTrue(name.answered(["c"]))

    def test_failures_keep_what_was_found(self) -> None:
        name = Addresses(10)
        name.answered(["a"])
        self.assertEqual([name.failed(), name.failed()], [True, False])
        self.assertEqual(name.order(), ["a"])
        name.answered(["a"])
        self.assertTrue(name.failed())


class Turns(unittest.TestCase):
    def test_each_address_begins_in_turn(self) -> None:
        name = Addresses(10)
        self.assertEqual(name.order(), [])
        name.answered(["a", "b", "c"])
        orders = [name.order() for _ in range(6)]
        self.assertEqual(sorted(order[0] for order in orders), ["a", "a", "b", "b", "c", "c"])
        self.assertTrue(all(sorted(order) == ["a", "b", "c"] for order in orders))

    def test_bad_ones_come_last_until_the_next_answer(self) -> None:
        name = Addresses(10)
        name.answered(["a", "b"])
        name.unreachable("a")
        self.assertEqual([name.order() for _ in range(3)], [["b", "a"]] * 3)
        name.answered(["a", "b"])
        self.assertIn(["a", "b"], [name.order() for _ in range(2)])

    def test_fewer_addresses_than_turns(self) -> None:
        name = Addresses(10)
        name.answered(["a", "b", "c"])
        name.order()
        name.order()
        name.answered(["a"])
        self.assertEqual(name.order(), ["a"])
