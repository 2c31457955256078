import json
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from typing import Any

from analysis import a1, a2, a4, report
from analysis.a3 import figures
from analysis.balance import Setup, figure
from analysis.drive import as_text, draw
from analysis.timeline import Load, Sample
from analysis.words import duration, number
from unit.analysis.test_a3 import EVENTS, KILLED_AT
from unit.analysis.test_balance import cluster_of

MADE = {"made": "2026-01-01T00:00:00Z", "commit": "abc", "python": "3.11", "cores": 2, "seed": 1, "requests": 1000}


def run_of(setup: Setup, n: int, *counts: int) -> dict[str, Any]:
    by_name = Counter({f"server{i}": count for i, count in enumerate(counts or [1000 // n] * n, 1)})
    return figure(setup, cluster_of(*[1] * n, ring_hash=setup.ring_hash), by_name, Counter())


def kept() -> dict[str, dict[str, Any]]:
    """Figures of all four, made up."""
    load = Load("", 2.0, 2, lambda: None)
    load.samples += [Sample(999.9, 999.91, "server2", ""), Sample(1000.2, 1000.21, "server4", "")]
    kill = figures(load, KILLED_AT, "server2", ["server1", "server2", "server3"], EVENTS)
    row = {"at": "replica", "method": "GET", "path": "/home", "body": "", "accept": "", "promised": 200}
    endpoints = [
        {**row, "status": 200, "kept": True, "answer": '{"a": text}'},
        {**row, "status": 500, "kept": False, "answer": "empty"},
    ]
    return {
        "a1": {**MADE, "runs": [run_of(setup, 3) for setup in a1.SETUPS]},
        "a2": {**MADE, "runs": [run_of(setup, n) for setup in a2.SETUPS for n in (2, 3)]},
        "a3": {
            **MADE,
            "rate": 2.0,
            "endpoints": endpoints,
            "kills": {"process": kill, "docker": {"skipped": "no engine"}},
        },
        "a4": {**MADE, "runs": [run_of(setup, n) for setup in a4.SETUPS for n in (2, 3)]},
    }


class ReportTest(unittest.TestCase):
    def test_it_says_what_the_figures_say(self) -> None:
        text = report.written(kept())
        for words in (
            "## A-1: 1\u202f000 asynchronous requests on N = 3",
            "84.38 / 4.69 / 10.94 %",
            "0 of 2 requests failed; the end of server2 was noticed after 2.0 ms",
            "and server4 served instead after 210 ms",
            "Not measured with `docker`: no engine.",
            "**500**, promised was 200",
            "1 of 2 calls",
            "commit abc, 2026-01-01, seed 1",
        ):
            self.assertIn(words, text)

    def test_only_what_was_made(self) -> None:
        text = report.written({"a2": kept()["a2"]})
        self.assertIn("## A-2", text)
        self.assertNotIn("## A-1", text)

    def test_doubtful_counts_are_named(self) -> None:
        setup = Setup("spec")
        good, bad = run_of(setup, 3, 844, 47, 109), run_of(setup, 3, 700, 200, 100)
        self.assertEqual(report.verdict([good]), "All 1 counts are consistent with the exact shares.")
        self.assertIn(
            "1 of 2 counts are not what chance alone would give: spec/ring on N = 3", report.verdict([good, bad])
        )

    def test_pictures_and_report_come_from_what_is_kept(self) -> None:
        with tempfile.TemporaryDirectory(dir="/tmp") as name:
            folder = Path(name)
            for which, found in kept().items():
                (folder / f"{which}.json").write_text(as_text(found))
            written = draw(folder)
            self.assertEqual([path.name for path in written], ["a1.png", "a2.png", "a3.png", "a4.png", "README.md"])
            before = [path.read_bytes() for path in written]
            self.assertTrue(all(picture.startswith(b"\x89PNG") for picture in before[:4]))
            self.assertEqual([path.read_bytes() for path in draw(folder)], before)

    def test_json_is_kept_whole(self) -> None:
        found = kept()
        self.assertEqual(json.loads(as_text(found)), found)
        self.assertEqual(as_text({"a": [1, 2], "b": {"c": ["x, y", None]}}).count("\n"), 6)


class WordsTest(unittest.TestCase):
    def test_numbers_and_durations(self) -> None:
        self.assertEqual(number(1234567.4), "1\u202f234\u202f567")
        self.assertEqual([duration(s) for s in (0.0021, 0.0994, 1.5, None)], ["2.1 ms", "99 ms", "1.50 s", "never"])
