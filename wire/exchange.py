"""What a handler of `wire.aio.service` sees and gives: requests, answers, and an answer's bytes. Pure."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from wire.http1 import RequestHead

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

Headers = tuple[tuple[str, str], ...]

REASONS: Final = {
    100: b"Continue",
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    204: b"No Content",
    304: b"Not Modified",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    411: b"Length Required",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}
"""RFC 9110, section 15, and 6585: our own codes. Any other code goes out with an empty phrase."""


class Request:
    """One request, whole. `path` and `query` are as sent, undecoded; `client` is "" on a Unix socket."""

    __slots__ = ("_head", "body", "client", "method", "path", "query")

    def __init__(self, head: RequestHead, body: bytes, client: str) -> None:
        path, _, query = head.target.decode("ascii").partition("?")
        self.method = head.method.decode("ascii")
        self.path = path
        self.query = query
        self.body = body
        self.client = client
        self._head = head

    def get(self, name: str) -> str | None:
        """The first value of the header `name`, any case; None if there is none."""
        value = self._head.get(name.encode("ascii"))
        return None if value is None else value.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. `content_type` "" sends none. `headers`: further lines, with no CR or LF (else 500)."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that comes piece by piece. `endless`: nobody waits for its end, so it is cut when its client
    ends its side and when the service drains.

    `chunks` is closed (`aclose`) when it is exhausted, when the client goes away, and when the service cuts
    it.
    """

    status: int
    content_type: str
    chunks: AsyncIterator[bytes]
    headers: Headers = ()
    endless: bool = False


Answer = Response | Stream
Handler = Callable[[Request], Answer | Awaitable[Answer]]
"""What it returns at once is written at once; what it awaits is cancelled if the connection is lost."""


def json_response(status: int, obj: Any, headers: Headers = ()) -> Response:
    """`obj` as JSON."""
    return Response(status, json.dumps(obj).encode(), JSON, headers)


def error_response(status: int, reason: str, headers: Headers = ()) -> Response:
    """The shape in which every error of Carousel is told."""
    return json_response(status, {"message": f"<Error> {reason}", "status": "failure"}, headers)


def encode_response(response: Response, method: bytes, minor: int, keep_alive: bool, now: float) -> bytes:
    """The whole answer to a `method` request of HTTP/1.`minor`, at Unix time `now` (seconds)."""
    status, body = response.status, response.body
    head = _head(status, response.content_type if body else "", response.headers, minor, keep_alive, now)
    if status == 204 or status == 304 or status < 200:
        return head + b"\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return head + length if method == b"HEAD" else head + length + body


def encode_stream_head(stream: Stream, minor: int, keep_alive: bool, now: float) -> bytes:
    """A stream's head: chunked in 1.1, ended by the connection's end in 1.0 (`keep_alive` is then False)."""
    head = _head(stream.status, stream.content_type, stream.headers, minor, keep_alive, now)
    return head + (b"Transfer-Encoding: chunked\r\n\r\n" if minor else b"\r\n")


def _head(status: int, content_type: str, headers: Headers, minor: int, keep_alive: bool, now: float) -> bytes:
    # Always 1.1 in the status line: it says what we can, not what the peer asked in (RFC 9110, 2.5).
    lines = b"HTTP/1.1 %d %b\r\nDate: %b\r\n" % (status, REASONS.get(status, b""), http_date(now))
    if content_type:
        lines += b"Content-Type: %b\r\n" % content_type.encode("latin-1")
    for name, value in headers:
        lines += _line(name, value)
    if not keep_alive:
        lines += b"Connection: close\r\n"
    elif not minor:
        lines += b"Connection: keep-alive\r\n"
    return lines


def _line(name: str, value: str) -> bytes:
    line = f"{name}: {value}".encode("latin-1")
    if b"\r" in line or b"\n" in line:
        raise ValueError(f"a line break in the answer's header {name!r}")
    return line + b"\r\n"


class _Date:
    """The Date header's value, made anew only when its second has passed."""

    second = -1
    text = b""


def http_date(now: float) -> bytes:
    """The value of Date at Unix time `now` (RFC 9110, 5.6.7)."""
    second = int(now)
    if second != _Date.second:
        _Date.second = second
        _Date.text = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second)).encode("ascii")
    return _Date.text
