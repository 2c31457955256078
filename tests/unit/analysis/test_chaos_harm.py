import contextlib
import http.client
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from analysis.chaos.harm import Harmer
from analysis.chaos.plan import Fault
from analysis.running import Running, wait_until

FAR = 3600.0


class FakeSystem:
    """What a Harmer asks of a running system, from lists; `away`: control does not answer."""

    def __init__(self, *names: str) -> None:
        self.states = dict.fromkeys(names, "healthy")
        self.pids: dict[str, int] = {}
        self.calls: list[tuple[str, str, Any]] = []
        self.refusals = 0
        self.away = False
        self.state_dir = Path("/nowhere")

    def cluster(self) -> dict[str, Any]:
        if self.away:
            raise http.client.RemoteDisconnected
        return {"replicas": [{"name": name, "state": state} for name, state in self.states.items()]}

    def children(self, role: str | None = None) -> list[dict[str, Any]]:
        return [{"name": name, "role": role, "pid": pid} for name, pid in self.pids.items()]

    def names(self) -> list[str]:
        return list(self.states)

    def call(self, method: str, path: str, body: Any = None, timeout_s: float = 60.0) -> tuple[int, Any]:
        """/rm of one, or /add of S6; the first `refusals` are refused."""
        self.calls.append((method, path, body))
        if self.refusals:
            self.refusals -= 1
            return 502, "control is away"
        if path == "/rm":
            del self.states[body["hostnames"][0]]
        else:
            self.states["S6"] = "healthy"
        return 200, {}


class HarmCase(unittest.TestCase):
    def setUp(self) -> None:
        self.system = FakeSystem("S1", "S2", "S3", "S4", "S5")
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(dir="/tmp")))

    def harmer(self, *faults: Fault) -> Harmer:
        return Harmer(cast(Running, self.system), faults, self.folder, 5)

    def run_(self, *faults: Fault) -> Harmer:
        harmer = self.harmer(*faults)
        harmer.run(time.monotonic() - FAR, time.monotonic() + FAR)  # all moments have come
        return harmer

    def process(self, name: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["sleep", "60"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.system.pids[name] = process.pid
        return process


def fault(kind: str, pick: float = 0.0, lasts_s: float = 0.0) -> Fault:
    return Fault(1.0, kind, pick, lasts_s, 0.1)


class Whom(HarmCase):
    def test_the_pick_is_a_place_in_the_sorted_list_of_those_that_are_well(self) -> None:
        processes = {name: self.process(name) for name in ("S3", "S5")}
        harmer = self.run_(fault("kill", 0.5), fault("kill", 0.99))
        self.assertEqual([harm.target for harm in harmer.harms], ["S3", "S5"])
        self.assertEqual({process.wait() for process in processes.values()}, {-signal.SIGKILL})

    def test_no_third_while_two_of_five_are_unwell(self) -> None:
        self.process("S1")
        self.system.states["S2"] = "suspect"
        harmer = self.harmer(fault("kill"), fault("kill"))
        harmer.run(time.monotonic() - FAR, time.monotonic() + 0.2)
        self.assertEqual([harm.target for harm in harmer.harms], ["S1"])

    def test_of_nine_too_no_more_than_two(self) -> None:
        self.system = FakeSystem(*(f"S{i}" for i in range(1, 10)))
        for name in ("S1", "S2", "S3"):
            self.process(name)
        harmer = Harmer(cast(Running, self.system), [fault("kill")] * 3, self.folder, 9)
        harmer.run(time.monotonic() - FAR, time.monotonic() + 0.2)
        self.assertEqual([harm.target for harm in harmer.harms], ["S1", "S2"])

    def test_nobody_is_well_while_control_is_away(self) -> None:
        self.system.away = True
        self.assertEqual(self.harmer().well(), [])

    def test_what_is_not_there_is_missed_and_said(self) -> None:
        harmer = self.run_(fault("kill"))
        self.assertEqual(harmer.harms, [])
        self.assertEqual(harmer.missed, ["kill: KeyError('no replica S1')"])


class What(HarmCase):
    def test_a_pause_ends(self) -> None:
        process = self.process("S1")
        harmer = self.run_(fault("pause", lasts_s=0.01))
        wait_until(lambda: state_of(process.pid) == "S", 5, "it goes on")
        self.assertAlmostEqual(harmer.harms[0].until - harmer.harms[0].at, 0.01)

    def test_a_freeze_does_not(self) -> None:
        process = self.process("S1")
        self.run_(fault("freeze"))
        wait_until(lambda: state_of(process.pid) == "T", 5, "it stops")

    def test_a_replacement_is_two_calls(self) -> None:
        harmer = self.run_(fault("replace"))
        self.assertEqual(
            self.system.calls, [("DELETE", "/rm", {"n": 1, "hostnames": ["S1"]}), ("POST", "/add", {"n": 1})]
        )
        self.assertEqual((harmer.missed, len(self.system.states)), ([], 5))

    def test_calls_are_made_again_until_the_change_is_there(self) -> None:
        self.system.refusals = 2
        harmer = self.run_(fault("replace"))
        self.assertEqual([path for _, path, _ in self.system.calls], ["/rm", "/rm", "/rm", "/add"])
        self.assertEqual((harmer.missed, len(self.system.states)), ([], 5))

    def test_an_order_goes_to_the_replica_itself(self) -> None:
        with listening() as (port, heard):
            (self.folder / f"S1@{port}.log").touch()
            harmer = self.run_(fault("slow", lasts_s=2))
            self.assertTrue(heard[0].startswith(b"POST /fault/slow?lasts=2.000&strength=0.100 HTTP/1.1\r\n"))
        self.assertEqual((harmer.harms[0].kind, harmer.harms[0].target, harmer.missed), ("slow", "S1", []))


@contextlib.contextmanager
def listening() -> Iterator[tuple[int, list[bytes]]]:
    """(port, what one connection said, which is answered by 200)."""
    heard: list[bytes] = []

    def answer() -> None:
        with server.accept()[0] as connection:
            heard.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            thread.join()


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
