import json
import shutil
import tempfile
import unittest
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from support.queue_admin import FakeAdmin, command

from client.cli.produce import app
from client.cli.sending import Found
from client.errors import NotDelivered
from client.values import Offsets, Sent


class FakeProducer:
    """Acknowledges all but what says "bad"."""

    sent: ClassVar[list[tuple[Any, ...]]] = []
    how: ClassVar[dict[str, Any]] = {}

    def __init__(self, bootstrap: str, **how: Any) -> None:
        FakeProducer.how = how

    def send(self, topic: str, value: Any, key: Any, partition: Any, headers: Any, timestamp_ms: Any) -> Future[Sent]:
        self.sent.append((topic, value, key))
        future: Future[Sent] = Future()
        if value == b"bad":
            future.set_exception(NotDelivered("sending to T1: away. What to do: send it again"))
        else:
            future.set_result(Sent(topic, 0, len(self.sent), 0))
        return future

    def flush(self, timeout_s: float | None = None) -> None:
        pass

    def close(self, timeout_s: float | None = None) -> None:
        pass


class ProduceTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        self.file, self.state = directory / "lines", directory / "state"
        self.admin = FakeAdmin({"T1": [Offsets(0, 0)]})
        FakeProducer.sent = []

    def run_with(self, text: str, *arguments: str) -> tuple[int, str, str]:
        self.file.write_text(text)
        return command(app, "T1", str(self.file), *arguments, Admin=self.admin, Producer=FakeProducer)

    def test_lines_of_a_file_silently(self) -> None:
        self.assertEqual(self.run_with("k\tv\n", "-K", r"\t", "-z", "zstd"), (0, "", ""))
        self.assertEqual((FakeProducer.sent, FakeProducer.how), ([("T1", b"v", b"k")], {"compression_type": "zstd"}))

    def test_the_report(self) -> None:
        code, out, _ = self.run_with('{"value": "v"}\n', "--json")
        report = json.loads(out)
        self.assertGreaterEqual(report.pop("seconds"), 0.0)
        self.assertEqual((code, report), (0, {"topic": "T1", "sent": 1, "acknowledged": 1, "already_there": 0}))

    def test_what_was_not_acknowledged_is_named(self) -> None:
        code, _, err = self.run_with("a\nbad\nc\n")
        self.assertEqual(code, 1)
        self.assertRegex(
            err, r"^carousel: line 2 was not acknowledged: sending to T1: away: send it again; 1 of 2 .*\n$"
        )

    def test_a_second_run_sends_what_the_first_did_not(self) -> None:
        self.assertEqual(self.run_with("a\nb\n", "--state", str(self.state))[0], 0)
        with mock.patch("client.cli.produce.found_in_log", return_value={3: Found(0, 9)}):
            code, _, err = self.run_with("a\nb\nc\nd\n", "--resume-from", str(self.state))
        self.assertEqual((code, [sent[1] for sent in FakeProducer.sent]), (0, [b"a", b"b", b"d"]))
        self.assertIn("3 lines of this run are in T1 already", err)

    def test_what_contradicts_itself(self) -> None:
        self.assertEqual(self.run_with("a\n", "--json", "-K", ":")[0], 2)
        self.assertEqual(self.run_with("a\n", "-H", "x")[0], 2)


if __name__ == "__main__":
    unittest.main()
