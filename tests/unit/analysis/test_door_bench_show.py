import io
import tempfile
import unittest
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from support.measured import measured

from analysis.door_bench.measures import all_ratios
from analysis.door_bench.memory import Memory
from analysis.door_bench.plot import draw
from analysis.door_bench.readme import bench_markdown
from analysis.door_bench.show import fronts_table, memory_table, noise, ratios_table

MADE = [
    measured(scenario=scenario, round=number, front=front, rate=rate * (1 + number), cpu_us=cpu_us)
    for scenario in ("get-32", "get-64k")
    for number in range(3)
    for front, rate, cpu_us in (("nginx", 1000.0, 10.0), ("haproxy", 800.0, 12.5), ("carousel", 900.0, 12.0))
]
HELD = [Memory("carousel", 1000, 35_000_000, 37_400_000, 108_000_000), Memory("nginx", 1000, 1, 2, 3)]
FIGURES: dict[str, Any] = {
    "made": "2026-01-02T00:00:00Z", "commit": "abc", "rounds": 3, "seconds": 5,
    "versions": {"nginx": "nginx/1.22.1", "haproxy": "HAProxy version 2.6.12", "wrk": "wrk"},
    "measurements": [asdict(one) for one in MADE], "ratios": [asdict(ratio) for ratio in all_ratios(MADE)],
    "memory": [asdict(one) for one in HELD],
}  # fmt: skip


def text_of(table: Any) -> str:
    console = Console(width=250, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


class TablesTest(unittest.TestCase):
    def test_fronts(self) -> None:
        text = text_of(fronts_table(MADE))
        self.assertIn("2,000", text)  # nginx' median rate
        self.assertEqual(text.count("haproxy"), 2)

    def test_failures_and_retakes_are_added_up(self) -> None:
        made = [measured(round=number, failed=2, retakes=1) for number in range(3)]
        row = next(line for line in text_of(fronts_table(made)).splitlines() if "carousel" in line)
        self.assertEqual([cell.strip() for cell in row.strip("│").split("│")][-2:], ["3", "6"])

    def test_ratios_say_whether_a_goal_was_met(self) -> None:
        rows = [line for line in text_of(ratios_table(all_ratios(MADE))).splitlines() if "0.90" in line]
        self.assertEqual(len(rows), 2)  # requests/s over nginx: the goal of the small GET is 1, of 64 KiB 0.9
        self.assertIn("0.90 (0.90-0.90) NOT MET", rows[0])
        self.assertIn("0.90 (0.90-0.90) met", rows[1])

    def test_noise_is_told(self) -> None:
        self.assertEqual(noise(MADE), "")
        self.assertIn("in 1 of 2 measurements", noise([measured(foreign=0.3), measured()]))

    def test_memory(self) -> None:
        text = text_of(memory_table(HELD))
        self.assertIn("≤ 60: met", text)
        self.assertEqual(text.count("met"), 1)
        large = [Memory("carousel", 1000, 1, 60_100_000, 1)]
        self.assertIn("NOT MET", text_of(memory_table(large)))


class ReadmeTest(unittest.TestCase):
    def test_a_row_for_each_scenario(self) -> None:
        lines = bench_markdown(FIGURES).splitlines()
        self.assertEqual(
            lines[2], "| small GET, 32 connections | 1,800 | 12.0 | 2.00 | 0.90, 1.20, 1.00 | 1.12, 0.96, 1.00 |"
        )
        self.assertEqual(len([line for line in lines if line.startswith("| ")]), 3)
        self.assertIn("37 MB resident with 1000 connections", lines[-1])
        self.assertIn("nginx/1.22.1", lines[-1])


class DrawTest(unittest.TestCase):
    def test_the_same_figures_are_the_same_picture(self) -> None:
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            first, second = Path(directory) / "1.png", Path(directory) / "2.png"
            draw(FIGURES, first)
            draw(FIGURES, second)
            self.assertTrue(first.read_bytes().startswith(b"\x89PNG"))
            self.assertEqual(first.read_bytes(), second.read_bytes())
