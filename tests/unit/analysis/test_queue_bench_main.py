"""`analysis.queue_bench.__main__`: what is kept of a run in which something fails, and of one that is broken off."""

import contextlib
import io
import json
import tempfile
import unittest
from collections.abc import Generator, Iterator
from pathlib import Path
from unittest.mock import patch

from analysis.queue_bench import __main__ as bench
from analysis.queue_bench.engines import Engine
from analysis.queue_bench.plans import Where
from analysis.queue_bench.rounds import Failure, Measurement
from analysis.queue_bench.scenarios import SCENARIOS


class BenchTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(directory.cleanup)
        self.kept = Path(directory.name) / "figures" / "kept.json"
        fakes = (
            patch.object(bench, "carousel", self.carousel),
            patch.object(bench, "kafka", self.kafka),
            patch.object(bench, "kafka_lacking", lambda: ""),
            patch.object(bench, "sync_us", lambda _: 1.0),
            patch.object(bench, "rounds", self.rounds),
            contextlib.redirect_stderr(io.StringIO()),
        )
        for fake in fakes:
            self.enterContext(fake)
        self.bench = bench.Bench(["carousel", "kafka"], 2, 1.0, Path("/tmp"), self.kept)

    @contextlib.contextmanager
    def carousel(self, synced: bool, parent: Path) -> Generator[Engine]:
        yield Engine("carousel", Where("kafka", "c:1"), synced, 1.5, parent, list[int], list[int])

    @contextlib.contextmanager
    def kafka(self, synced: bool, parent: Path) -> Generator[Engine]:
        raise RuntimeError("no heap")
        yield  # it is a generator

    def rounds(self, scenario: object, engines: list[Engine], *_: object) -> Iterator[Measurement]:
        self.assertEqual([one.name for one in engines], ["carousel"])
        yield Measurement("1k", "produce", 0, "carousel", {"rate": 5.0})
        self.so_far = json.loads(self.bench.part(self.kept).read_text())
        raise OSError("the rest is lost")

    def test_an_engine_that_does_not_start_is_told_and_the_others_are_measured(self) -> None:
        self.bench.measure([SCENARIOS["1k"]], synced=False)
        self.assertEqual([one.engine for one in self.bench.made if one.load == "produce"], ["carousel"])
        self.assertIn(Failure("start", "start", 0, "kafka", "no heap"), self.bench.failed)

    def test_what_was_measured_is_kept_at_once_beside_the_last_whole_run(self) -> None:
        self.bench.measure([SCENARIOS["1k"]], synced=False)
        self.assertEqual(self.so_far["measurements"][-1]["values"], {"rate": 5.0})
        self.assertFalse(self.kept.exists())

    def test_what_failed_is_kept_with_its_reason(self) -> None:
        self.bench.measure([SCENARIOS["1k"]], synced=False)
        self.bench.start_more()
        failed = json.loads(self.bench.part(self.kept).read_text())["failed"]
        self.assertEqual({one["engine"] for one in failed}, {"kafka", "carousel,kafka"})
        self.assertIn("OSError('the rest is lost')", [one["why"] for one in failed])
