import http.server
import json
import os
import shutil
import socket
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any, ClassVar

from loadbalancer.cli.remote import Remote, RemoteError, state_dir_of_env_file, tell_supervisor


class _Handler(http.server.BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, str, dict[str, str], bytes]]] = []

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.seen.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
        status, content_type, body = {
            "/rep": (200, "application/json", b'{"message": 1}'),
            "/add": (400, "application/json", b'{"message": "<Error> no"}'),
            "/stream": (200, "text/event-stream", b': x\n\nid: 1\ndata: {"id": 1}\n\ndata: {"id": 2}\n\n'),
        }.get(self.path, (404, "text/html", b"<html>"))
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def log_message(self, format: str, *args: Any) -> None: ...


class RemoteTest(unittest.TestCase):
    def setUp(self) -> None:
        _Handler.seen.clear()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.port = server.server_port
        self.remote = Remote.find(Path("/nowhere"), f"http://127.0.0.1:{self.port}", "secret")
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)

    def test_a_call_carries_body_and_token(self) -> None:
        self.assertEqual(self.remote.call("POST", "/rep", {"n": 1}), {"message": 1})
        method, path, headers, body = _Handler.seen[0]
        self.assertEqual((method, path, json.loads(body)), ("POST", "/rep", {"n": 1}))
        self.assertEqual(headers["Authorization"], "Bearer secret")

    def test_a_refusal_is_told_in_its_own_words(self) -> None:
        with self.assertRaisesRegex(RemoteError, "^<Error> no$"):
            self.remote.call("POST", "/add", {})

    def test_what_is_no_front_door(self) -> None:
        with self.assertRaisesRegex(RemoteError, "is that a front door"):
            self.remote.call("GET", "/page")

    def test_a_stream(self) -> None:
        self.assertEqual(list(self.remote.follow("/stream")), [{"id": 1}, {"id": 2}])
        with self.assertRaises(RemoteError):
            list(self.remote.follow("/page"))

    def test_nobody_there(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            remote = Remote("127.0.0.1", free.getsockname()[1])
            with self.assertRaisesRegex(RemoteError, "no answer"):
                remote.call("GET", "/rep")
            with self.assertRaisesRegex(RemoteError, "no answer"):
                list(remote.follow("/stream"))

    def test_a_bad_url(self) -> None:
        for url in ("ftp://x", "http://", "https://x:1", "host:x", "http://[::1", "http://h:99999"):
            with self.assertRaises(RemoteError):
                Remote.find(Path(), url, "")

    def test_found_by_its_state_directory(self) -> None:
        (self.directory / "run").mkdir()
        (self.directory / "ports.json").write_text(json.dumps({"main": 1, "admin": self.port}))
        (self.directory / "run" / "settings.json").write_text(json.dumps({"bind": "0.0.0.0", "admin_token": "t"}))
        self.assertEqual(Remote.find(self.directory, None, ""), Remote("127.0.0.1", self.port, "t"))

    def test_the_state_directory_that_env_names(self) -> None:
        here = Path.cwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.directory)
        self.assertEqual(state_dir_of_env_file(), Path("var"))
        Path(".env").write_text("CAROUSEL_STATE_DIR=/srv/carousel\n")
        self.assertEqual(state_dir_of_env_file(), Path("/srv/carousel"))

    def test_nothing_runs_there(self) -> None:
        with self.assertRaisesRegex(RemoteError, "no system runs in"):
            Remote.find(self.directory, None, "")
        with self.assertRaisesRegex(RemoteError, "no system runs in"):
            tell_supervisor(self.directory, {"op": "list"})
