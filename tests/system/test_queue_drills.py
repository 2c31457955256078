"""The queue's drills at a small size, with a new seed each time, and the kill drill on Apache Kafka.

Kafka is the proof of the drill: what is found lost there is our mistake. Carousel's figures are not looked at, only
what must be zero; a machine that runs tests is no place to measure.
"""

import contextlib
import os
import random
import tempfile
import unittest
from collections.abc import Generator
from pathlib import Path

import pytest
from rich.console import Console

from analysis.kafka_peer import Kafka, lacking
from analysis.queue_drills.churn import churn
from analysis.queue_drills.crowd import crowd
from analysis.queue_drills.drill import Drill, Size
from analysis.queue_drills.engines import ENGINES, Engine, KafkaEngine
from analysis.queue_drills.idle import idle
from analysis.queue_drills.kill import kill
from analysis.queue_drills.load import TOPIC
from analysis.queue_drills.report import Report, table_of
from analysis.queue_drills.stalled import stalled

TEMPORARY = Path(tempfile.gettempdir())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.system
class QueueDrillsTest(unittest.TestCase):
    def drilled(self, drill: Drill, engine: str, times: int) -> Report:
        size = Size(random.randrange(1 << 32), TEMPORARY, times, changes=5, rate=500, crowd=100, stalled=20, sends=200)
        options = f"{drill.__name__} --engine {engine} --times {times} --changes 5 --rate 500 --crowd 100"
        print(f'make drills-queue ARGS="{options} --seed {size.seed}"', flush=True)
        report = drill(ENGINES[engine], engine, size)
        Console(width=200).print(table_of([report]))
        self.assertEqual(report.zeros, dict.fromkeys(report.zeros, 0), report.examples)
        return report

    def test_killed(self) -> None:
        report = self.drilled(kill, "carousel", 10)
        self.assertGreater(report.counts["acknowledged"], 1000)
        self.assertGreater(report.counts["kills"], 7)

    def test_servers_added_and_removed(self) -> None:
        self.assertGreater(self.drilled(churn, "carousel", 1).counts["acknowledged"], 1000)

    def test_crowded_idle_and_stalled(self) -> None:
        for drill in (crowd, idle, stalled):
            with self.subTest(drill.__name__):
                self.drilled(drill, "carousel", 1)

    @unittest.skipIf(lacking(), "Java or Maven is missing")
    def test_kafka_killed(self) -> None:
        report = self.drilled(kill, "kafka", 3)
        self.assertGreater(report.counts["acknowledged"], 1000)
        self.assertEqual(report.counts["kills"], 3)

    @unittest.skipIf(lacking(), "Java or Maven is missing")
    def test_kafka_that_forgets_is_found_out(self) -> None:
        """Its logs are cut while it is away, as if it had acknowledged what it had not written."""
        size = Size(random.randrange(1 << 32), TEMPORARY, 1, rate=500)
        report = kill(forgetful, "kafka", size)
        Console(width=200).print(table_of([report]))
        self.assertGreater(report.zeros["lost"], 0)


@contextlib.contextmanager
def forgetful(_: int, parent: Path) -> Generator[Engine]:
    with Kafka({"log.flush.interval.messages": "1"}, parent) as broker:
        engine = Forgetful(broker)
        try:
            yield engine
        finally:
            engine.settle()


class Forgetful(KafkaEngine):
    """Loses a tenth of each log at a kill."""

    def start_again(self) -> None:
        self.broker.wait(10)
        for segment in self.broker.directory.glob(f"data/{TOPIC}-*/*.log"):
            os.truncate(segment, segment.stat().st_size * 9 // 10)
        super().start_again()
