"""Both programs over the Kafka protocol, with a cluster in memory: what is waited for, taken up, and passed over."""

import io
import shutil
import tempfile
import unittest
import unittest.mock
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from confluent_kafka import KafkaError

from client.assignments import parse_all
from client.errors import MessageTooLarge, TopicNotFound, Unreachable
from client.plain import consume_kafka, produce_kafka
from client.plain.consume_kafka import KafkaToFile
from client.plain.line_file import LineFile
from client.plain.notices import Notices
from client.plain.produce_kafka import produce
from client.produce_log import HEADER, Line
from client.values import Offsets
from tests.support.fake_librdkafka import FakeCluster, FakeConsumer

AT = "127.0.0.1:9092"
NOT_LONG_S = 0.05


class FakeAdmin:
    """The two questions that the programs ask. `asked` is called before each answer, and may change the cluster."""

    def __init__(self, cluster: FakeCluster, first: dict[tuple[str, int], int], asked: Callable[[], None]) -> None:
        self.cluster = cluster
        self.first = first
        self.asked = asked

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def partition_names(self, topic: str) -> tuple[str, ...]:
        return tuple(f"P{at + 1}" for at in range(len(self._logs(topic))))

    def offsets(self, topic: str) -> dict[int, Offsets]:
        return {at: Offsets(self.first.get((topic, at), 0), len(log)) for at, log in enumerate(self._logs(topic))}

    def _logs(self, topic: str) -> Any:
        self.asked()
        if topic not in self.cluster.logs:
            raise TopicNotFound(topic)
        return self.cluster.logs[topic]


class KafkaCase(unittest.TestCase):
    def setUp(self) -> None:
        patched = FakeCluster().patched()
        self.cluster = patched.__enter__()
        self.addCleanup(patched.__exit__, None, None, None)
        self.first: dict[tuple[str, int], int] = {}
        self.asked: Callable[[], None] = lambda: None
        for module in (consume_kafka, produce_kafka):
            patch = unittest.mock.patch.object(module, "Admin", self.admin)
            patch.start()
            self.addCleanup(patch.stop)
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.out = io.StringIO()
        self.notices = Notices("test", self.out)

    def admin(self, *_: Any, **__: Any) -> FakeAdmin:
        return FakeAdmin(self.cluster, self.first, lambda: self.asked())


class ConsumeTest(KafkaCase):
    def run_once(self, *topics: str) -> list[str]:
        path = self.folder / "consumer_1.txt"
        with LineFile(path) as file:
            KafkaToFile(AT, parse_all(topics or ["T1:*"]), file, NOT_LONG_S, self.notices).run()
        return path.read_text().splitlines()

    def test_from_the_end_and_then_on(self) -> None:
        self.cluster.store("T1", b"before we came")
        self.assertEqual(self.run_once(), [])
        self.cluster.store("T1", b"a", b"b\nc", None)
        self.cluster.store("T1", b"late", partition=1)
        lines = ["T1:P1     a", "T1:P1     b\\nc", "T1:P1     ", "T1:P2     late"]
        self.assertEqual(sorted(self.run_once()), sorted(lines))
        self.assertEqual(len(self.run_once()), 4)

    def test_a_kill_between_the_lines_and_the_record(self) -> None:
        self.cluster.store("T1")
        self.run_once()
        self.cluster.store("T1", b"a", b"b")
        with LineFile(self.folder / "consumer_1.txt") as file:
            program = KafkaToFile(AT, parse_all("T1:*"), file, NOT_LONG_S, self.notices)
            append = file.append

            def torn(lines: bytes) -> None:
                append(lines[:-3])
                raise KeyboardInterrupt

            with unittest.mock.patch.object(file, "append", torn), self.assertRaises(KeyboardInterrupt):
                program.run()
        self.assertEqual(self.run_once(), ["T1:P1     a", "T1:P1     b"])

    def test_a_topic_that_was_waited_for_is_read_from_its_beginning(self) -> None:
        asked = 0

        def make() -> None:
            nonlocal asked
            asked += 1
            if asked == 2:
                self.cluster.store("T1", b"first")

        self.asked = make
        with unittest.mock.patch("time.sleep"):
            self.assertEqual(self.run_once(), ["T1:P1     first"])
        self.assertIn("test: waiting for T1\n", self.out.getvalue())

    def test_partitions_that_are_added_meanwhile(self) -> None:
        self.cluster.store("T1")
        asked = 0

        def grow() -> None:
            nonlocal asked
            asked += 1
            if asked == 3:  # after the first look and the first offsets
                self.cluster.store("T1", b"new", partition=1)

        self.asked = grow
        self.assertEqual(self.run_once(), ["T1:P2     new"])

    def test_an_outage_is_no_silence(self) -> None:
        self.cluster.store("T1")
        asked = 0

        def away() -> None:
            nonlocal asked
            asked += 1
            if asked in (3, 4):
                raise Unreachable("nobody")
            if asked == 5:
                self.cluster.store("T1", b"after the outage")

        self.asked = away
        self.assertEqual(self.run_once(), ["T1:P1     after the outage"])
        self.assertIn("test: nobody; still trying\ntest: goes on, after", self.out.getvalue())

    def test_an_offset_that_is_gone(self) -> None:
        self.cluster.store("T1", b"a", b"b")
        self.run_once()
        self.cluster.logs["T1"] = [[]]
        self.cluster.store("T1", b"anew")
        self.assertEqual(self.run_once(), ["T1:P1     anew"])
        self.assertIn("offset 2 is gone, going on at 0", self.out.getvalue())

    def test_an_error_that_stays(self) -> None:
        self.cluster.store("T1")
        self.asked = unittest.mock.Mock(side_effect=MessageTooLarge("no"))
        with self.assertRaises(MessageTooLarge):
            self.run_once()


class ProduceTest(KafkaCase):
    def setUp(self) -> None:
        super().setUp()
        self.record = self.folder / "producer_1.offsets"
        self.cluster.store("T1", b"of somebody else")
        self.cluster.store("T1", partition=1)
        self.lines = [
            Line(1, "T1", "*", "a"),
            Line(2, "T1", "*", "b"),
            Line(3, "T1", "P2", "c"),
            Line(5, "T1", "*", "d"),
        ]
        self.slept: list[float] = []
        self.settled_s(0.0)

    def settled_s(self, seconds: float) -> None:
        patch = unittest.mock.patch.object(produce_kafka, "SETTLED_S", seconds)
        patch.start()
        self.addCleanup(patch.stop)

    def killed(self) -> None:
        """After the first two lines."""
        self.slept = unittest.mock.Mock()
        self.slept.append.side_effect = KeyboardInterrupt
        with self.assertRaises(KeyboardInterrupt):
            self.produce(0.5)
        self.slept = []

    def produce(self, pace_s: float = 0.0) -> None:
        produce(AT, self.lines, 2, self.record, pace_s, self.notices, self.slept.append)

    def values(self) -> list[list[bytes | None]]:
        return [[one.value_ for one in log] for log in self.cluster.logs["T1"]]

    def test_all_lines_where_they_belong(self) -> None:
        self.produce(0.5)
        self.assertEqual(self.values(), [[b"of somebody else", b"a", b"d"], [b"b", b"c"]])
        self.assertEqual(len(self.slept), 2)
        self.assertFalse(self.record.exists())
        self.assertEqual(self.out.getvalue(), "")

    def test_a_run_that_was_killed_is_taken_up(self) -> None:
        self.killed()
        self.assertTrue(self.record.exists())
        self.cluster.store("T1", b"of somebody else too")
        self.produce()
        self.assertEqual(self.values(), [[b"of somebody else", b"a", b"of somebody else too", b"d"], [b"b", b"c"]])
        self.assertIn("takes up the run before: 2 of 4 lines are stored already", self.out.getvalue())
        self.assertFalse(self.record.exists())

    def test_a_request_of_the_killed_run_that_arrives_late(self) -> None:
        """What was on its way when the run was killed is in the log a moment after the restart looked first."""
        self.killed()
        late = self.cluster.logs["T1"][0].pop()
        looked = 0

        def arrive(consumer: Any, timeout: float = -1) -> Any:
            nonlocal looked
            found = polled(consumer, timeout)
            looked += found is None
            if found is None and looked == 3:
                self.cluster.logs["T1"][0].append(late)
            return found

        polled = FakeConsumer.poll
        self.settled_s(NOT_LONG_S)
        with unittest.mock.patch.object(FakeConsumer, "poll", arrive):
            self.produce()
        self.assertEqual(self.values(), [[b"of somebody else", b"a", b"d"], [b"b", b"c"]])
        self.assertIn("2 of 4 lines are stored already", self.out.getvalue())

    def test_a_run_is_taken_up_whatever_partitions_were_added_meanwhile(self) -> None:
        """`*` has other turns with them; each line is there once all the same, after any number of kills."""
        for partition in (2, 3):
            self.killed()
            self.cluster.store("T1", b"of somebody else", partition=partition)
        self.produce()
        ours = [value for log in self.values() for value in log if value != b"of somebody else"]
        self.assertEqual(sorted(one or b"" for one in ours), [b"a", b"b", b"c", b"d"])

    def test_another_file_is_another_run(self) -> None:
        self.test_a_run_that_was_killed_is_taken_up()
        self.lines = self.lines[:1]
        self.produce()
        self.assertEqual(self.values()[0][-1], b"a")
        ((header, value),) = self.cluster.logs["T1"][0][-1].headers_ or []
        self.assertEqual((header, (value or b"").rpartition(b"/")[2]), (HEADER, b"1"))

    def test_deliveries_that_fail_and_may_be_tried_again(self) -> None:
        self.cluster.failing = KafkaError._MSG_TIMED_OUT
        said = self.notices.say

        def recover(text: str) -> None:
            self.cluster.failing = 0
            said(text)

        with unittest.mock.patch.object(self.notices, "say", recover):
            self.produce()
        self.assertEqual(self.values(), [[b"of somebody else", b"a", b"d"], [b"b", b"c"]])
        self.assertIn("still trying", self.out.getvalue())

    def test_a_message_that_never_fits(self) -> None:
        self.cluster.refused = KafkaError.MSG_SIZE_TOO_LARGE
        with self.assertRaises(MessageTooLarge):
            self.produce()
