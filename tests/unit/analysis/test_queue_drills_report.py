import io
import json
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from typing import cast

from rich.console import Console

from analysis.queue_drills.__main__ import DRILLS
from analysis.queue_drills.drill import Size
from analysis.queue_drills.judge import GROUP_RULES, RULES, Verdict
from analysis.queue_drills.readme import WHAT, queue_drills_markdown
from analysis.queue_drills.report import Limit, Report, add_verdict, keep, table_of


def printed(report: Report) -> str:
    console = Console(width=300, file=io.StringIO())
    console.print(table_of([report]))
    return cast(io.StringIO, console.file).getvalue()


class ReportTest(unittest.TestCase):
    def test_each_rule_is_a_zero(self) -> None:
        report = Report("kill", "carousel", 7)
        add_verdict(report, Verdict(10, 9, 9))
        self.assertEqual(report.zeros, dict.fromkeys(RULES, 0))
        self.assertTrue(report.clean)
        self.assertIn("all 13 are", printed(report))
        add_verdict(report, Verdict(10, 9, 9, redelivered=4), group=True)
        self.assertEqual(report.zeros, dict.fromkeys((*RULES, *GROUP_RULES), 0))
        self.assertEqual(report.counts["delivered again"], 4)

    def test_what_is_broken_is_shown_with_examples(self) -> None:
        report = Report("kill", "carousel", 7)
        add_verdict(report, Verdict(10, 9, 9, broken=Counter(lost=2), examples={"lost": ["message 3"]}))
        self.assertFalse(report.clean)
        text = printed(report)
        self.assertIn("lost 2", text)
        self.assertIn("lost: message 3", text)

    def test_a_limit(self) -> None:
        report = Report("idle", "carousel", 7, limits={"PSS, MB": Limit(59.0, 60.0)})
        self.assertTrue(report.clean)
        report.limits["PSS, MB"] = Limit(61.0, 60.0)
        self.assertFalse(report.clean)
        self.assertIn("PSS, MB 61 (≤ 60: NOT MET)", printed(report))

    def test_it_is_kept_and_read_by_the_readme(self) -> None:
        report = Report("kill", "carousel", 7, zeros={"lost": 0}, limits={"p50": Limit(1.2, 1.5)})
        report.counts["kills"], report.seconds["worst"], report.other["idle"] = 2000, None, "1 %"
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "made" / "kept.json"
            keep([report], path)
            text = queue_drills_markdown(json.loads(path.read_text()))
        row = text.splitlines()[2]
        self.assertEqual(row.count("|"), text.splitlines()[0].count("|"))
        for words in (WHAT["kill"], "kills 2\u202f000", "all 1 are", "p50 1.2 (≤ 1.5)", "worst never", "idle 1 %"):
            self.assertIn(words, row)
        self.assertIn("seed 7", text)

    def test_the_readme_knows_each_drill(self) -> None:
        self.assertEqual(set(WHAT), set(DRILLS))
        self.assertEqual(Size(1, Path()).times, 200)
