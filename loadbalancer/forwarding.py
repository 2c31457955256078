"""The heads that a proxy sends on: made from the ones that came, their lines unchanged wherever they may be.

To the replica goes the request line in HTTP/1.1, the client's lines without those of one hop, and an
X-Request-Id. To the client goes the answer's head, with that X-Request-Id and, if its connection ends here,
`Connection: close`. Answers of our own (`failure`) have the spec's JSON body.
"""

import json
import re
from dataclasses import dataclass

from wire.http1 import HOP_BY_HOP, RequestHead, ResponseHead, forwardable

REQUEST_ID = b"x-request-id"
CLOSE_LINE = b"Connection: close\r\n"
KEEP_LINE = b"Connection: keep-alive\r\n"
FRAMING = frozenset((b"transfer-encoding", b"trailer"))
"""Lines that go when a chunked body is unwrapped for a client of HTTP/1.0."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

ID_LIMIT_BYTES = 128
"""The longest X-Request-Id that is kept; Envoy's and Heroku's are shorter, and it goes into every log
line."""
_ID_LINE = frozenset((REQUEST_ID,))
_EXPECT = frozenset((b"expect",))
_ID = re.compile(rb"[!-~]{1,%d}" % ID_LIMIT_BYTES)

_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    411: b"Length Required",
    413: b"Content Too Large",
    414: b"URI Too Long",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}


def settle_id(head: RequestHead, fresh: bytes) -> tuple[bytes, bool]:
    """(the request's id, whether the head's lines hold it already).

    The client's is kept if it is visible ASCII of at most ID_LIMIT_BYTES; another is taken out of the lines
    for `fresh`.
    """
    value = head.get(REQUEST_ID)
    if value is None:
        return fresh, False
    if _ID.fullmatch(value):
        return value, True
    head.lines = forwardable(head.lines, keep=HOP_BY_HOP, drop=_ID_LINE)
    return fresh, False


def request_to_replica(head: RequestHead, request_id: bytes, given: bool, host: bytes) -> bytes:
    """The head for a replica. `given` says that the lines hold `request_id` already; `host` serves HTTP/1.0
    without Host."""
    lines = head.lines
    if head.hop or head.expect_continue:
        lines = forwardable(lines, drop=_EXPECT)
    if head.host is None:
        lines = b"Host: " + host + b"\r\n" + lines
    if given:
        return b"".join((head.method, b" ", head.target, b" HTTP/1.1\r\n", lines, b"\r\n"))
    id_line = (b"X-Request-Id: ", request_id, b"\r\n\r\n")
    return b"".join((head.method, b" ", head.target, b" HTTP/1.1\r\n", lines, *id_line))


_NOT_FOR_CONTROL = frozenset((b"x-real-ip", REQUEST_ID, b"expect", b"x-accel-redirect"))
_NOT_FOR_GET = _NOT_FOR_CONTROL | {b"content-length", b"transfer-encoding", b"content-type", b"trailer"}


def request_to_control(head: RequestHead, request_id: bytes, client: bytes) -> bytes:
    """The head for control, which believes X-Real-IP: so it is the true peer's. The connection serves this
    request only."""
    lines = forwardable(head.lines, drop=_NOT_FOR_CONTROL)
    return _control_head(head.method, head.target, lines, head.host, request_id, client)


def redirected(head: RequestHead, target: bytes, request_id: bytes, client: bytes) -> bytes:
    """The GET that fetches an `X-Accel-Redirect` for the client's request `head`: its lines, without those of
    a body."""
    lines = forwardable(head.lines, drop=_NOT_FOR_GET)
    return _control_head(b"GET", target, lines, head.host, request_id, client)


def _control_head(
    method: bytes, target: bytes, lines: bytes, host: bytes | None, request_id: bytes, client: bytes
) -> bytes:
    host_line = b"Host: localhost\r\n" if host is None else b""
    ours = b"X-Request-Id: %b\r\nX-Real-IP: %b\r\n%b\r\n" % (request_id, client, CLOSE_LINE)
    return b"".join((method, b" ", target, b" HTTP/1.1\r\n", host_line, lines, ours))


@dataclass(frozen=True, slots=True)
class Answer:
    """A replica's head, and what of it goes to clients: all but the lines of `lead_end`. Kept while heads
    repeat."""

    head: ResponseHead
    lead: bytes
    has_id: bool


NO_NAMES: frozenset[bytes] = frozenset()


def answer_for_client(head: ResponseHead, drop: frozenset[bytes] = NO_NAMES) -> Answer:
    """Take out the lines of one hop, and those that `drop` names (lower case)."""
    lines = forwardable(head.lines, drop=drop) if drop or head.hop else head.lines
    lead = b"HTTP/1.1 %d %b\r\n%b" % (head.status, head.reason, lines)
    return Answer(head, lead, head.get(REQUEST_ID) is not None)


def lead_end(answer: Answer, request_id: bytes, ending: bytes) -> bytes:
    """What ends the head: the request's id, unless the replica gave one, and `ending`, a Connection line or
    empty."""
    if answer.has_id:
        return ending + b"\r\n"
    return b"X-Request-Id: %b\r\n%b\r\n" % (request_id, ending)


def failure(
    status: int, message: str, request_id: bytes, close: bool, retry_after_s: int = 0, lines: bytes = b""
) -> bytes:
    """An answer of our own: `{"message": "<Error> …", "status": "failure"}`, whole, head and body."""
    body = json.dumps({"message": f"<Error> {message}", "status": "failure"}).encode()
    if retry_after_s:
        lines += b"Retry-After: %d\r\n" % retry_after_s
    return own_answer(status, body, request_id, close, lines)


def own_answer(status: int, body: bytes, request_id: bytes, close: bool, lines: bytes = b"") -> bytes:
    """An answer of our own with a JSON body, whole; `lines` are further header lines with their CRLF."""
    return b"".join(
        (
            b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\n" % (status, _REASONS[status]),
            b"Content-Length: %d\r\n" % len(body),
            b"X-Request-Id: %b\r\n" % request_id if request_id else b"",
            lines,
            CLOSE_LINE if close else b"",
            b"\r\n",
            body,
        )
    )


def unknown_path(path: bytes) -> str:
    """The spec's text for a path that the replicas do not know; the path is raw, bytes beyond ASCII are kept
    as Latin-1."""
    return f"'{path.decode('latin-1')}' endpoint does not exist in server replicas"
