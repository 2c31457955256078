import io
import json
import tempfile
import unittest
from pathlib import Path
from typing import cast

from rich.console import Console

from analysis.chaos.figures import Speed
from analysis.chaos.judge import Verdict
from analysis.chaos.readme import chaos_markdown
from analysis.chaos.run import Outcome, Size, counters_in, served_of
from analysis.chaos.show import keep, table_of


def outcome(verdict: Verdict, *stories: str) -> Outcome:
    return Outcome(
        Size(7),
        verdict,
        Speed(0.001, 0.01, 0.1, 1.5, 0.05, 12.0),
        ["kill S1 at 1.000"],
        [],
        {"retries": 3.0, "retries_denied": 0.0},
        0.002,
        whole_again=True,
        slowest="7-3: HEAD",
        stories=list(stories),
    )


def printed(verdict: Verdict, *stories: str) -> str:
    console = Console(width=160, file=io.StringIO())
    console.print(table_of(outcome(verdict, *stories)))
    return cast(io.StringIO, console.file).getvalue()


class ShowTest(unittest.TestCase):
    def test_a_clean_run(self) -> None:
        verdict = Verdict(10, 9)
        verdict.refused["POST 502"] = 1
        text = printed(verdict)
        for words in ("seed 7", "violations", "none", "POST 502 1", "retries 3", "p99.9 100 ms", "12.0 s after"):
            self.assertIn(words, text)
        self.assertNotIn("not done", text)

    def test_broken_rules_are_shown_with_examples(self) -> None:
        text = printed(Verdict(1, violations={"failed: 502": [f"7-{i}" for i in range(9)]}), "7-0: GET")
        self.assertIn("failed: 502 9", text)
        self.assertRegex(text, r"examples +│ 7-0: GET")
        self.assertRegex(text, r"slowest +│ 7-3: HEAD")

    def test_what_is_kept_can_be_read_again(self) -> None:
        with tempfile.TemporaryDirectory(dir="/tmp") as name:
            path = Path(name) / "new" / "chaos.json"
            keep(outcome(Verdict(1, violations={"failed: 502": ["7-1"]})), path)
            kept = json.loads(path.read_text())
        self.assertEqual(kept["violations"], {"failed: 502": {"count": 1, "first": ["7-1"]}})
        self.assertEqual(kept["harms"], ["kill S1 at 1.000"])
        self.assertEqual((kept["seed"], kept["retries"], kept["p50_s"]), (7, 3, 0.001))
        words = chaos_markdown(kept)
        for line in (
            "| harm | kill 1 |",
            "| **rules broken** | **1** |",
            "| retries | 3, 0 denied |",
            f"Commit {kept['commit']}, ",
        ):
            self.assertIn(line, words)

    def test_clean(self) -> None:
        self.assertTrue(outcome(Verdict(1)).clean)
        self.assertFalse(outcome(Verdict(1, violations={"failed: 502": ["7-1"]})).clean)


class ReadingTest(unittest.TestCase):
    def test_logs(self) -> None:
        with tempfile.TemporaryDirectory(dir="/tmp") as name:
            (Path(name) / "S1@5.log").write_text("a\nb\n")
            (Path(name) / "S2@6.log").write_text("b\n")
            served = served_of(Path(name))
        self.assertEqual({key: sorted(names) for key, names in served.items()}, {"a": ["S1"], "b": ["S1", "S2"]})

    def test_metrics(self) -> None:
        text = '# HELP x\ncarousel_retries_total 3.0\ncarousel_requests_total{route="proxy"} 4.0\n'
        self.assertEqual(list(counters_in(text)), [("retries", 3.0)])
