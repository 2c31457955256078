"""The access log of a whole system: two workers, one file, and somebody who renames it."""

import concurrent.futures
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import pytest

from analysis.running import Running, running, wait_until

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0
ROUNDS, REQUESTS = 4, 200


@pytest.mark.system
class AccessLogTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="carousel-log-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "access.log"

    def lines(self) -> list[bytes]:
        return [line for path in sorted(self.directory.glob("access.log*")) for line in path.read_bytes().splitlines()]

    def homes(self) -> list[dict[str, Any]]:
        return [entry for line in self.lines() if (entry := json.loads(line))["target"].startswith("/home?n=")]

    def ask(self, system: Running, first: int) -> None:
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            numbers = range(first, first + REQUESTS)
            asked = [threads.submit(system.call, "GET", f"/home?n={number}") for number in numbers]
        self.assertEqual({future.result()[0] for future in asked}, {200})

    def test_no_line_is_lost_or_torn_while_the_file_is_renamed(self) -> None:
        with running("--workers", "2", "--access-log", str(self.path)) as system:
            for number in range(ROUNDS):
                self.ask(system, number * REQUESTS)
                self.path.rename(self.directory / f"access.log.{number}")
                wait_until(lambda: self.system_writes_anew(system), LIMIT_S, "a new file")
        found = self.homes()
        self.assertEqual(sorted(entry["target"] for entry in found),
                         sorted(f"/home?n={number}" for number in range(ROUNDS * REQUESTS)))  # fmt: skip
        self.assertEqual({entry["status"] for entry in found}, {200})
        self.assertEqual(len({entry["replica"] for entry in found}), 3)
        self.assertEqual(self.path.stat().st_mode & 0o007, 0)

    def system_writes_anew(self, system: Running) -> bool:
        system.call("GET", "/admin/live")
        return self.path.exists()

    def test_standard_output_in_the_common_format(self) -> None:
        with running("--access-log", "-", "--access-log-format", "common") as system:
            self.assertEqual(system.call("GET", "/other?x=%22")[0], 400)
            log = system.state_dir / "system.log"
            wait_until(lambda: '"GET /other?x=%22 HTTP/1.1" 400 ' in log.read_text(), LIMIT_S, "the line is there")

    def test_a_path_that_can_t_be_written_is_told_before_anything_starts(self) -> None:
        argv = [sys.executable, "-m", "loadbalancer", "up", "--state-dir", str(self.directory / "var"),
                "--access-log", str(self.directory / "none" / "log")]  # fmt: skip
        bad = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, cwd=ROOT, check=False)
        self.assertEqual((bad.returncode, len(bad.stderr.splitlines())), (2, 1), bad.stderr)
        self.assertIn("--access-log: No such file or directory", bad.stderr)
