"""The pages for users, followed word by word on a fresh system each: whatever they show was seen to run."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from contextlib import ExitStack
from pathlib import Path

import pytest

from analysis.kafka_peer import free_ports
from analysis.running import START_S, Running, running, wait_until
from tests.support.pages import ROOT, Reader, examples
from tests.support.programs import programs_or_skip

SERVERS = 3
OTHERS = (6000, 6001)
"""Ports of a second system that a page starts."""


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    """Real systems are started: once, under pytest, is enough."""
    return unittest.TestSuite()


@pytest.mark.system
@pytest.mark.timeout(400)
class PagesTest(unittest.TestCase):
    def test_readme(self) -> None:
        self.follow("README.md")

    def test_http(self) -> None:
        self.follow("docs/http.md")

    def test_python(self) -> None:
        self.follow("docs/python.md")

    def test_kafka_clients(self) -> None:
        programs_or_skip("kcat")
        self.follow("docs/kafka-clients.md")

    def test_operators(self) -> None:
        self.follow("docs/operators.md")

    def follow(self, page: str) -> None:
        programs_or_skip("curl")
        found = examples((ROOT / page).read_text())
        self.assertTrue(found)
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(dir="/tmp"))
            stack.callback(shutil.rmtree, folder)
            for name in ("client", "wire"):  # the reader is in the repository's folder
                (folder / name).symlink_to(ROOT / name)
            (folder / "var").mkdir()
            queue, *others = free_ports(1 + len(OTHERS))
            system = stack.enter_context(
                running("--workers", "1", "--queue-port", str(queue), replicas=SERVERS, state_dir=folder / "var")
            )
            stack.callback(end_others, folder)
            wait_until(lambda: whole(system), START_S, "the queue's start")
            ports = {5000: system.port, 5001: system.second_port, 9092: queue, **dict(zip(OTHERS, others, strict=True))}
            for example in found:
                with self.subTest(page=page, line=example.line):
                    Reader(folder, ports).follow(example)


def whole(system: Running) -> bool:
    try:
        return system.cluster()["queue"]["brokers"] == SERVERS
    except (OSError, ValueError, KeyError):
        return False


def end_others(folder: Path) -> None:
    """Systems that a page started, and did not come to end."""
    for ports in folder.glob("*/ports.json"):
        if ports.parent.name != "var":
            command = [sys.executable, "-m", "loadbalancer", "down", "--state-dir", str(ports.parent)]
            subprocess.run(command, check=False, capture_output=True, timeout=START_S)


if __name__ == "__main__":
    unittest.main()
