import json
import tempfile
import unittest
from pathlib import Path

import pytest
from rich.console import Console

from analysis.balance import Size
from analysis.drive import ANALYSES, draw, measure


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(300)
class AnalysesTest(unittest.TestCase):
    def test_all_at_a_small_size(self) -> None:
        with tempfile.TemporaryDirectory(dir="/tmp") as name:
            folder = Path(name)
            measure(list(ANALYSES), Size(200, 1, 200.0, (2, 3)), folder, Console(quiet=True))
            written = draw(folder)
            self.assertEqual(len(written), 5)
            kept = {which: json.loads((folder / f"{which}.json").read_text()) for which in ANALYSES}
        for which in ("a1", "a2", "a4"):
            for run in kept[which]["runs"]:
                with self.subTest(which, **{key: run[key] for key in ("ring_hash", "policy", "keys", "n")}):
                    self.assertEqual((run["failed"], sum(run["counts"].values())), ({}, 200))
        self.assertEqual([row for row in kept["a3"]["endpoints"] if not row["kept"]], [])
        kill = kept["a3"]["kills"]["process"]
        self.assertEqual((kill["failed"], kill["requests"]), (0, 200))
        self.assertIsNotNone(kill["first_answer_s"])
