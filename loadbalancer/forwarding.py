"""The heads that a proxy sends on: made from the ones that came, their lines unchanged wherever they may be.

To the replica goes the request line in HTTP/1.1, the client's lines without those of one hop, and an
X-Request-Id; who asks is already said in the lines (forwarded.py). To the client goes the answer's head, with Via,
Date, that X-Request-Id and, if its connection ends here, `Connection: close`. Answers of our own (`failure`) have
the spec's JSON body.
"""

import json
import re
from dataclasses import dataclass

from loadbalancer.forwarded import via_line
from loadbalancer.upgrades import passable, upgrade_lines
from wire.http1 import HOP_BY_HOP, RequestHead, ResponseHead, forwardable

REQUEST_ID = b"x-request-id"
CLOSE_LINE = b"Connection: close\r\n"
KEEP_LINE = b"Connection: keep-alive\r\n"
FRAMING = frozenset((b"transfer-encoding", b"trailer"))
"""Lines that go when a chunked body is unwrapped for a client of HTTP/1.0."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

UPGRADE_REQUIRED = 426

ID_LIMIT_BYTES = 128
"""The longest X-Request-Id that is kept; Envoy's and Heroku's are shorter, and it goes into every log
line."""
_ID_LINE = frozenset((REQUEST_ID,))
_EXPECT = frozenset((b"expect",))
_ID = re.compile(rb"[!-~]{1,%d}" % ID_LIMIT_BYTES)

_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    403: b"Forbidden",
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
RETRY_LATER = frozenset((429, 503))
"""Answers that say when to come back (RFC 6585, 4; RFC 9110, 10.2.3)."""


def settle_id(head: RequestHead, fresh: bytes) -> tuple[bytes, bool]:
    """(the request's id, whether the head's lines hold it already).

    The client's is kept if it is visible ASCII of at most ID_LIMIT_BYTES; another is taken out of the lines
    for `fresh`.
    """
    if not head.has_id:
        return fresh, False
    value = head.get(REQUEST_ID)
    if value is not None and _ID.fullmatch(value):
        return value, True
    head.lines = forwardable(head.lines, keep=HOP_BY_HOP, drop=_ID_LINE)
    head.has_id = False
    return fresh, False


def request_to_replica(head: RequestHead, request_id: bytes, given: bool, host: bytes) -> bytes:
    """The head for a replica. `given` says that the lines hold `request_id` already; `host` serves HTTP/1.0
    without Host."""
    lines = head.lines
    if head.hop:
        lines = forwardable(lines, drop=_EXPECT)
    if head.host is None:
        lines = b"Host: " + host + b"\r\n" + lines
    if given:
        return b"".join((head.method, b" ", head.target, b" HTTP/1.1\r\n", lines, b"\r\n"))
    id_line = (b"X-Request-Id: ", request_id, b"\r\n\r\n")
    return b"".join((head.method, b" ", head.target, b" HTTP/1.1\r\n", lines, *id_line))


_NOT_FOR_CONTROL = frozenset((b"x-real-ip", b"x-peer-ip", REQUEST_ID, b"expect", b"x-accel-redirect"))
_NOT_FOR_GET = _NOT_FOR_CONTROL | {b"content-length", b"transfer-encoding", b"content-type", b"trailer"}


def request_to_control(head: RequestHead, request_id: bytes, client: bytes, peer: bytes) -> bytes:
    """The head for control, which believes X-Real-IP, the client's address, and X-Peer-IP, its connection's: so both
    are ours alone. The connection serves this request only."""
    lines = forwardable(head.lines, drop=_NOT_FOR_CONTROL)
    return _control_head(head.method, head.target, lines, head.host, request_id, client, peer)


def redirected(head: RequestHead, target: bytes, request_id: bytes, client: bytes, peer: bytes) -> bytes:
    """The GET that fetches an `X-Accel-Redirect` for the client's request `head`: its lines, without those of
    a body."""
    lines = forwardable(head.lines, drop=_NOT_FOR_GET)
    return _control_head(b"GET", target, lines, head.host, request_id, client, peer)


def _control_head(
    method: bytes, target: bytes, lines: bytes, host: bytes | None, request_id: bytes, client: bytes, peer: bytes
) -> bytes:
    host_line = b"Host: localhost\r\n" if host is None else b""
    who = b"X-Real-IP: %b\r\nX-Peer-IP: %b\r\n" % (client, peer)
    ours = b"X-Request-Id: %b\r\n%b%b\r\n" % (request_id, who, CLOSE_LINE)
    return b"".join((method, b" ", target, b" HTTP/1.1\r\n", host_line, lines, ours))


@dataclass(frozen=True, slots=True)
class Answer:
    """A replica's head, and what of it goes to clients: all but the lines of `lead_end`. Kept while heads
    repeat.

    `body_bytes`: the size of the body behind such a head, whoever asked by whatever but HEAD; 0 if that can't be said.
    """

    head: ResponseHead
    lead: bytes
    code_class: int
    body_bytes: int


NO_NAMES: frozenset[bytes] = frozenset()


def answer_for_client(head: ResponseHead, drop: frozenset[bytes] = NO_NAMES) -> Answer:
    """Take out the lines of one hop, and those that `drop` names (lower case); append Via."""
    lead = _status_and_lines(head, drop) + via_line(head.minor)
    own_size = head.status not in (204, 304, 404)  # a 404 may be given another answer in its place
    code_class = head.status // 100 if head.status < 600 else 0
    return Answer(head, lead, code_class, (head.content_length or 0) if own_size else 0)


def interim_for_client(head: ResponseHead) -> bytes:
    """A 1xx as it goes to the client, whole: without the lines of one hop."""
    return _status_and_lines(head, NO_NAMES) + b"\r\n"


def _status_and_lines(head: ResponseHead, drop: frozenset[bytes]) -> bytes:
    """A 426 says itself what to upgrade to (RFC 9110, 15.5.22), so of its Upgrade line is kept what passes here."""
    lines = forwardable(head.lines, drop=drop) if drop or head.hop else head.lines
    if head.status == UPGRADE_REQUIRED and head.upgrade and (names := passable(head.upgrade)):
        lines += upgrade_lines(names)
    return b"HTTP/1.1 %d %b\r\n%b" % (head.status, head.reason, lines)


def lead_end(answer: Answer, request_id: bytes, ending: bytes, date_line: bytes) -> bytes:
    """What ends the head: Date and the request's id, unless the replica gave them (RFC 9110, 6.6.1), and `ending`, a
    Connection line or empty."""
    if not answer.head.has_date:
        ending = date_line + ending
    if answer.head.has_id:
        return ending + b"\r\n"
    return b"X-Request-Id: %b\r\n%b\r\n" % (request_id, ending)


def failure(
    status: int, message: str, request_id: bytes, close: bool, retry_after_s: int = 1, lines: bytes = b""
) -> bytes:
    """An answer of our own: `{"message": "<Error> …", "status": "failure"}`, whole, head and body.

    `retry_after_s` is said with the codes of RETRY_LATER only, and always.
    """
    body = json.dumps({"message": f"<Error> {message}", "status": "failure"}).encode()
    if status in RETRY_LATER:
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
