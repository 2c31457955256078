"""`analysis.queue_bench.readme`: the README's table."""

import unittest
from dataclasses import asdict
from typing import Any

from analysis.queue_bench.measures import all_ratios
from analysis.queue_bench.readme import queue_markdown
from tests.unit.analysis.test_queue_bench_measures import MADE, measured

SYNC = [measured(load="sync", p50_us=70.0), measured(load="sync", p50_us=300.0, engine="kafka")]


def figures(*made: Any) -> dict[str, Any]:
    return {
        "made": "2026-01-02T00:00:00Z", "commit": "abc", "cores": 2, "rounds": 3, "part": 1.0, "fdatasync_us": 209.4,
        "started_s": {"carousel": 0.9, "kafka": 3.4}, "measurements": [asdict(one) for one in made],
        "ratios": [asdict(ratio) for ratio in all_ratios(made)],
    }  # fmt: skip


class MarkdownTest(unittest.TestCase):
    def test_a_row_for_each_load(self) -> None:
        lines = queue_markdown(figures(*MADE, *SYNC)).splitlines()
        self.assertEqual(
            lines[2:4],
            [
                "| 100 B, 1 partition: produce | 90 | 1.00 (0.95 to 1.12) |  |  | 0.40 | 1.00 (1.00 to 1.00) |",
                "| 100 B, 1 partition: one after another | 1,000 | 1.00 (1.00 to 1.00) | 70 | 0.23 (0.23 to 0.23) "
                "| 0.40 | 1.00 (1.00 to 1.00) |",
            ],
        )
        self.assertIn("carousel 25 MB, kafka 25 MB", lines[-1])
        self.assertIn("fdatasync 209 µs", lines[-1])

    def test_goals(self) -> None:
        self.assertIn("Not met: 100b produce server_cpu.", queue_markdown(figures(*MADE)))
        cheap = [measured(server_cpu=0.1), measured(engine="kafka")]
        self.assertIn("All goals are met", queue_markdown(figures(*cheap)))
