"""The pages for users, followed word by word on a fresh system each: whatever they show was seen to run."""

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from analysis.ports import free_ports
from analysis.running import START_S, Running, running, wait_until
from tests.support.pages import ROOT, Example, Reader, examples, seen_as
from tests.support.programs import programs_or_skip

PAGES = ("README.md", "docs/http.md", "docs/python.md", "docs/kafka-clients.md", "docs/operators.md")
PROGRAMS = ("curl", "kcat")
LINK = re.compile(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
SERVERS = 3
OTHERS = (6000, 6001)
"""Ports of a second system that a page starts."""


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    """Real systems are started: once, under pytest, is enough."""
    return unittest.TestSuite()


class ExamplesTest(unittest.TestCase):
    def test_what_a_page_holds(self) -> None:
        page = "a\n```console\n$ one \\\n  more\nsaid\n$ two\n```\n```python\nthree\n```\n```text\nfour\n```\n"
        one = Example(3, True, "one \\\n  more", "said\n")
        self.assertEqual(examples(page), [one, Example(6, True, "two"), Example(9, False, "three\n", "four\n")])
        for wrong in ("```text\nx\n```\n", "```console\nx\n```\n", "```sh\nx\n```\n"):
            with self.assertRaises(ValueError):
                examples(wrong)

    def test_what_was_printed(self) -> None:
        for printed, expected in (("a  b \n\nc\n", "a b\nc\n"), ("1 of 7", "… of …"), ("a\nb\nc", "a\n…"), ("", "")):
            self.assertTrue(seen_as(printed, expected), (printed, expected))
        for printed, expected in (("ab", "a"), ("a", "ab…"), ("a\nb", "a b"), ("a", ""), (".*", "…x")):
            self.assertFalse(seen_as(printed, expected), (printed, expected))

    def test_links_lead_somewhere(self) -> None:
        for page in PAGES:
            for path, anchor in LINK.findall((ROOT / page).read_text()):
                target = (ROOT / page).parent / path if path else ROOT / page
                self.assertTrue(target.exists(), f"{page}: {path}")
                if anchor:
                    self.assertIn(anchor, anchors(target.read_text()), f"{page}: {path}")


def anchors(page: str) -> set[str]:
    """What GitHub makes of a page's headings."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(page)}


@pytest.mark.system
@pytest.mark.timeout(400)
class PagesTest(unittest.TestCase):
    def test_readme(self) -> None:
        self.follow("README.md")

    def test_http(self) -> None:
        self.follow("docs/http.md")

    @pytest.mark.slow
    def test_python(self) -> None:
        self.follow("docs/python.md")

    @pytest.mark.slow
    def test_kafka_clients(self) -> None:
        self.follow("docs/kafka-clients.md")

    @pytest.mark.slow
    def test_operators(self) -> None:
        self.follow("docs/operators.md")

    def follow(self, page: str) -> None:
        text = (ROOT / page).read_text()
        programs_or_skip(*(name for name in PROGRAMS if f"{name} -" in text))
        with following() as reader:
            for example in examples(text):
                with self.subTest(page=page, line=example.line):
                    reader.follow(example)


@contextmanager
def following() -> Generator[Reader]:
    """A reader in a folder like the repository's, where a fresh system runs."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(dir="/tmp"))
        stack.callback(shutil.rmtree, folder)
        for name in ("client", "wire"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "var").mkdir()
        queue, *others = free_ports(1 + len(OTHERS))
        flags = ("--workers", "1", "--queue-port", str(queue), "--group-initial-rebalance-delay", "0")
        system = stack.enter_context(running(*flags, replicas=SERVERS, state_dir=folder / "var"))
        stack.callback(end_others, folder)
        wait_until(lambda: whole(system), START_S, "the queue's start")
        ours = (system.port, system.second_port, queue, *others)
        yield Reader(folder, dict(zip((5000, 5001, 9092, *OTHERS), ours, strict=True)))


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
