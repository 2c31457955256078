"""The plain HTTP interface under a crowd while servers, control and the front door's worker are killed and frozen: what
`tests.support.http_hammer` judges. The seed is printed; HAMMER_SEED takes another, HAMMER_ROUNDS more of it, and
HAMMER_COPIES=1 partitions that are back only when their server is."""

import contextlib
import os
import random
import signal
import time
import unittest

import pytest

from analysis.running import Running, running, wait_until
from tests.support.http_hammer import (
    Crowd,
    Given,
    Seen,
    Sent,
    ids_given_twice,
    judged,
    out_of_order,
    wrongly_produced,
    wrongly_taken,
)

SEED = int(os.environ.get("HAMMER_SEED", "7"))
ROUNDS = int(os.environ.get("HAMMER_ROUNDS", "6"))
COPIES = os.environ.get("HAMMER_COPIES", "3")
LIMIT_S = 90.0
"""On a machine that others use as well."""
FROZEN_S = 1.5
"""Shorter than the time in which a server that says nothing is killed (R7): it wakes up, and goes on where it was."""
BETWEEN_S = 1.0
HARMS = ("kill", "control", "freeze", "end", "worker", "freeze for good")
PARTS = ("P1", "P2", "P3")


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    """A real system is started: once, under pytest, is enough."""
    return unittest.TestSuite()


class Machine:
    """The system, and what is done to it."""

    def __init__(self, system: Running, chosen: random.Random) -> None:
        self.system = system
        self.chosen = chosen
        self.doors = [f"127.0.0.1:{port}" for port in (system.port, system.second_port)]
        self.servers: list[str] = []
        self.look()

    def look(self) -> None:
        self.servers = [replica["address"] for replica in self.system.cluster()["replicas"] if replica["address"]]

    def addresses(self) -> list[str]:
        """Half of the calls go through the front door, half to servers: so one consumer's meet at several."""
        return [*self.doors, *self.doors, *self.servers]

    def whole(self) -> bool:
        try:
            cluster = self.system.cluster()
            states = [replica["state"] for replica in cluster["replicas"]]
            queue = cluster["queue"]
            return states == ["healthy"] * 3 and queue["brokers"] == 3 and not queue["under_replicated"]
        except (OSError, ValueError, KeyError):
            return False

    def harm(self, what: str) -> None:
        victim = self.chosen.choice(self.system.cluster()["replicas"])
        match what:
            case "kill":
                os.kill(victim["pid"], signal.SIGKILL)
            case "freeze":
                os.kill(victim["pid"], signal.SIGSTOP)
                time.sleep(FROZEN_S)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim["pid"], signal.SIGCONT)
            case "freeze for good":
                os.kill(victim["pid"], signal.SIGSTOP)
            case "end":
                os.kill(victim["pid"], signal.SIGTERM)
            case role:
                os.kill(self.system.children(role)[0]["pid"], signal.SIGKILL)


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(120 + 40 * ROUNDS)
class Hammer(unittest.TestCase):
    def test_nothing_is_lost_nothing_is_doubled(self) -> None:
        print(f"HAMMER_SEED={SEED} HAMMER_ROUNDS={ROUNDS} HAMMER_COPIES={COPIES}")
        with running("--workers", "1", "--replication-factor", COPIES) as system:
            machine = Machine(system, random.Random(SEED))
            wait_until(machine.whole, LIMIT_S, "all are registered")
            crowd = Crowd(machine.addresses, SEED)
            self.begin(crowd)
            for at in range(ROUNDS):
                harm = HARMS[at % len(HARMS)]
                time.sleep(BETWEEN_S)
                machine.harm(harm)
                time.sleep(BETWEEN_S)
                wait_until(machine.whole, LIMIT_S, f"the fleet is whole again behind {harm}")
                machine.look()
            crowd.stop()
            self.assertEqual(crowd.faults, [])
            for given in crowd.acknowledging:
                crowd.rest_of(given)
            crowd.take_the_rest()
            print(dict(sorted(crowd.statuses.items())), {kind: len(ids) for kind, ids in crowd.ids.items()})
            self.assertEqual(judged(crowd), [])
            self.assert_all_ids_are_known(crowd)

    def begin(self, crowd: Crowd) -> None:
        for part in PARTS:
            crowd.register("producer", "T1", part)  # which makes it
        every, other, third = (crowd.register("consumer", "T1") for _ in range(3))
        for producer in (crowd.register("producer", "T1", "P2"), crowd.register("producer", "T1")):
            crowd.produce(producer)
        crowd.acknowledge(every)
        crowd.acknowledge(other)
        crowd.take(third, 3)
        crowd.newcomers("T1")

    def assert_all_ids_are_known(self, crowd: Crowd) -> None:
        chosen = random.Random(SEED)
        for number in crowd.ids["consumer"]:
            status, answer = crowd.patiently(chosen, "GET", "/size", {"consumer_id": number})
            self.assertEqual((status, answer["status"]), (200, "success"), answer)


A, B = (Seen("T1:P1", offset, f"0.{offset}") for offset in (0, 1))


class TheJudge(unittest.TestCase):
    """It finds what it looks for."""

    def test_ids(self) -> None:
        self.assertEqual(ids_given_twice([0, 2, 1, 2]), [2])

    def test_a_consumer_that_acknowledges(self) -> None:
        self.assertEqual(out_of_order([A, A, B, B]), [])
        for seen in ([B], [A, B, A], [B, A], [A, A, A._replace(offset=2)]):
            self.assertTrue(out_of_order(seen))

    def test_producers(self) -> None:
        self.assertEqual(wrongly_produced([Sent(0, 2, {0})], [A, B]), [])
        self.assertTrue(wrongly_produced([Sent(0, 3, {2})], [A, B]), "lost")
        self.assertTrue(wrongly_produced([Sent(0, 2)], [A, A._replace(offset=1)]), "twice")
        self.assertTrue(wrongly_produced([Sent(0, 2)], [B, A]), "out of order")

    def test_a_consumer_that_does_not(self) -> None:
        self.assertEqual(wrongly_taken([Given(0, [A]), Given(0, [B])], [A, B]), [])
        self.assertEqual(wrongly_taken([Given(0, [B], lost=1)], [A, B]), [])
        self.assertTrue(wrongly_taken([Given(0, [B])], [A, B]), "lost")
        self.assertTrue(wrongly_taken([Given(0, [A]), Given(0, [A, B])], [A, B]), "twice")
        self.assertTrue(wrongly_taken([Given(0, [B, A])], [A, B]), "out of order")
        self.assertTrue(wrongly_taken([Given(0, [A, B])], [A]), "of another log")


if __name__ == "__main__":
    unittest.main()
