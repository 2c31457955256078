"""Control's process for real: gunicorn on a handed-down Unix socket, with a fake port in the controller's place."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import pytest
from support.supervising import wait_until

DEADLINE_S = 15.0
ROOT = Path(__file__).parents[2]
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="control")
os.execv(sys.executable, [sys.executable, "-m", "support.stub_control", "--settings", sys.argv[2]])
"""
SETTINGS = {"log_format": "json", "admin_token": "", "allowed_hosts": [], "runtime": "process"}


@pytest.mark.system
class GunicornTest(unittest.TestCase):
    """`self.listener` is the supervisor's: it stays open over all that happens to control."""

    def setUp(self) -> None:
        self.dir = Path(tempfile.mkdtemp(dir="/tmp", prefix="carousel-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.settings = self.dir / "settings.json"
        self.settings.write_text(json.dumps(SETTINGS))
        self.path = self.dir / "control.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)
        self.listener.bind(str(self.path))
        self.listener.listen(128)
        self.env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "HOME": str(self.dir)}

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start control; it answers as soon as it can, since connections queue at the socket."""
        fd = self.listener.fileno()
        argv = [sys.executable, "-c", LAUNCH, str(fd), str(self.settings)]
        with (self.dir / "stderr").open("ab") as log:
            process = subprocess.Popen(argv, env=self.env, cwd=self.dir, pass_fds=(fd,), stderr=log)
        self.addCleanup(self.end, process)
        return process

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        if process.poll() is None:
            process.kill()
            process.wait()

    def exchange(self, raw: bytes, half_close: bool = False) -> tuple[int, dict[str, Any]]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(DEADLINE_S)
            client.connect(str(self.path))
            client.sendall(raw)
            if half_close:
                client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body) if body else {}

    def ask(self, method: str, path: str, lines: str = "", body: bytes = b"") -> tuple[int, dict[str, Any]]:
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}"
        return self.exchange(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def worker(self) -> int:
        """The pid of the worker that answers."""
        status, answer = self.ask("GET", "/rep")
        self.assertEqual(200, status, answer)
        return int(answer["message"]["replicas"][0].removeprefix("pid-"))

    def wait_gone(self, pidfd: int) -> None:
        readable, _, _ = select.select([pidfd], [], [], DEADLINE_S)
        os.close(pidfd)
        self.assertTrue(readable, "the process lives on")

    def told(self) -> list[str]:
        return Path(f"{self.settings}.log").read_text().splitlines()

    def logged(self) -> list[dict[str, Any]]:
        """All lines on stderr, which must be JSON."""
        return [json.loads(line) for line in (self.dir / "stderr").read_text().splitlines()]


class ProcessTest(GunicornTest):
    def test_the_worker_dies_with_its_arbiter_and_the_socket_stays(self) -> None:
        arbiter = self.launch()
        pid = self.worker()
        self.assertNotEqual(arbiter.pid, pid)
        pidfd = os.pidfd_open(pid)
        arbiter.kill()
        self.wait_gone(pidfd)
        arbiter.wait()
        self.assertTrue(self.path.is_socket())
        self.launch()
        self.assertNotEqual(pid, self.worker())

    def test_a_killed_worker_is_replaced(self) -> None:
        self.launch()
        pid = self.worker()
        pidfd = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        self.wait_gone(pidfd)
        self.assertNotEqual(pid, self.worker())

    def test_a_worker_that_dies_at_the_same_moment_as_its_arbiter(self) -> None:
        arbiter = self.launch()
        os.kill(self.worker(), signal.SIGKILL)
        arbiter.kill()
        arbiter.wait()
        self.launch()
        self.worker()

    def test_sigterm_stops_the_controller_and_leaves_the_socket(self) -> None:
        arbiter = self.launch()
        pid = self.worker()
        arbiter.terminate()
        self.assertEqual(0, arbiter.wait(DEADLINE_S))
        self.assertEqual([f"start {pid}", f"stop {pid}"], self.told())
        self.assertTrue(self.path.is_socket())
        self.assertEqual([], self.logged())

    def test_no_signal_makes_a_second_worker(self) -> None:
        arbiter = self.launch()
        pid = self.worker()
        for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGUSR2):
            arbiter.send_signal(number)
        wait_until(lambda: len(self.logged()) == 3, "each signal refused")
        arbiter.terminate()
        self.assertEqual(0, arbiter.wait(DEADLINE_S))
        self.assertEqual([f"start {pid}", f"stop {pid}"], self.told())

    def test_it_starts_only_with_its_socket(self) -> None:
        argv = [sys.executable, "-m", "support.stub_control", "--settings", str(self.settings)]
        done = subprocess.run(argv, env=self.env, capture_output=True, timeout=DEADLINE_S)
        self.assertEqual(2, done.returncode)
        self.assertIn("LISTEN_FDS", json.loads(done.stderr)["event"])

    def test_gunicorn_s_own_control_socket_is_off(self) -> None:
        self.launch()
        self.worker()
        self.assertEqual([], [path for path in self.dir.rglob("*") if "gunicorn" in path.name])


class RequestTest(GunicornTest):
    def setUp(self) -> None:
        super().setUp()
        self.launch()

    def test_no_header_moves_a_request_elsewhere(self) -> None:
        lines = "PATH_INFO: /rep\r\nSCRIPT_NAME: /x\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n"
        self.assertEqual(404, self.ask("GET", "/nowhere", lines)[0])
        self.assertEqual(200, self.ask("GET", "/rep", lines)[0])

    def test_no_underscore_makes_a_caller_local(self) -> None:
        lines = "X-Real-IP: 10.0.0.9\r\nX_Real_IP: 127.0.0.1\r\n"
        status, answer = self.ask("POST", "/add", lines, b'{"n": 1}')
        self.assertEqual(403, status, answer)
        lines = "X-Real-IP: 127.0.0.1\r\nX-Real-IP: 10.0.0.9\r\n"
        self.assertEqual(403, self.ask("POST", "/add", lines, b'{"n": 1}')[0])

    def test_what_gunicorn_refuses_is_answered_in_json(self) -> None:
        for raw in (
            b"GET /rep HTTP/1.1\r\nHost: a\r\nbad header: x\r\n\r\n",
            b"GET /rep HTTP/9.9\r\nHost: a\r\n\r\n",
            b"\r\n\r\nnonsense\r\n\r\n",
            b"GET /rep HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        ):
            with self.subTest(raw=raw):
                status, answer = self.exchange(raw)
                self.assertEqual((400, "failure"), (status, answer["status"]))

    def test_long_heads_and_odd_methods_reach_the_application(self) -> None:
        self.assertEqual(200, self.ask("GET", "/rep", f"Cookie: {'x' * 30_000}\r\n")[0])
        self.assertEqual(404, self.ask("GET", "/" + "x" * 8000)[0])
        self.assertEqual(405, self.ask("odd!", "/rep")[0])

    def test_a_body_cut_short_changes_nothing(self) -> None:
        head = b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        for rest in (
            b"Content-Length: 4\r\n\r\nn=1",
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nn=1\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n4\r\nn=1",
        ):
            with self.subTest(rest=rest):
                status, answer = self.exchange(head + rest, half_close=True)
                self.assertEqual((400, "failure"), (status, answer["status"]))
        self.assertEqual(1, self.ask("GET", "/rep")[1]["message"]["N"])

    def test_a_chunked_body_that_is_too_large(self) -> None:
        chunk = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
        lines = b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        head = b"POST /add HTTP/1.1\r\nHost: localhost\r\n" + lines
        self.assertEqual(413, self.exchange(head + chunk * 9 + b"0\r\n\r\n")[0])
        self.assertEqual(200, self.exchange(head + chunk * 7 + b"8\r\n" + b'{"n": 1}' + b"\r\n0\r\n\r\n")[0])

    def test_the_log_is_json_and_has_the_request_id(self) -> None:
        self.ask("POST", "/add", "X-Request-Id: req-5\r\n", b'{"n": 1}')
        lines = [line for line in self.logged() if line["event"] == "change submitted"]
        self.assertEqual([("req-5", "control")], [(line["request_id"], line["process"]) for line in lines])


if __name__ == "__main__":
    unittest.main()
