import typing
import unittest

from loadbalancer.fleet_words import ORDER, Answer, Effect, Kill, Publish


class TestWords(unittest.TestCase):
    def test_every_effect_has_its_turn(self) -> None:
        self.assertEqual(set(ORDER), set(typing.get_args(Effect)))

    def test_out_of_routing_before_killed_and_done_before_told(self) -> None:
        self.assertLess(ORDER[Publish], ORDER[Kill])
        self.assertLess(ORDER[Kill], ORDER[Answer])
