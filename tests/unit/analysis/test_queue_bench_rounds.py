"""`analysis.queue_bench.rounds`: turns, topics that come and go, and clients' processes."""

import subprocess
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from analysis.queue_bench import engines
from analysis.queue_bench import rounds as rounds_module
from analysis.queue_bench.asked import Ask
from analysis.queue_bench.engines import Engine
from analysis.queue_bench.plans import Where
from analysis.queue_bench.rounds import Client, Failure, Measurement, ready, rounds, told_by
from analysis.queue_bench.scenarios import SCENARIOS, Load, Scenario


class Topics:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def create(self, *asked: Any) -> None:
        self.said.append(("create", *asked))

    def delete(self, *asked: Any) -> None:
        self.said.append(("delete", *asked))


def engine(name: str) -> Engine:
    return Engine(name, Where("kafka", f"{name}:1"), False, 1.0, Path("/tmp"), list[int], list[int])


class RoundsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.topics = Topics()
        self.measured: list[tuple[str, str, int, str, int]] = []
        fakes = patch.object(rounds_module, "_measure", self.measure), patch.object(engines, "topics", self.topics_of)
        for fake in fakes:
            fake.start()
            self.addCleanup(fake.stop)

    def topics_of(self, _product: str) -> Topics:
        return self.topics

    def measure(self, scenario: Scenario, load: Load, one: Engine, number: int, topic: str, count: int) -> Measurement:
        self.measured.append((one.name, load.kind, number, topic, count))
        return Measurement(scenario.name, load.kind, number, one.name)

    def test_each_round_begins_with_another_engine(self) -> None:
        made = list(rounds(SCENARIOS["1k"], [engine("carousel"), engine("kafka")], 2, 0.1, self.fail))
        order = [(one.round, one.engine) for one in made if one.load == "produce"]
        self.assertEqual(order, [(0, "carousel"), (0, "kafka"), (1, "kafka"), (1, "carousel")])

    def test_warmed_up_by_a_tenth_that_is_not_told(self) -> None:
        made = list(rounds(SCENARIOS["1k"], [engine("kafka")], 2, 0.1, self.fail))
        self.assertEqual({one.round for one in made}, {0, 1})
        told = [(number, count) for _, _, number, _, count in self.measured]
        self.assertEqual(told[::2], [(-1, 3000), (0, 30_000), (1, 30_000)])

    def test_consumers_find_what_was_produced_and_topics_go(self) -> None:
        list(rounds(SCENARIOS["100b-12"], [engine("kafka")], 1, 0.1, self.fail))
        topics = {(number, kind): topic for _, kind, number, topic, _ in self.measured}
        self.assertEqual(topics[0, "produce"], topics[0, "consume"])
        self.assertEqual(len(set(topics.values())), 2)
        created = sorted(said[2] for said in self.topics.said if said[0] == "create")
        self.assertEqual(created, sorted(said[2] for said in self.topics.said if said[0] == "delete"))
        self.assertEqual(self.topics.said[0][1:], ("kafka:1", topics[0, "produce"], 12, False))

    def test_an_engine_is_asked_only_what_it_can(self) -> None:
        self.assertEqual(list(rounds(SCENARIOS["tools"], [engine("redis")], 1, 1.0, self.fail)), [])

    def test_a_load_that_fails_is_told_and_the_others_go_on(self) -> None:
        told: list[Failure] = []

        def measure(scenario: Scenario, load: Load, one: Engine, number: int, topic: str, count: int) -> Measurement:
            if load.kind == "produce":
                raise RuntimeError("no ack")
            return self.measure(scenario, load, one, number, topic, count)

        with patch.object(rounds_module, "_measure", measure):
            made = list(rounds(SCENARIOS["1k"], [engine("kafka")], 1, 0.1, told.append))
        self.assertEqual([one.load for one in made], ["consume"])
        self.assertEqual(told, [Failure("1k", "produce", 0, "kafka", "no ack")])
        self.assertEqual(str(told[0]), "kafka, 1k, produce, round 1: no ack")
        self.assertEqual([said[0] for said in self.topics.said], ["create", "delete"])

    def test_a_topic_that_can_not_be_made_is_told_too(self) -> None:
        told: list[Failure] = []
        self.topics.create = lambda *_: {}["topic"]  # raises KeyError
        self.assertEqual(list(rounds(SCENARIOS["1k"], [engine("kafka")], 1, 0.1, told.append)), [])
        self.assertEqual([one.why for one in told], ["KeyError('topic')"] * 2)

    def test_an_engine_that_has_ended_is_asked_for_nothing_more(self) -> None:
        told: list[Failure] = []
        ended = subprocess.Popen(["true"])
        ended.wait()
        one = replace(engine("kafka"), servers=lambda: [ended.pid])
        self.assertEqual(list(rounds(SCENARIOS["1k"], [one], 1, 0.1, told.append)), [])
        self.assertEqual([failure.reason for failure in told], ["its server has ended"] * 2)
        self.assertEqual(self.topics.said, [])


def client(program: str) -> Client:
    """A process that runs this instead of a load."""
    pipe = subprocess.PIPE
    said = tempfile.TemporaryFile()  # noqa: SIM115 (closed by whoever asked)
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=said, text=True)
    return Client(Ask("kafka", "produce", "nowhere:1", "t", 1, 100), process, said)


class ClientsTest(unittest.TestCase):
    def clients(self, *programs: str) -> list[Client]:
        made = [client(program) for program in programs]
        for one in made:
            self.addCleanup(one.said.close)
            self.addCleanup(one.process.communicate)
            self.addCleanup(one.process.kill)
        return made

    def test_one_that_ended_before_it_was_told_to_begin_says_why(self) -> None:
        one = self.clients("raise SystemExit('no broker')")[0]
        one.process.wait()
        with self.assertRaisesRegex(RuntimeError, "ended with 1: no broker"):
            told_by([one])

    def test_one_that_fails_is_heard_before_the_one_that_waits_for_it(self) -> None:
        clients = self.clients("import time; time.sleep(60)", "input(); raise SystemExit('full')")
        with self.assertRaisesRegex(RuntimeError, "ended with 1: full"):
            told_by(clients)

    def test_one_that_is_killed_is_named_too(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "produce at nowhere:1: ended with -9"):
            told_by(self.clients("import os; os.kill(os.getpid(), 9)"))

    def test_one_that_is_silent_too_long(self) -> None:
        clients = self.clients("import time; time.sleep(60)")
        with patch.object(rounds_module, "LOAD_S", 0.1), self.assertRaisesRegex(RuntimeError, "not within 0.1 s"):
            told_by(clients)

    def test_one_that_fails_says_why(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "(?s)produce at nowhere:1: .*KeyError"):  # noqa: SIM117
            with ready([Ask("nonsense", "produce", "nowhere:1", "t", 1, 100)]):
                self.fail("it is not ready")
