import contextlib
import io
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from client import runconsume, runproduce
from client.plain import looking
from tests.support.http_queue_server import QueueServer

ROOT = Path(__file__).parents[3]


class ProgramsTest(unittest.TestCase):
    """runproduce and runconsume from the command line to the files, over the HTTP interface."""

    def setUp(self) -> None:
        self.server = QueueServer()
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        for part in ("P1", "P2"):
            self.server.carry_out("POST", "/topics/add", {"topic": "T1", "part": part})

    def flags(self, *more: str) -> list[str]:
        return ["--id", "1", "--broker", self.server.address, "--log_loc", str(self.folder), *more]

    def run_main(self, program: object, *more: str) -> tuple[int, str]:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            status = program.main(self.flags(*more))  # type: ignore[attr-defined]
        return status, said.getvalue()

    def write(self, text: str) -> None:
        (self.folder / "producer_1.txt").write_text(text)

    def test_files_in_files_out(self) -> None:
        self.write("21:52:23 a * T1\n21:52:24 b P2 T1\n21:52:25 c * T1\n")
        self.assertEqual(self.run_main(runconsume, "--topics", "T1:*", "--timeout", "0.05"), (0, ""))
        self.assertEqual(self.run_main(runproduce, "--topics", "T1:*", "T1:P2", "--pace", "0"), (0, ""))
        self.assertEqual(self.run_main(runconsume, "--topics", "T1:*", "--timeout", "0.05"), (0, ""))
        lines = (self.folder / "consumer_1.txt").read_text().splitlines()
        self.assertEqual(sorted(lines), ["T1:P1     a", "T1:P1     c", "T1:P2     b"])

    def test_a_file_that_does_not_fit(self) -> None:
        self.write("21:52:23 a * T1\n21:52:24 b * T2\n")
        status, said = self.run_main(runproduce, "--topics", "T1:*")
        self.assertEqual(status, 1)
        self.assertTrue(said.startswith("runproduce: log file:incompitable, line 2: it is for T2"), said)
        self.assertEqual(self.server.calls, [])

    def test_servers_out_of_reach_are_gone_round_over_http(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        self.server.cluster = {"queue": {"bootstrap": f"127.0.0.1:{port}"}}
        self.write("21:52:23 a * T1\n21:52:24 b P2 T1\n")
        with mock.patch.object(looking, "OUT_OF_REACH_S", 0.01), mock.patch.object(looking, "PAUSE_S", 0.02):
            self.assertEqual(self.run_main(runconsume, "--topics", "T1:*", "--timeout", "0.05")[0], 0)
            status, said = self.run_main(runproduce, "--topics", "T1:*", "--pace", "0")
            self.assertEqual(status, 0)
            self.assertIn("going over HTTP instead", said)
        self.server.cluster = {"queue": {"bootstrap": self.server.address}}  # in reach again: the run stays on its way
        self.assertEqual(self.run_main(runconsume, "--topics", "T1:*", "--timeout", "0.05"), (0, ""))
        lines = (self.folder / "consumer_1.txt").read_text().splitlines()
        self.assertEqual(sorted(lines), ["T1:P1     a", "T1:P2     b"])

    def test_what_can_not_be(self) -> None:
        status, said = self.run_main(runproduce, "--topics", "T1:*")
        self.assertEqual(status, 1)
        self.assertEqual(said, f"runproduce: {self.folder}/producer_1.txt: No such file or directory\n")
        (self.folder / "producer_1.txt").write_bytes(b"21:52:23 \xff * T1\n")
        status, said = self.run_main(runproduce, "--topics", "T1:*")
        self.assertEqual((status, "is not UTF-8: byte 9" in said), (1, True))
        for flag in ("-1", "nan", "inf", "x"):
            with self.assertRaises(SystemExit) as end:
                self.run_main(runproduce, "--topics", "T1:*", "--pace", flag)
            self.assertEqual(end.exception.code, 2)
        for program in (runproduce, runconsume):
            status, said = self.run_main(program, "--topics", ":P1")
            self.assertEqual(status, 1)
            self.assertIn("write T1", said)

    def test_a_folder_that_is_none(self) -> None:
        (self.folder / "file").touch()
        flags = [*self.flags("--topics", "T1:*")[:-3], str(self.folder / "file"), "--topics", "T1:*"]
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(runconsume.main(flags), 1)
        self.assertRegex(said.getvalue(), "^runconsume: .*file.*\n$")

    def test_an_empty_file_is_sent_at_once(self) -> None:
        self.write("\n")
        self.assertEqual(self.run_main(runproduce, "--topics", "T1:*"), (0, ""))
        self.assertEqual(self.server.calls, [])

    def test_by_their_paths_from_anywhere(self) -> None:
        for name in ("runproduce.py", "runconsume.py"):
            done = subprocess.run(
                [sys.executable, str(ROOT / "client" / name), "--help"],
                cwd="/", env={"PATH": ""}, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("--log_loc", done.stdout)
