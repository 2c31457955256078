"""`analysis.queue_bench.show` and `.plot`: tables and the picture are made of whatever was measured."""

import tempfile
import unittest
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from analysis.queue_bench.measures import all_ratios, outcomes
from analysis.queue_bench.plot import draw
from analysis.queue_bench.show import engines_table, goals_table, number, ratios_table
from tests.unit.analysis.test_queue_bench_measures import MADE, measured
from tests.unit.analysis.test_queue_bench_readme import STARTS, SYNC

ALL = [*MADE, *SYNC, *STARTS, measured("rabbitmq", rate=7.0)]


class ShowTest(unittest.TestCase):
    def printed(self, table: object) -> str:
        console = Console(width=230, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115
        self.addCleanup(console.file.close)
        console.print(table)
        return console.export_text()

    def test_a_row_for_each_engine(self) -> None:
        text = self.printed(engines_table(ALL))
        self.assertIn("rabbitmq", text)
        self.assertIn("3.60", text)

    def test_ratios_have_quartiles(self) -> None:
        self.assertIn("1.00 (0.95 to 1.12)", self.printed(ratios_table(all_ratios(ALL))))

    def test_goals_are_met_or_not(self) -> None:
        text = self.printed(goals_table(outcomes(ALL, all_ratios(ALL))))
        self.assertIn("NOT MET", text)
        self.assertRegex(text, r"POST /producer/produce .* not measured")
        self.assertRegex(text, r"to the first acknowledged message .* ≤ 0.3 .* met")

    def test_numbers(self) -> None:
        values = [
            number("rate", 1234.5),
            number("server_cpu", 0.456),
            number("server_cpu", 456.7),
            number("p50_us", None),
        ]
        self.assertEqual(values, ["1,234", "0.46", "457", ""])
        self.assertEqual(number("pss_bytes", 25_400_000.0), "25")

    def test_the_picture(self) -> None:
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            path = Path(directory) / "queue.png"
            draw({"rounds": 3, "measurements": [asdict(one) for one in ALL]}, path)
            self.assertEqual(path.read_bytes()[:4], b"\x89PNG")
