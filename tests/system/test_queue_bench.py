"""The queue's bench runs, at its smallest: with every engine that is installed here."""

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

import pytest
from support.programs import programs_or_skip
from typer import Typer
from typer.testing import CliRunner

from analysis.kafka_peer import lacking
from analysis.queue_bench import __main__ as bench
from analysis.queue_bench.measures import START
from analysis.queue_bench.peers import PROGRAMS
from analysis.queue_bench.readme import queue_markdown
from analysis.queue_bench.scenarios import ENGINES, SCENARIOS

SCALE = "0.05"
"""Of `make bench-queue ARGS="--rounds 1 --scale 0.05"`, which takes about a minute where nothing else runs."""
CROWD = "crowd"
"""Not here: the hundreds of threads of its clients starve a server on a machine that has other tests to run."""


@pytest.mark.slow
@pytest.mark.system
class BenchTest(unittest.TestCase):
    def run_part(self, *flags: str) -> dict[str, Any]:
        app = Typer()
        app.command()(bench.main)
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            path = Path(directory) / "kept.json"
            arguments = [*flags, "--rounds", "1", "--parent", directory, "--json", str(path)]
            ended = CliRunner().invoke(app, arguments)
            self.assertEqual(ended.exit_code, 0, f"{ended.output[-5000:]}\n{ended.exception!r}")
            kept = json.loads(path.read_text())
            self.assertEqual(path.with_suffix(".png").exists(), bool(kept["ratios"]))
            return kept

    @pytest.mark.timeout(600)
    def test_every_scenario_on_every_engine(self) -> None:
        names = [name for name in SCENARIOS if name != CROWD]
        kept = self.run_part("--scale", SCALE, "--only", ",".join(names))
        measured = kept["measurements"]
        for engine in ENGINES:
            of_it = [one for one in measured if one["engine"] == engine]
            with self.subTest(engine):
                if not of_it and engine in PROGRAMS:
                    programs_or_skip(PROGRAMS[engine])
                self.assertTrue(of_it or any(reason.startswith(engine) for reason in kept["skipped"]), kept["skipped"])
                self.assertTrue(all(one["values"]["rate"] > 0 for one in of_it if one["scenario"] != START), of_it)
        ours = {one["scenario"] for one in measured if one["engine"] == "carousel"}
        http = {"http"} if any(reason.startswith("http") for reason in kept["skipped"]) else set[str]()
        self.assertEqual(ours | http, {*names, START} - ({"tools"} if lacking() else set[str]()))
        for load in ("sync", "waiting", "end-to-end"):
            chosen = [one["values"] for one in measured if one["load"] == load]
            self.assertTrue(chosen and all(0 < one["p50_us"] <= one["p99_us"] for one in chosen), chosen)
        self.assertIn("100 B, 1 partition: consume", queue_markdown(kept))

    @pytest.mark.timeout(300)
    def test_ours_alone(self) -> None:
        kept = self.run_part("--engines", "carousel", "--only", "100b", "--scale", "0.005")
        self.assertEqual(kept["ratios"], [])
        loads = [one["load"] for one in kept["measurements"]]
        self.assertEqual(loads, [START, *[load.kind for load in SCENARIOS["100b"].loads]])
