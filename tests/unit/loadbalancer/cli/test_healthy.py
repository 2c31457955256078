"""The image's health check: whom it asks, and what it takes for an answer."""

import http.server
import json
import shutil
import socketserver
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from loadbalancer.cli.healthy import is_healthy, whom_to_ask


class Answering(http.server.BaseHTTPRequestHandler):
    status = 200

    def address_string(self) -> str:
        return "nobody"  # a Unix socket's peer has no address

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class TestHealthy(unittest.TestCase):
    def setUp(self) -> None:
        self.state = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.state)
        (self.state / "run").mkdir()
        self.write()

    def write(self, main: int = 1, admin: int | None = None, demands: bool = False) -> None:
        ports = {"main": main, "admin": admin, "url": f"http://127.0.0.1:{main}"}
        (self.state / "ports.json").write_text(json.dumps(ports))
        (self.state / "run" / "door.json").write_text(json.dumps({"accept_proxy_protocol": demands}))

    def serve(self, server: Any) -> Any:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        return server

    def on_loopback(self) -> Any:
        return self.serve(socketserver.TCPServer(("127.0.0.1", 0), Answering))

    def test_the_main_port(self) -> None:
        server = self.on_loopback()
        self.write(server.server_address[1])
        self.assertTrue(is_healthy(self.state))
        self.assertEqual(["/admin/ready"], server.asked)

    def test_not_ready(self) -> None:
        self.write(self.on_loopback().server_address[1])
        with mock.patch.object(Answering, "status", 503):
            self.assertFalse(is_healthy(self.state))

    def test_the_admin_port_is_asked_first(self) -> None:
        for demands in (False, True):
            server = self.on_loopback()
            self.write(1, server.server_address[1], demands)
            self.assertTrue(is_healthy(self.state))

    def test_control_where_the_door_demands_a_proxy_header(self) -> None:
        server = self.serve(socketserver.UnixStreamServer(str(self.state / "run" / "control.sock"), Answering))
        self.write(demands=True)
        self.assertTrue(is_healthy(self.state))
        self.assertEqual(["/rep"], server.asked)

    def test_nobody_is_there(self) -> None:
        self.write(1)
        self.assertFalse(is_healthy(self.state))
        self.write(demands=True)
        self.assertFalse(is_healthy(self.state))
        (self.state / "ports.json").unlink()
        self.assertFalse(is_healthy(self.state))
        (self.state / "ports.json").write_text("{")
        self.assertFalse(is_healthy(self.state))

    def test_where_it_is_bound(self) -> None:
        (self.state / "ports.json").write_text(json.dumps({"main": 80, "admin": None, "url": "http://[::1]:80"}))
        connection, _ = whom_to_ask(self.state)
        self.assertEqual(("::1", 80), (connection.host, connection.port))


if __name__ == "__main__":
    unittest.main()
