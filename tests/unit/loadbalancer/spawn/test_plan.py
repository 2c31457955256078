"""The plan: what a reload may change, and files that are private and whole."""

import io
import json
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

from loadbalancer.spawn.plan import PlainLog, SupervisorPlan, say, write_private
from loadbalancer.spawn.supervise import url


class Broken(io.StringIO):
    def write(self, s: str) -> int:
        raise OSError(5, "Input/output error")


class TestPlan(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)
        self.plan = SupervisorPlan(self.dir, self.dir, "c1", ["control"], lambda slot: ["door", str(slot)], {"main": 0})

    def test_an_heir_keeps_what_sockets_and_locks_are_bound_to(self) -> None:
        newer = replace(self.plan, env={"A": "b"}, drain_timeout_s=1.0)
        self.assertEqual(newer, self.plan.heir(newer))
        ports = {"ports": {"main": 1}, "optional_ports": {"queue": 2}, "bind": "::"}
        other = replace(newer, workers=9, cluster_id="x", state_dir=Path("/x"), **ports)
        self.assertEqual(newer, self.plan.heir(other))

    def test_files_are_private(self) -> None:
        path = self.dir / "a.json"
        for text in ("first", "second"):
            write_private(path, text)
            self.assertEqual((text, 0o600), (path.read_text(), path.stat().st_mode & 0o777))
        self.assertEqual([path], list(self.dir.iterdir()))
        replace(self.plan, files={"b": "c"}).write_files()
        self.assertEqual("c", (self.dir / "b").read_text())

    def test_urls(self) -> None:
        for host, name in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")):
            self.assertEqual(f"http://{name}:80", url(host, {"main": 80, "second": 81}))


class TestWords(unittest.TestCase):
    def test_lines_are_json(self) -> None:
        with redirect_stderr(io.StringIO()) as out:
            PlainLog().warning("what", child="x", odd=Path("/a"))
        line = json.loads(out.getvalue())
        self.assertEqual(("supervisor", "what", "warning", "x", "/a"), tuple(map(line.get, KEYS)))

    def test_a_closed_terminal_is_no_error(self) -> None:
        with redirect_stdout(Broken()), redirect_stderr(Broken()):
            say("anything")
            PlainLog().error("anything")


KEYS = ("process", "event", "level", "child", "odd")

if __name__ == "__main__":
    unittest.main()
