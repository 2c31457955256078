"""runproduce and runconsume on a real system: files in, files out, with kill -9 in between, of them and of a server."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from analysis.running import START_S, running, wait_until
from client import Admin

ROOT = Path(__file__).parents[2]
SERVERS = 3
LINES = 240
KILL_AT = (20, 70, 120, 170)
"""The consumer's file has so many lines when both programs are killed; a server too the second time, and all of them
the third time."""
PATIENCE_S = 90.0


@pytest.mark.system
@pytest.mark.timeout(400)
class RunProgramsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.system = cls.stack.enter_context(running(replicas=SERVERS))
        wait_until(lambda: len(cls.bootstrap().split(",")) == SERVERS, START_S, "the queue's start")
        cls.admin = cls.stack.enter_context(Admin(cls.bootstrap()))

    @classmethod
    def bootstrap(cls) -> str:
        return str(cls.system.cluster()["queue"]["bootstrap"] or "")

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.said = self.folder / "said"
        self.consumed = self.folder / "consumer_1.txt"

    def start(self, program: str, topics: Sequence[str], *more: str) -> "subprocess.Popen[bytes]":
        broker = f"127.0.0.1:{self.system.port}"
        flags = ["--id", "1", "--topics", *topics, "--broker", broker, "--log_loc", str(self.folder), *more]
        with self.said.open("ab") as said:
            process = subprocess.Popen([sys.executable, str(ROOT / "client" / program), *flags], stderr=said)
        self.addCleanup(self.end, process)
        return process

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        if process.poll() is None:
            process.kill()
        process.wait()

    def lines(self) -> list[str]:
        return self.consumed.read_text().splitlines() if self.consumed.exists() else []

    def write(self, topics: Sequence[tuple[str, str]], count: int) -> list[str]:
        """A producer's file of so many lines, messages numbered; the messages."""
        words = [f"message-{at}" for at in range(count)]
        text = "".join(
            f"21:52:23\t{word}\t{topics[at % len(topics)][1]}\t{topics[at % len(topics)][0]}\n"
            for at, word in enumerate(words)
        )
        (self.folder / "producer_1.txt").write_text(text)
        return words

    def kill_servers(self, count: int) -> None:
        for child in self.system.children("replica")[:count]:
            os.kill(child["pid"], signal.SIGKILL)

    def has(self, file: Path) -> Any:
        return lambda: file.exists()

    @pytest.mark.slow
    def test_killed_again_and_again(self) -> None:
        for topic in ("T1", "T2"):
            self.admin.create_topic(topic, 2, replication=SERVERS)
        words = self.write([("T1", "*"), ("T2", "P2")], LINES)
        topics = ["T1:*", "T2:P2"]
        consumer = self.start("runconsume.py", topics, "--timeout", "8")
        wait_until(self.has(self.folder / "consumer_1.offsets"), PATIENCE_S, "the consumer's first record")
        producer = self.start("runproduce.py", topics, "--pace", "0.1")
        for round_, count in enumerate(KILL_AT):
            wait_until(lambda least=count: len(self.lines()) >= least, PATIENCE_S, f"{count} lines")
            self.end(consumer)
            self.end(producer)
            self.kill_servers((0, 1, SERVERS, 0)[round_])
            consumer = self.start("runconsume.py", topics, "--timeout", "8")
            producer = self.start("runproduce.py", topics, "--pace", "0.1")
        self.assertEqual(producer.wait(PATIENCE_S), 0, self.said.read_text())
        self.assertEqual(consumer.wait(PATIENCE_S), 0, self.said.read_text())
        self.assertEqual(
            Counter(line.split()[1] for line in self.lines()), Counter(words), "each once, " + self.said.read_text()
        )
        for place in ("T1:P1", "T1:P2", "T2:P2"):
            numbers = [int(line.rpartition("-")[2]) for line in self.lines() if line.startswith(f"{place}     ")]
            self.assertEqual(numbers, sorted(numbers), place)
            self.assertTrue(numbers)
        self.assertIn("takes up the run before", self.said.read_text())
        self.assertFalse((self.folder / "producer_1.offsets").exists())

    def test_topics_are_waited_for_and_read_from_their_beginning(self) -> None:
        words = self.write([("Late", "P2"), ("Later", "*")], 20)
        topics = ["Late:P2", "Later:*"]
        consumer = self.start("runconsume.py", topics, "--timeout", "3")
        producer = self.start("runproduce.py", topics, "--pace", "0")
        said = ("runconsume: waiting for Late, Later", "runproduce: waiting for Late, Later")
        wait_until(lambda: all(one in self.said.read_text() for one in said), PATIENCE_S, "both to wait")
        self.admin.create_topic("Later", 3)
        self.admin.create_topic("Late", 1)
        self.admin.add_partitions("Late", 2)
        self.assertEqual(producer.wait(PATIENCE_S), 0, self.said.read_text())
        self.assertEqual(consumer.wait(PATIENCE_S), 0, self.said.read_text())
        self.assertEqual(sorted(line.split()[1] for line in self.lines()), sorted(words))
        places = {line.split()[0] for line in self.lines()}
        self.assertEqual(places, {"Late:P2", "Later:P1", "Later:P2", "Later:P3"})

    def test_a_file_that_does_not_fit_sends_nothing(self) -> None:
        self.admin.create_topic("Unfit", 1)
        self.write([("Unfit", "*")], 3)
        producer = self.start("runproduce.py", ["Unfit:*", "T2:*"], "--pace", "0")
        self.assertEqual(producer.wait(PATIENCE_S), 1)
        self.assertIn("log file:incompitable, line 2: ", self.said.read_text())
        self.assertEqual(self.admin.offsets("Unfit")[0].next, 0)
