r"""The access log's lines: which answers get one, and how it is written.

The problem: a line is made of what strangers send, and is read by programs that trust its shape. What holds for every
line, whatever came:
- it is printable ASCII and ends with its only newline, so nobody writes a second one, or to a terminal;
- JSON reads back as one object with these fields; in the common format a quoted field ends at its own quote;
- it is at most LINE_BYTES long, so that a write of whole lines is never torn, into a pipe neither (POSIX's PIPE_BUF):
  of a longer one, the fields that the client chose are clipped, and end in `...`.

The query is kept, as nginx and Apache keep it; Authorization, Cookie and all other lines of the head never come here.

JSON escapes as JSON does; bytes that are no UTF-8 become `\xHH` in it. `common` is NCSA's common format with referer,
user agent and the seconds taken behind it (nginx's `combined` and `$request_time`), and escapes as nginx does: `\xHH`.
Bytes sent are counted with heads (nginx's `$bytes_sent`). Times are when the request's head was whole (Apache's %t).

A share of the answers is chosen by a hash of the request's id, so that every hop that knows the id, and has the same
share, logs the same requests. Failures are always logged: 5xx, answers that were cut, and clients that left before
theirs was whole; whoever left before it began has nginx's 499. A 429 is none: a flood of them is the limiter's work,
and no reason to write a flood of lines.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from zlib import crc32

from wire.http1 import RequestHead

LINE_BYTES = 4096
"""The longest line with its newline: PIPE_BUF on Linux."""
ROOMS = (1 << 20, 1024, 512, 64)
"""What a field may hold, in bytes as they came: the first that gives a line of LINE_BYTES counts. With the last, all
five fields fit though each byte becomes six."""
KEPT, KEPT_BYTES = 512, 1024
"""What the newest heads say is kept, for lines up to this size: clients repeat theirs, and it is half of the cost."""
CLIENT_GONE = 499
"""nginx's status for a client that left before its answer began; none was sent."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Entry = tuple[float, float, bytes, RequestHead | None, int, int, bytes, int, str, int, bool]
"""One answer: began_s, took_s, client's address, head, status, bytes sent, request id, node id, replica, tries, whole.

`began_s` is on the caller's clock. The head is None where it could not be read, the node id less than 0 where no
replica was asked. A plain tuple, because making one is all that a request pays for its line: a tenth of what a class
of ours would cost."""

Line = Callable[[Entry, float], bytes]

_HOSTILE = re.compile(rb"[^ !#-\[\]-~]")


def is_sampled(request_id: bytes, share: float) -> bool:
    """Whether an answer is among the share (0 to 1) that is logged."""
    return crc32(request_id) < share * (1 << 32)


def is_failure(status: int, whole: bool) -> bool:
    return status >= 500 or not whole


def json_line(entry: Entry, epoch_s: float) -> bytes:
    """One JSON object. `epoch_s` makes Unix time of the entry's clock."""
    return _fitting(_json, entry, epoch_s)


def common_line(entry: Entry, epoch_s: float) -> bytes:
    """NCSA's common format, extended. `epoch_s` makes Unix time of the entry's clock."""
    return _fitting(_common, entry, epoch_s)


FORMATS: dict[str, Line] = {"json": json_line, "common": common_line}


def _fitting(form: Callable[[Entry, float, int], bytes], entry: Entry, epoch_s: float) -> bytes:
    line = b""
    for room in ROOMS:
        line = form(entry, epoch_s, room)
        if len(line) <= LINE_BYTES:
            break
    return line


def _json(entry: Entry, epoch_s: float, room: int) -> bytes:
    began_s, took_s, client, head, status, sent_bytes, request_id, node_id, replica, tries, whole = entry
    at = began_s + epoch_s
    second = int(at)
    if head is None:
        asked = _NOTHING_ASKED
    else:
        said = _json_said if len(head.lines) <= KEPT_BYTES else _json_said.__wrapped__
        asked = f'"target":{_string(head.target, room)},{said(head.method, head.minor, head.lines, room)}'
    node = f'"node_id":{node_id},"replica":{quoted(replica)}' if node_id >= 0 else '"node_id":null,"replica":null'
    return (
        f'{{"time":"{_iso(second)}.{int((at - second) * 1000):03d}Z","client":{_string(client or None, room)},'
        f'{asked},"status":{status},"bytes_sent":{sent_bytes},"duration_ms":{took_s * 1000:.3f},'
        f'"request_id":{_string(request_id or None, ROOMS[0])},{node},"tries":{tries},'
        f'"whole":{"true" if whole else "false"}}}\n'
    ).replace("\x7f", "\\u007f").encode()  # fmt: skip


_NOTHING_ASKED = '"target":null,"method":null,"version":null,"host":null,"referer":null,"user_agent":null'


@lru_cache(maxsize=KEPT)
def _json_said(method: bytes, minor: int, lines: bytes, room: int) -> str:
    host, referer, agent = (_string(value, room) for value in _named(lines))
    version = f'"method":{_string(method, room)},"version":"HTTP/1.{minor}"'
    return f'{version},"host":{host},"referer":{referer},"user_agent":{agent}'


def _named(lines: bytes) -> tuple[bytes | None, bytes | None, bytes | None]:
    """(host, referer, user agent)"""
    head = RequestHead(b"", b"", 1, lines)
    return head.get(b"host"), head.get(b"referer"), head.get(b"user-agent")


def _string(value: bytes | None, room: int) -> str:
    if value is None:
        return "null"
    return quoted(_clipped(value, room).decode("utf-8", "backslashreplace"))


def _common(entry: Entry, epoch_s: float, room: int) -> bytes:
    began_s, took_s, client, head, status, sent_bytes, _, _, _, _, _ = entry
    if head is None:
        request, said = b"-", b'"-" "-"'
    else:
        request = b"%b %b HTTP/1.%d" % (_escaped(head.method, room), _escaped(head.target, room), head.minor)
        said = (_common_said if len(head.lines) <= KEPT_BYTES else _common_said.__wrapped__)(head.lines, room)
    return b'%b - - [%b] "%b" %d %d %b %.3f\n' % (
        _escaped(client or None, room).replace(b" ", b"\\x20"), _ncsa(int(began_s + epoch_s)), request,
        status, sent_bytes, said, took_s,
    )  # fmt: skip


@lru_cache(maxsize=KEPT)
def _common_said(lines: bytes, room: int) -> bytes:
    _, referer, agent = _named(lines)
    return b'"%b" "%b"' % (_escaped(referer, room), _escaped(agent, room))


def _escaped(value: bytes | None, room: int) -> bytes:
    if value is None:
        return b"-"
    clipped = _clipped(value, room)
    return _HOSTILE.sub(_hex, clipped) if _HOSTILE.search(clipped) else clipped


def _hex(match: re.Match[bytes]) -> bytes:
    return b"\\x%02X" % match[0][0]


def _clipped(value: bytes, room: int) -> bytes:
    return value if len(value) <= room else value[:room] + b"..."


@lru_cache(maxsize=8)
def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=8)
def _ncsa(second: int) -> bytes:
    at = datetime.fromtimestamp(second, UTC)  # not strftime's %b: that depends on the locale
    return f"{at.day:02d}/{MONTHS[at.month - 1]}/{at.year}:{at:%H:%M:%S} +0000".encode()
