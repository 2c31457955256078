"""`make demo` by a real run: a system of its own, four processes, and who got what."""

import subprocess
import sys
import unittest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 90.0  # ten seconds on a quiet machine


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(150)
class DemoTest(unittest.TestCase):
    def test_it_ends_by_itself_and_every_message_came_once(self) -> None:
        command = [sys.executable, "-m", "client.examples.demo", "--pace", "0", "--state-dir", "/tmp/nowhere"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
        ) as process:
            try:
                told, _ = process.communicate(timeout=LIMIT_S)
            except subprocess.TimeoutExpired:
                process.terminate()  # it ends its own system
                told, _ = process.communicate()
        self.assertEqual(process.returncode, 0, told)
        self.assertIn("every message came once, in order", told)
        for row in (r"1 +T1:P1 +5 ", r"1 +T1:P2 +15 ", r"1 +T2:P1 +15 ", r"2 +T2:P2 +5 "):
            self.assertRegex(told, row)


if __name__ == "__main__":
    unittest.main()
