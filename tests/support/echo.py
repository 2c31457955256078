"""A replica that tells each client what it got, on Python's own http.server: nobody's idea of ours is in it."""

import gzip
import hashlib
import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

GZIPPED = gzip.compress(b"hello " * 1000, mtime=0)
BIG = "b" * 7000


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024  # its own 5 would drop connections that a front door opens at once


class Echo:
    """A context manager; `port` is its own. Its paths: see Handler.PATHS; every other path echoes."""

    def __enter__(self) -> "Echo":
        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None: ...

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # the front door left
            self.close_connection = True

    def serve(self) -> None:
        body = self._body()
        answer = self.PATHS.get(self.path.partition("?")[0], Handler.echo)
        answer(self, body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = serve

    def echo(self, body: bytes) -> None:
        seen = {
            "method": self.command,
            "target": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "size": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        self.say(200, json.dumps(seen).encode(), ("Content-Type", "application/json"))

    def gzipped(self, _: bytes) -> None:
        self.say(200, GZIPPED, ("Content-Encoding", "gzip"), ("Content-Type", "text/plain"), ("ETag", '"abc"'))

    def redirect(self, _: bytes) -> None:
        self.say(302, b"", ("Location", "/elsewhere?x=1"))

    def cookies(self, _: bytes) -> None:
        self.say(200, b"ok", ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/"))

    def big_header(self, _: bytes) -> None:
        self.say(200, b"ok", ("X-Big", BIG))

    def chunked(self, _: bytes) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (b"hello ", b"chunked ", b"world") if self.command != "HEAD" else ():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n" if self.command != "HEAD" else b"")

    def nothing(self, _: bytes) -> None:
        self.send_response(204)
        self.end_headers()

    def until_closed(self, _: bytes) -> None:
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"to the end")

    PATHS: dict[str, Callable[["Handler", bytes], None]] = {  # noqa: RUF012
        "/gzip": gzipped,
        "/redirect": redirect,
        "/cookies": cookies,
        "/big-header": big_header,
        "/chunked": chunked,
        "/nothing": nothing,
        "/until-closed": until_closed,
    }

    def say(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.command != "HEAD" else b"")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline() != b"\r\n":
            pass
        return body
