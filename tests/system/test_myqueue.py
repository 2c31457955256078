"""What speaks the plain HTTP interface from our side, on a real system: myqueue, and both programs' fall-back."""

import os
import shutil
import signal
import tempfile
import threading
import time
import unittest
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from analysis.running import START_S, running, wait_until
from client.assignments import parse_all
from client.compat.myqueue import ApiHandler, MyConsumer, MyProducer
from client.errors import CarouselError, Refused
from client.plain import produce_http
from client.plain.consume_http import HttpToFile
from client.plain.line_file import LineFile
from client.plain.notices import Notices
from client.produce_log import Line

T = TypeVar("T")

SERVERS = 3
LINES = 40


def soon(call: Callable[[], T]) -> T:
    """Its answer, asked for again while the system that has just started isn't ready."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            return call()
        except CarouselError as error:
            if not error.retry or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.mark.system
@pytest.mark.timeout(300)
class MyQueueTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.system = cls.stack.enter_context(running(replicas=SERVERS))
        bootstrap: Callable[[], str] = lambda: str(cls.system.cluster()["queue"]["bootstrap"] or "")  # noqa: E731
        wait_until(lambda: len(bootstrap().split(",")) == SERVERS, START_S, "the queue's start")
        cls.api = ApiHandler(f"127.0.0.1:{cls.system.port}")
        cls.addClassCleanup(cls.api.calls.close)
        for topic, part in (("T1", "P1"), ("T1", "north"), ("T2", "P1")):
            soon(lambda topic=topic, part=part: cls.api.add_topic(topic, part))

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)

    def test_the_second_port_is_the_same(self) -> None:
        other = ApiHandler(f"127.0.0.1:{self.system.second_port}")
        self.addCleanup(other.calls.close)
        self.assertEqual(set(other.get_topics()), set(self.api.get_topics()))

    def test_producers_and_consumers(self) -> None:
        host = f"127.0.0.1:{self.system.port}"
        consumer = MyConsumer([["T1", "*"], "T1:north"], host, timeout=2)
        producer = MyProducer([["T1", "*"], ["T1", "north"]], host)
        for at in range(6):
            producer.send("T1", f"turn {at}")
        producer.send("T1", "north", "to the north")
        self.assertTrue(consumer.has_next())
        seen = Counter(consumer.get_next())
        self.assertEqual(seen[("T1:north", "to the north")], 2)
        self.assertEqual(sorted(message for topic, message in seen if topic == "T1:P1"), ["turn 0", "turn 2", "turn 4"])
        producer.stop()
        consumer.stop()

    def test_refusals_are_the_specs(self) -> None:
        for call, words in (
            (lambda: self.api.add_topic("T1", "P1"), "T1:P1 already exist"),
            (lambda: self.api.reg_producer("T9"), "T9 does not exist thus no partitions are available"),
            (lambda: self.api.reg_consumer("T1", "P9"), "T1:P9 does not exist, thus can not register as consumer"),
            (lambda: self.api.produce(99_999, "x"), "Producer:99999 does not exist"),
        ):
            with self.assertRaises(Refused) as caught:
                call()
            self.assertEqual(str(caught.exception), words)

    @pytest.mark.slow
    def test_files_in_files_out_while_servers_die(self) -> None:
        wanted = parse_all(["T2:*"])
        notices = Notices("test")
        path = self.folder / "consumer_1.txt"
        with LineFile(path) as file:  # registers: it reads what comes from now on
            HttpToFile(self.api.calls, wanted, file, 0.1, notices).run()
        lines = [Line(at, "T2", "*", f"message-{at}") for at in range(LINES)]
        sending = threading.Thread(target=produce_http.produce, args=(self.api.calls, lines, 1, 0.2, notices))
        sending.start()
        for child in self.system.children("replica")[:2]:
            time.sleep(1)
            os.kill(child["pid"], signal.SIGKILL)
            with LineFile(path) as file:  # a run that ends, and the next that takes it up
                HttpToFile(self.api.calls, wanted, file, 3, notices).run()
        sending.join()
        with LineFile(path) as file:
            HttpToFile(self.api.calls, wanted, file, 3, notices).run()
        seen = Counter(line.split()[1] for line in path.read_text().splitlines())
        self.assertEqual(set(seen), {line.message for line in lines})
        twice = sum(count - 1 for count in seen.values())  # sent again after an answer that was lost
        self.assertLessEqual(twice, 4)
