import json
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from support.queue_admin import FakeAdmin, command

from client.cli.consume import app, starts_of
from client.cli.starts import END, BadStart, Start
from client.cli.terms import Cluster
from client.values import Message, Offsets


class FakeConsumer:
    """Hands out two messages of T1:0, and knows how it was made."""

    made: ClassVar[list[tuple[Any, ...]]] = []
    idle = False

    def __init__(self, bootstrap: str, topics: Any, **how: Any) -> None:
        self.made.append((topics, how))
        self.left = [Message("T1", 0, offset, b"k", b"v%d" % offset, (), 7) for offset in (3, 4)]
        self.committed = 0

    def __enter__(self) -> "FakeConsumer":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def batch(self, count: int, timeout_s: float = 1.0) -> list[Message]:
        found, self.left = self.left[:count], self.left[count:]
        return found

    def commit(self) -> None:
        self.committed += 1

    def assignment(self) -> tuple[tuple[str, int], ...]:
        return (("T1", 0),)

    def ends(self) -> dict[tuple[str, int], int]:
        return {("T1", 0): 5}

    def reached(self) -> dict[tuple[str, int], int]:
        return {} if self.left else self.ends()


class ConsumeTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.admin = FakeAdmin({"T1": [Offsets(3, 5), Offsets(0, 0)]})
        FakeConsumer.made = []

    def run_with(self, *arguments: str) -> tuple[int, str, str]:
        return command(app, *arguments, Admin=self.admin, Consumer=FakeConsumer)

    def test_kcat_s_o_is_told_apart_from_ours(self) -> None:
        for word in ("end", "beginning", "-5", "7"):
            code, _, err = self.run_with("T1", "-e", "-o", word)
            self.assertEqual((code, f"--from {word}" in err), (2, True))

    def test_into_a_file_and_on(self) -> None:
        path = self.directory / "out"
        for text in ("v3\nv4\n", "v3\nv4\n"):
            code, _, err = self.run_with("T1", "-e", "-o", str(path))
            self.assertEqual((code, path.read_text()), (0, text))
        self.assertIn("goes on where it was", err)
        position = json.loads((self.directory / "out.position").read_text())
        self.assertEqual(position["next"], {"T1": {"0": 5, "1": 0}})
        starts = [how["start"] for _, how in FakeConsumer.made]
        self.assertEqual(starts, [{("T1", 0): 3, ("T1", 1): 0}, {("T1", 0): 5, ("T1", 1): 0}])

    def test_a_file_that_does_not_fit_the_topic_any_more(self) -> None:
        path = str(self.directory / "out")
        self.assertEqual(self.run_with("T1", "-e", "-o", path)[0], 0)
        for held, group, code, words in (
            ([Offsets(0, 2), Offsets(0, 0)], (), 1, "made anew"),
            ([Offsets(0, 2), Offsets(0, 0)], ("-g", "g"), 1, "made anew"),
            ([Offsets(0, 5)], (), 1, "made anew"),
            ([Offsets(7, 9), Offsets(0, 0)], (), 1, "T1:0 begins at 7, behind 5"),
            ([Offsets(5, 5), Offsets(0, 0)], ("-g", "g"), 0, "goes on"),
        ):
            self.admin.logs["T1"] = held
            done, _, err = self.run_with("T1", "-e", "-o", path, *group)
            self.assertEqual((done, words in err), (code, True), err)

    def test_how_the_consumer_is_made(self) -> None:
        path = str(self.directory / "out")
        for arguments, start, group in (
            (("--from", "end"), {("T1", 0): 5, ("T1", 1): 0}, None),
            (("--from", "@4"), {("T1", 0): 4, ("T1", 1): 0}, None),
            (("--group", "g"), "earliest", "g"),
            (("--group", "g", "--from", "end"), "latest", "g"),
        ):
            for name in ("out", "out.position"):
                (self.directory / name).unlink(missing_ok=True)
            self.assertEqual(self.run_with("T1", "-e", "-o", path, *arguments)[0], 0)
            topics, how = FakeConsumer.made[-1]
            self.assertEqual((topics, how["start"], how["group"]), (["T1"], start, group))
            self.assertIs(how["enable_auto_commit"], False)

    def test_what_contradicts_itself(self) -> None:
        for arguments in (("-f", "%k", "--json"), ("-g", "g", "--from", "7"), ("--from", "noon"), ("-f", "x")):
            code, _, err = self.run_with("T1", *arguments)
            self.assertEqual((code, err.count("\n")), (2, 1), arguments)

    def test_starts_of_several_topics_but_for_those_known(self) -> None:
        self.admin.logs["T2"] = [Offsets(0, 9)]
        with mock.patch("client.Admin", self.admin):
            found = starts_of(Cluster("here:1"), ["T2", "T1:P1", "T1"], END, {("T1", 1): 7})
            self.assertEqual(found, {("T1", 0): 5, ("T2", 0): 9})
            self.assertEqual(starts_of(Cluster("here:1"), ["T2"], Start("last", 2), {}), {("T2", 0): 7})

    def test_an_offset_must_be_in_those_partitions_only_that_are_read(self) -> None:
        with mock.patch("client.Admin", self.admin):
            self.assertEqual(starts_of(Cluster("here:1"), ["T1:P1"], Start("offset", 4), {}), {("T1", 0): 4})
            with self.assertRaisesRegex(BadStart, "0 to 0"):
                starts_of(Cluster("here:1"), ["T1:P1", "T1:1"], Start("offset", 4), {})


if __name__ == "__main__":
    unittest.main()
