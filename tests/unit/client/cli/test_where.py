import json
import shutil
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from client.cli.where import NotFound, bootstrap_at, url_in


class Door(BaseHTTPRequestHandler):
    status = 200
    body = b""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class StateDirTest(unittest.TestCase):
    def test_the_address_of_the_system_that_runs_there(self) -> None:
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        for ports, url in (
            ({"main": 5000, "admin": None, "url": "http://127.0.0.1:5000"}, "http://127.0.0.1:5000"),
            ({"main": 5000, "admin": 5009, "url": "http://[::1]:5000"}, "http://[::1]:5009"),
        ):
            (directory / "ports.json").write_text(json.dumps(ports))
            self.assertEqual(url_in(directory), url)
        for text in ("", "{}", "[]"):
            (directory / "ports.json").write_text(text)
            with self.assertRaisesRegex(NotFound, "no system runs in .*carousel up"):
                url_in(directory)


class BootstrapTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = HTTPServer(("127.0.0.1", 0), Door)
        self.addCleanup(self.server.server_close)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answered(self, status: int, body: bytes) -> str:
        Door.status, Door.body = status, body
        thread = threading.Thread(target=self.server.handle_request)
        thread.start()
        try:
            return bootstrap_at(self.url)
        finally:
            thread.join()

    def test_what_the_front_door_says(self) -> None:
        self.assertEqual(self.answered(200, b'{"queue": {"bootstrap": "127.0.0.1:9092"}}'), "127.0.0.1:9092")

    def test_what_is_not_ready_or_no_front_door_says_what_to_do(self) -> None:
        for status, body, words in (
            (200, b"{}", "has no queue: start it with"),
            (200, b'{"queue": {"bootstrap": ""}}', "carousel status"),
            (200, b"<html>", "no front door"),
            (200, b"[]", "answered 200"),
            (503, b'{"message": "<Error> control is starting"}', "answered 503: control is starting; try again"),
        ):
            with self.assertRaisesRegex(NotFound, words):
                self.answered(status, body)

    def test_nobody(self) -> None:
        self.server.server_close()
        with self.assertRaisesRegex(NotFound, "no answer from .*--bootstrap"):
            bootstrap_at(self.url)
        with self.assertRaisesRegex(NotFound, "--bootstrap"):
            bootstrap_at("http://127.0.0.1:nonsense")


if __name__ == "__main__":
    unittest.main()
