"""The queue's bench runs, at its smallest; with Apache Kafka where Java and Maven are."""

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from analysis.kafka_peer import lacking
from analysis.queue_bench import __main__ as bench
from analysis.queue_bench.readme import queue_markdown
from analysis.queue_bench.scenarios import SCENARIOS

PART = "0.005"


@pytest.mark.slow
@pytest.mark.system
class BenchTest(unittest.TestCase):
    def run_part(self, *flags: str) -> dict[str, Any]:
        app = Typer()
        app.command()(bench.main)
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            path = Path(directory) / "kept.json"
            arguments = [*flags, "--rounds", "1", "--part", PART, "--parent", directory, "--json", str(path)]
            ended = CliRunner().invoke(app, arguments)
            self.assertEqual(ended.exit_code, 0, f"{ended.output}\n{ended.exception!r}")
            return json.loads(path.read_text())

    @pytest.mark.timeout(300)
    def test_every_scenario_of_ours(self) -> None:
        kept = self.run_part("--engines", "carousel")
        measured = kept["measurements"]
        self.assertEqual(list(dict.fromkeys(one["scenario"] for one in measured)), list(SCENARIOS))
        self.assertTrue(all(one["rate"] > 0 and one["pss_bytes"] > 0 for one in measured), measured)
        self.assertTrue(all(one["p50_us"] > 0 for one in measured if one["load"] == "sync"), measured)
        self.assertEqual(kept["ratios"], [])

    @pytest.mark.timeout(300)
    def test_beside_kafka(self) -> None:
        if lack := lacking():
            self.skipTest(lack)
        kept = self.run_part("--only", "100b")
        self.assertEqual({one["engine"] for one in kept["measurements"]}, {"carousel", "kafka"})
        self.assertEqual({ratio["load"] for ratio in kept["ratios"]}, {"produce", "consume", "sync"})
        self.assertIn("100 B, 1 partition: consume", queue_markdown(kept))
