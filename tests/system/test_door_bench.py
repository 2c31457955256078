"""The bench compares like with like: each front does the same for a request. And it runs, at its smallest."""

import http.client
import http.server
import json
import os
import socket
import tempfile
import threading
import unittest
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.programs import programs_or_skip
from typer import Typer
from typer.testing import CliRunner

from analysis.door_bench import __main__ as bench
from analysis.door_bench.peers import FRONTS, Front
from analysis.door_profile import __main__ as profile

KEYS = [f"key-{number}" for number in range(40)]


class Told(http.server.BaseHTTPRequestHandler):
    """Answers with its port, and the lines of the head that it got: (name in lower case, value)."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        lines = [(name.lower(), value) for name, value in self.headers.items()]
        body = json.dumps({"port": self.server.server_address[1], "lines": lines}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody listens."""


class Backend(http.server.ThreadingHTTPServer):
    """A context manager, which may be killed before: it and its connections."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Told)
        self.port = self.server_address[1]
        self._open: list[socket.socket] = []
        self._serving = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._serving.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.append(request)
        super().process_request(request, client_address)

    def kill(self) -> None:
        self.shutdown()
        self._serving.join()
        self.server_close()
        for connection in self._open:
            with suppress(OSError):  # it has ended already
                connection.shutdown(socket.SHUT_RDWR)

    def __exit__(self, *args: Any) -> None:
        self.kill()


class Answered(NamedTuple):
    """`id` is that of the answer's head; `lines` are what the backend on `port` got."""

    id: str | None
    port: int
    lines: list[tuple[str, str]]


def ask(front: Front, **headers: str) -> Answered:
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    try:
        connection.request("GET", "/home", headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        return Answered(answer.headers["X-Request-Id"], told["port"], [(name, value) for name, value in told["lines"]])
    finally:
        connection.close()


@pytest.mark.system
class SameWorkTest(unittest.TestCase):
    def setUp(self) -> None:
        programs_or_skip("nginx", "haproxy")

    def each_front(self, check: Callable[[Front, list[Backend]], None]) -> None:
        for name, start in FRONTS.items():
            with self.subTest(name), ExitStack() as stack:
                backends = [stack.enter_context(Backend()) for _ in range(3)]
                ports = [backend.port for backend in backends]
                check(stack.enter_context(start(ports, 1, os.sched_getaffinity(0))), backends)

    def test_heads(self) -> None:
        """The id is kept or made, and told to both sides; who asked, how and by which hop is told, once."""
        self.each_front(self.check_heads)

    def check_heads(self, front: Front, _backends: list[Backend]) -> None:
        answered = ask(front, X_Request_Id="mine-1", X_Forwarded_For="6.6.6.6", X_Forwarded_Proto="https")
        got = dict(answered.lines)
        self.assertEqual(len(got), len(answered.lines), answered.lines)
        self.assertEqual((got["x-request-id"], answered.id), ("mine-1", "mine-1"))
        self.assertEqual((got["x-forwarded-for"], got["x-forwarded-proto"]), ("127.0.0.1", "http"))
        self.assertEqual(got["x-forwarded-host"], got["host"])
        self.assertIn("for=127.0.0.1", got["forwarded"])
        self.assertRegex(got["via"], r"^1\.1 \w+$")
        self.assertEqual(got["host"], f"127.0.0.1:{front.port}")
        self.assertEqual(len({ask(front).id for _ in range(3)} - {None, ""}), 3)

    @pytest.mark.slow
    def test_keys(self) -> None:
        """A key stays with its backend; where that has died, another one answers at once, and only its keys move."""
        self.each_front(self.check_keys)

    def check_keys(self, front: Front, backends: list[Backend]) -> None:
        owners = {key: ask(front, X_Request_Id=key).port for key in KEYS}
        self.assertEqual(owners, {key: ask(front, X_Request_Id=key).port for key in KEYS})
        self.assertEqual(set(owners.values()), {backend.port for backend in backends})
        backends[2].kill()
        after = {key: ask(front, X_Request_Id=key).port for key in KEYS}
        for key, owner in owners.items():
            if owner == backends[2].port:
                self.assertNotEqual(after[key], owner)
            else:
                self.assertEqual(after[key], owner)


@pytest.mark.slow
@pytest.mark.system
class BenchTest(unittest.TestCase):
    def setUp(self) -> None:
        programs_or_skip("nginx", "haproxy", "wrk")

    def run_quick(self, main: Any, *flags: str) -> dict[str, Any]:
        app = Typer()
        app.command()(main)
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            path = Path(directory) / "kept.json"
            ended = CliRunner().invoke(app, [*flags, "--json", str(path)])
            self.assertEqual(ended.exit_code, 0, f"{ended.output}\n{ended.exception!r}")
            return json.loads(path.read_text())

    @pytest.mark.timeout(600)
    def test_every_scenario_on_every_front(self) -> None:
        kept = self.run_quick(bench.main, "--quick", "--two-workers")
        measured = kept["measurements"]
        self.assertEqual(len(measured), len(FRONTS) * 8)
        self.assertTrue(all(one["requests"] and not one["failed"] and one["cpu_us"] > 1 for one in measured), measured)
        self.assertEqual([one["front"] for one in kept["memory"]], list(FRONTS))
        self.assertEqual({ratio["peer"] for ratio in kept["ratios"]}, {"nginx", "haproxy"})

    @pytest.mark.timeout(120)
    def test_profile(self) -> None:
        kept = self.run_quick(profile.main, "--requests", "10000", "--rounds", "1", "--seconds", "1")
        self.assertEqual(set(kept["costs"]), {"carousel", "bare"})
        self.assertEqual(kept["rows"][-1]["what"], "CPU per request")
        self.assertTrue(kept["functions_us"])
