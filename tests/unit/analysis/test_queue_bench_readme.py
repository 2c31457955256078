"""`analysis.queue_bench.readme`: the README's tables."""

import unittest
from dataclasses import asdict
from typing import Any

from analysis.queue_bench.measures import START, all_ratios
from analysis.queue_bench.readme import PICTURE, queue_markdown
from analysis.queue_bench.rounds import Failure, Measurement
from tests.unit.analysis.test_queue_bench_measures import MADE, measured

SYNC = [
    measured(load="sync", p50_us=70.0, p99_us=200.0),
    measured("kafka", load="sync", p50_us=280.0, p99_us=400.0),
    measured("redis", load="sync", p50_us=90.0, p99_us=130.0),
]
STARTS = [Measurement(START, START, 0, engine, {"start_s": s}) for engine, s in (("carousel", 0.9), ("kafka", 3.6))]


def figures(*made: Any) -> dict[str, Any]:
    return {
        "made": "2026-01-02T00:00:00Z", "commit": "abc", "cores": 2, "rounds": 3, "scale": 1.0, "fdatasync_us": 209.4,
        "versions": {"redis": "Redis server v=7.0.15"}, "skipped": [], "failed": [],
        "measurements": [asdict(one) for one in made],
        "ratios": [asdict(ratio) for ratio in all_ratios(made)],
    }  # fmt: skip


class MarkdownTest(unittest.TestCase):
    def test_a_row_for_each_load(self) -> None:
        lines = queue_markdown(figures(*MADE, *SYNC, *STARTS)).splitlines()
        self.assertEqual(lines[0], PICTURE)
        self.assertEqual(
            lines[4:6],
            [
                "| 100 B, 1 partition: produce | 90 | 1.00 (0.95 to 1.12) |  |  | 0.40 | 1.00 (1.00 to 1.00) |",
                "| 100 B, 1 partition: one after another | 1,000 | 1.00 (1.00 to 1.00) | 70, 200 | 0.25, 0.50 "
                "| 0.40 | 1.00 (1.00 to 1.00) |",
            ],
        )
        self.assertIn("| 100 B, 1 partition: one after another | 1,000 (70, 200) | 1,000 (90, 130) |", lines)
        self.assertIn("Carousel 25 MB, Apache Kafka 25 MB", lines[-1])
        self.assertIn("fdatasync 209 µs", lines[-1])
        self.assertIn("Carousel 0.90 s, Apache Kafka 3.60 s", lines[-1])
        self.assertIn("Redis server v=7.0.15", lines[-1])

    def test_goals(self) -> None:
        text = queue_markdown(figures(*MADE))
        self.assertIn("1 of 3 goals are met. Not met: 100 B, 1 partition: produce, server CPU over Apache Kafka", text)
        cheap = [measured(server_cpu=0.1, pss_bytes=1.0), measured("kafka")]
        self.assertIn("All 3 goals are met", queue_markdown(figures(*cheap)))

    def test_how_late_control_was(self) -> None:
        made = [measured(scenario="http", load="http-produce", lag_ms=11.6)]
        self.assertIn("control's loop was late by 12 ms at the most", queue_markdown(figures(*made)))
        self.assertNotIn("late by", queue_markdown(figures(*MADE)))

    def test_what_failed(self) -> None:
        failed = Failure("100b", "produce", 1, "kafka", "ended with 1: full\nTraceback")
        text = queue_markdown({**figures(*MADE), "failed": [asdict(failed)]})
        self.assertIn("Apache Kafka, 100 B, 1 partition, produce, round 2: ended with 1: full.", text)

    def test_without_other_peers_there_is_one_table(self) -> None:
        self.assertEqual(queue_markdown(figures(*MADE)).count("\n|---|"), 1)
