import unittest

from support.views import view_of


class ViewTest(unittest.TestCase):
    def test_what_is_derived(self) -> None:
        view = view_of(3, 1, weights={1: 2, 5: 9})
        self.assertEqual(view.weighted, ((1, 2), (3, 1)))
        self.assertEqual(view.tickets, (1, 1, 3))
        self.assertEqual(dict(view.first_ticket), {1: 0, 3: 2})
        self.assertEqual(view.total_weight, 3)
