"""`python -m server` as a real process: sockets handed down and its own, data directories, signals, exit codes."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import pytest

from analysis.ports import free_ports

DEADLINE_S = 15.0
ROOT = Path(__file__).parents[2]
HOME = b"GET /home HTTP/1.1\r\nHost: a\r\n\r\n"
FORBIDDEN = ("aiohttp", "pydantic", "structlog", "flask", "prometheus_client")
TAKEN_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="http")
os.execv(sys.executable, [sys.executable, "-m", "server"])
"""


def connected(port: int) -> socket.socket:
    """A connection to `port`, which may not be open yet. Waits by watching the clock, at most DEADLINE_S."""
    end = time.monotonic() + DEADLINE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            select.select([], [], [], 0.01)


def received(client: socket.socket, ending: bytes) -> bytes:
    """What comes up to and with `ending`, or until the peer's end."""
    data = b""
    while not data.endswith(ending):
        piece = client.recv(65536)
        if not piece:
            break
        data += piece
    return data


@pytest.mark.system
class ServerCase(unittest.TestCase):
    def start(self, *argv: str, fd: int | None = None, **environ: str) -> subprocess.Popen[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("LISTEN_", "CAROUSEL_"))}
        command = [sys.executable, "-m", "server", *argv]
        if fd is not None:
            command = [sys.executable, "-c", TAKEN_OVER, str(fd)]
        process = subprocess.Popen(
            command,
            env={**clean, "SERVER_ID": "s1", **environ},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=() if fd is None else (fd,),
        )
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()

    def data_dir(self) -> str:
        path = tempfile.mkdtemp(dir="/tmp")
        self.addCleanup(shutil.rmtree, path)
        return path


@pytest.mark.system
class Serving(ServerCase):
    def test_it_serves_and_leaves_in_order(self) -> None:
        (port,) = free_ports(1)
        process = self.start(PORT=str(port))
        with connected(port) as idle, connected(port) as busy:
            idle.sendall(HOME)
            self.assertIn(b'"Hello from Server: s1"', received(idle, b"}"))
            busy.sendall(HOME[:-2])
            idle.sendall(HOME)  # its answer shows that the half request before it has been read
            received(idle, b"}")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(idle.recv(1), b"")
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            busy.sendall(HOME[-2:])
            answer = received(busy, b"}")
            self.assertIn(b"HTTP/1.1 200 OK\r\n", answer)
            self.assertIn(b"Connection: close\r\n", answer)
            self.assertEqual(busy.recv(1), b"")
        _, log = process.communicate(timeout=DEADLINE_S)
        self.assertEqual(process.returncode, 0, log)
        events = [json.loads(line)["event"] for line in log.splitlines()]
        self.assertEqual(events, ["listening", "stopping", "stopped"])

    def test_a_socket_handed_down_refuses_before_and_after(self) -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
            process = self.start(fd=held.fileno(), PORT="1")
            with connected(port) as client:
                client.sendall(b"GET /heartbeat HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                self.assertTrue(received(client, b"never").endswith(b"Content-Length: 0\r\n\r\n"))
            process.send_signal(signal.SIGINT)
            _, log = process.communicate(timeout=DEADLINE_S)
            self.assertEqual(process.returncode, 0, log)
            with self.assertRaises(ConnectionRefusedError):  # although we still hold the socket
                socket.create_connection(("127.0.0.1", port))

    def test_it_stays_light(self) -> None:
        code = "import sys, server.__main__; print(*sys.modules)"
        loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        self.assertEqual([name for name in FORBIDDEN if name in loaded.stdout.split()], [])


@pytest.mark.system
class Refusing(ServerCase):
    def assert_refused(self, process: subprocess.Popen[str], code: int, word: str) -> None:
        _, log = process.communicate(timeout=DEADLINE_S)
        self.assertEqual(process.returncode, code, log)
        self.assertEqual(log.count("\n"), 1, log)
        self.assertIn(word, log)

    def test_a_directory_in_use_is_75_and_free_after_kill_9(self) -> None:
        path = self.data_dir()
        owner = {"CAROUSEL_CLUSTER": "c1", "NODE_ID": "7"}
        (port,) = free_ports(1)
        first = self.start("--data-dir", path, PORT=str(port), **owner)
        connected(port).close()
        self.assert_refused(self.start(DATA_DIR=path, PORT="0", **owner), 75, f"in use by process {first.pid}")
        first.kill()
        first.communicate()
        second = self.start(DATA_DIR=path, PORT=str(port), **owner)
        connected(port).close()
        self.assertIsNone(second.poll())

    def test_another_s_directory_is_78(self) -> None:
        path = self.data_dir()
        meta = "version=1\ncluster.id=c1\nnode.id=7\ndirectory.id=a\n"
        (Path(path) / "meta.properties").write_text(meta)
        wrong = self.start(DATA_DIR=path, PORT="0", CAROUSEL_CLUSTER="c1", NODE_ID="8")
        self.assert_refused(wrong, 78, "belongs to node 7")

    def test_a_port_in_use_is_69_and_a_bad_one_2(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            self.assert_refused(self.start(PORT=port), 69, f"127.0.0.1:{port}")
        self.assert_refused(self.start(PORT="http"), 2, "PORT must be")

    def test_a_directory_that_can_t_be_made_is_74(self) -> None:
        self.assert_refused(self.start(DATA_DIR="/proc/nowhere", PORT="0"), 74, "/proc/nowhere")
