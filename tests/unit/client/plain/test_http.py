"""Both programs over the plain HTTP interface, with answers that get lost and servers that are away in between."""

import io
import random
import shutil
import tempfile
import threading
import unittest
import unittest.mock
from pathlib import Path

from client.assignments import parse_all
from client.errors import Refused
from client.plain.consume_http import HttpToFile
from client.plain.line_file import LineFile
from client.plain.notices import Notices
from client.plain.produce_http import produce
from client.produce_log import Line
from client.web.calls import QueueCalls
from tests.support.http_queue_server import QueueServer

NOT_LONG_S = 0.05


class HttpCase(unittest.TestCase):
    def setUp(self) -> None:
        self.server = QueueServer()
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        self.calls = QueueCalls(self.server.address)
        self.addCleanup(self.calls.close)
        self.out = io.StringIO()
        self.notices = Notices("test", self.out)
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.slept: list[float] = []


class ProduceTest(HttpCase):
    def test_lines_go_to_their_partitions_in_order(self) -> None:
        for part in ("P1", "P2"):
            self.calls.add_topic("T1", part)
        lines = [Line(1, "T1", "*", "a"), Line(2, "T1", "P2", "b"), Line(3, "T1", "*", "c"), Line(4, "T1", "P2", "d")]
        produce(self.calls, lines, 2, 0.5, self.notices, self.slept.append)
        self.assertEqual(self.server.topics, {"T1": {"P1": ["a", "c"], "P2": ["b", "d"]}})
        self.assertEqual(len(self.slept), 2)
        self.assertTrue(all(0 <= pause < 0.5 for pause in self.slept))

    def test_topics_are_waited_for_and_outages_are_said(self) -> None:
        def sleep(_: float) -> None:
            self.slept.append(0)
            if len(self.slept) == 2:
                self.calls.add_topic("T1", "P1")
            if len(self.slept) == 3:
                self.server.away = 2

        produce(self.calls, [Line(1, "T1", "P1", "a"), Line(2, "T1", "P1", "b")], 1, 0.1, self.notices, sleep)
        self.assertEqual(self.server.topics, {"T1": {"P1": ["a", "b"]}})
        said = self.out.getvalue()
        self.assertIn("test: waiting for T1\n", said)
        self.assertIn("503 nobody; still trying\n", said)
        self.assertIn("test: goes on, after", said)

    def test_a_no_is_raised(self) -> None:
        self.calls.add_topic("T1", "P1")
        self.server.producers = []
        self.server.carry_out = refuse_produce(self.server.carry_out)  # type: ignore[method-assign]
        with self.assertRaisesRegex(Refused, "Producer:0 does not exist"):
            produce(self.calls, [Line(1, "T1", "P1", "a")], 1, 0, self.notices)


def refuse_produce(carry_out):  # type: ignore[no-untyped-def]
    def refused(method, path, told):  # type: ignore[no-untyped-def]
        if path == "/producer/produce":
            return 400, {"message": "Producer:0 does not exist", "status": "failure"}
        return carry_out(method, path, told)

    return refused


class ConsumeTest(HttpCase):
    def run_once(self, timeout_s: float = NOT_LONG_S) -> None:
        with LineFile(self.folder / "consumer_1.txt") as file:
            wanted = parse_all(["T1:*", "T2:P2"])
            HttpToFile(self.calls, wanted, file, timeout_s, self.notices, sleep=lambda _: None).run()

    def lines(self) -> list[str]:
        return (self.folder / "consumer_1.txt").read_text().splitlines()

    def setUp(self) -> None:
        super().setUp()
        for topic, part in (("T1", "P1"), ("T1", "P2"), ("T2", "P2")):
            self.calls.add_topic(topic, part)
        self.server.topics["T1"]["P1"].append("before we came")
        self.run_once()
        self.assertEqual(self.lines(), [])

    def test_one_line_each_and_a_restart_goes_on(self) -> None:
        self.server.topics["T1"]["P1"] += ["a", "b"]
        self.server.topics["T2"]["P2"] += ["c"]
        self.run_once()
        self.server.topics["T1"]["P2"] += ["d"]
        self.run_once()
        self.assertEqual(sorted(self.lines()), ["T1:P1     a", "T1:P1     b", "T1:P2     d", "T2:P2     c"])
        self.assertEqual(len(self.server.consumers), 2)

    def test_lost_answers_and_outages(self) -> None:
        self.server.topics["T1"]["P1"] += [str(at) for at in range(20)]
        chance = random.Random(7)
        carry_out = self.server.carry_out

        def flaky(*call):  # type: ignore[no-untyped-def]
            self.server.lose = chance.random() < 0.3
            self.server.away = chance.random() < 0.3
            return carry_out(*call)

        self.server.carry_out = flaky  # type: ignore[method-assign]
        self.run_once(0.3)
        self.assertEqual(self.lines(), [f"T1:P1     {at}" for at in range(20)])

    def test_a_kill_between_the_line_and_the_record(self) -> None:
        self.server.topics["T1"]["P1"] += ["a", "b"]
        with LineFile(self.folder / "consumer_1.txt") as file:
            program = HttpToFile(self.calls, parse_all(["T1:*", "T2:P2"]), file, NOT_LONG_S, self.notices)
            program._take("T1:*")
            killed = unittest.mock.patch.object(file, "record", side_effect=KeyboardInterrupt)
            with killed, self.assertRaises(KeyboardInterrupt):
                program._take("T1:*")
        self.assertEqual(self.lines(), ["T1:P1     a", "T1:P1     b"])
        self.run_once()
        self.assertEqual(self.lines(), ["T1:P1     a", "T1:P1     b"])

    def test_an_outage_is_no_silence(self) -> None:
        self.server.away = 3
        threading.Timer(0.01, lambda: self.server.topics["T2"]["P2"].append("late")).start()
        self.run_once(0.1)
        self.assertEqual(self.lines(), ["T2:P2     late"])
