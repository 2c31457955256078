import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

from loadbalancer.cli.processes import processes_of
from loadbalancer.cli.remote import NotRunning, tell_supervisor
from loadbalancer.spawn import procfs

CLUSTER = "processes-test"
SLEEP = [sys.executable, "-c", "import signal; signal.pause()"]


class ProcessesTest(unittest.TestCase):
    """A supervisor that answers one question; the test's own process plays it, one child is door-0."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        (self.directory / "run").mkdir()
        (self.directory / "cluster.id").write_text(f"{CLUSTER}\n")
        environment = {**os.environ, procfs.CLUSTER_VARIABLE: CLUSTER}
        self.child = subprocess.Popen(SLEEP, env=environment)
        self.addCleanup(self.child.wait)
        self.addCleanup(self.child.kill)

    def answer_once(self, answer: dict[str, object]) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.directory / "run" / "supervisor.sock"))
        listener.listen()

        def answer_it() -> None:
            with listener, listener.accept()[0] as peer, peer.makefile() as lines:
                lines.readline()
                peer.sendall(json.dumps({"id": 1, **answer}).encode() + b"\n")

        thread = threading.Thread(target=answer_it)
        thread.start()
        self.addCleanup(thread.join)

    def test_each_has_its_name_and_memory_the_supervisor_first(self) -> None:
        self.answer_once({"ok": True, "children": [{"name": "door-0", "pid": self.child.pid}]})
        found = processes_of(self.directory)
        named = [(entry["name"], entry["pid"]) for entry in found]
        self.assertEqual([("supervisor", os.getpid()), ("door-0", self.child.pid)], named)
        self.assertGreater(min(entry["pss_bytes"] for entry in found), 100_000)
        self.assertIn("signal.pause", found[1]["command"])

    def test_nothing_runs(self) -> None:
        with self.assertRaises(NotRunning):
            processes_of(self.directory)
        with self.assertRaises(NotRunning):
            tell_supervisor(self.directory, {"op": "shutdown"}, until_it_ends=True)


if __name__ == "__main__":
    unittest.main()
