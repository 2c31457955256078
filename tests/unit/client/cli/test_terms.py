import contextlib
import io
import os
import signal
import subprocess
import sys
import unittest
from unittest import mock

import typer

from client.cli.formats import BadFormat
from client.cli.lines import BadLine
from client.cli.terms import Cluster, Failed, Misused, be_sure, ending_clean, properties_of
from client.errors import ConfigError, TopicNotFound


class EndTest(unittest.TestCase):
    def test_each_error_is_one_line_and_a_status(self) -> None:
        for error, status, words in (
            (Failed("a\n b"), 1, "carousel: a b\n"),
            (BadLine("line 3"), 1, "carousel: line 3\n"),
            (Misused("-X"), 2, "carousel: -X\n"),
            (BadFormat("%y"), 2, "carousel: %y\n"),
            (ConfigError("no address"), 2, "carousel: no address\n"),
            (TopicNotFound("T1: no such topic. What to do: call Admin()"), 1,
             "carousel: T1: no such topic: make it by `carousel topics create NAME`, or see `carousel topics`\n"),
            (FileNotFoundError(2, "No such file or directory", "x"), 1, "carousel: x: No such file or directory\n"),
            (KeyboardInterrupt(), 130, ""),
        ):  # fmt: skip
            said = io.StringIO()
            with contextlib.redirect_stderr(said), self.assertRaises(typer.Exit) as ended, ending_clean():
                raise error
            self.assertEqual((ended.exception.exit_code, said.getvalue()), (status, words))

    def test_sigterm_ends_as_ctrl_c_does_and_is_given_back(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        with self.assertRaises(typer.Exit) as ended, ending_clean():
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        self.assertEqual((ended.exception.exit_code, signal.getsignal(signal.SIGTERM)), (143, before))

    def test_a_reader_that_went_is_no_error(self) -> None:
        for said in ("print('x' * 100, flush=True)", "print('x' * 100)", "console.print('x' * 100)"):
            with self.subTest(said):
                self.went(said)

    def went(self, said: str) -> None:
        code = (
            "import os, sys\nfrom client.cli.terms import console, ending_clean\nimport typer\n"
            "os.close(1); r, w = os.pipe(); os.close(r); os.dup2(w, 1)\n"
            "app = typer.Typer()\n@app.command()\ndef run():\n"
            f"    with ending_clean():\n        {said}\napp()"
        )
        done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False, timeout=30)
        self.assertEqual((done.returncode, done.stderr), (141, b""))


class OptionsTest(unittest.TestCase):
    def test_properties(self) -> None:
        self.assertEqual(properties_of(["security.protocol=SSL", "a=b=c"]), {"security_protocol": "SSL", "a": "b=c"})
        for text in ("a", "=b"):
            with self.assertRaisesRegex(Misused, "name=value"):
                properties_of([text])
        cluster = Cluster("b", {"compression_type": "gzip"}).overridden(compression_type="none", acks="all")
        self.assertEqual(cluster.properties, {"compression_type": "gzip", "acks": "all"})

    def test_who_is_not_there_can_t_be_asked(self) -> None:
        be_sure("Delete?", True)
        with mock.patch("sys.stdin", io.StringIO()), self.assertRaisesRegex(Misused, "Delete.? Say so by --yes"):
            be_sure("Delete?", False)
        with mock.patch("sys.stdin.isatty", return_value=True, create=True):
            for answer, agreed in (("y", True), ("", False), (EOFError, False)):
                with mock.patch("builtins.input", side_effect=[answer]):
                    if agreed:
                        be_sure("Delete?", False)
                    else:
                        self.assertRaises(Failed, be_sure, "Delete?", False)


if __name__ == "__main__":
    unittest.main()
