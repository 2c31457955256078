"""The chaos run at a smaller size, with a new seed each time; the seed is printed, and `make chaos` replays it."""

import random
import unittest

import pytest
from rich.console import Console

from analysis.chaos.run import Size, chaos
from analysis.chaos.show import table_of


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.system
class ChaosTest(unittest.TestCase):
    def test_no_rule_is_broken(self) -> None:
        """Of 5 replicas two may be harmed at once, of 3 one."""
        for replicas, workers_too in ((5, False), (3, True)):
            size = Size(random.randrange(1 << 32), 30, 300, replicas, workers_too)
            more = " --workers-too" if workers_too else ""
            replay = f'make chaos ARGS="--seed {size.seed} --seconds 30 --rate 300 --replicas {replicas}{more}"'
            print(replay, flush=True)
            with self.subTest(replay):
                outcome = chaos(size)
                Console(width=120).print(table_of(outcome))
                self.assertEqual(outcome.verdict.violations, {})
                self.assertTrue(outcome.whole_again)
                self.assertGreater(outcome.verdict.answered, 0.9 * outcome.verdict.requests)
                self.assertGreater(len({harm.partition(" ")[0] for harm in outcome.harms}), 5)
