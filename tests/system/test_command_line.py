"""What the command does to a running system, and the course's known answers seen from outside."""

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import pytest

from analysis.running import alive, running, start, wait_ready

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0


def carousel(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadbalancer", *arguments],
        capture_output=True, text=True, timeout=LIMIT_S, cwd=ROOT, check=False,
    )  # fmt: skip


@pytest.mark.system
class CommandLineTest(unittest.TestCase):
    def test_down_answers_when_all_is_gone_and_ps_knew_all_of_it(self) -> None:
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        system = start(directory, "--workers", "1")
        self.addCleanup(system.end)
        wait_ready(system, 3)
        found = json.loads(carousel("ps", "--json", "--state-dir", str(directory)).stdout)
        self.assertEqual({process["pid"] for process in found}, set(system.pids()))
        names = sorted(process["name"] for process in found)
        self.assertEqual(names, ["control", "control", "door-0", "server1", "server2", "server3", "supervisor"])
        self.assertEqual(carousel("down", "--state-dir", str(directory)).returncode, 0)
        self.assertEqual(system.process.wait(1.0), 0)  # a zombie until we ask; it answered by its own end
        self.assertEqual([process for process in found if alive(process["pid"])], [])
        again = carousel("down", "--state-dir", str(directory))
        self.assertEqual(again.returncode, 0)
        self.assertIn("no system runs in", again.stdout)

    def test_the_course_s_known_answers(self) -> None:
        flags = ("--workers", "1", "--ring-hash", "spec", "--route-by", "header:X-Key")
        with running(*flags, "--id-kind", "index", "--home-format", "[{id}]") as system:
            for key, index in (("132574", 3), ("982345", 1)):
                told = json.loads(carousel("ring", key, "--json", "--state-dir", str(system.state_dir)).stdout)
                self.assertEqual(told["order"][0]["name"], f"server{index}")
                for port in (system.port, system.second_port):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
                    connection.request("GET", "/home", headers={"X-Key": key})
                    self.assertEqual(json.loads(connection.getresponse().read())["message"], f"[{index}]")
                    connection.close()


if __name__ == "__main__":
    unittest.main()
