"""HTTP/1.1 message heads, read strictly and fast (RFC 9112), without I/O.

The problem: a front door that reads a message's end elsewhere than the peer behind it lets one client write
another's request (smuggling). So a head is taken only if every reader must read it alike; anything else is
refused, not repaired.

How: one compiled expression with possessive quantifiers proves the whole head in one pass and cannot
backtrack; a second one picks only the lines that decide framing and hops (`_REQUEST_FIELDS`,
`_RESPONSE_FIELDS`). The header lines stay the bytes that came, to be forwarded as they are: no list of
headers is built, `get` scans when asked.

What holds for every head returned here:
- names are tokens directly followed by a colon; no folded line, no bare CR or LF, no control character but
  TAB;
- at most one Content-Length, of digits only, never together with Transfer-Encoding, which is exactly
  `chunked` and 1.1; no TAB beside these or Host, which nginx takes for a part of the value;
- a request's target is in origin form or `*`; Host is single, well-formed and, in 1.1, there;
- no two names of a request differ only in `-` and `_`, which CGI and WSGI read as one.

The road not taken: llhttp (httptools) calls Python back for each header, which costs more than both
expressions, and builds what a proxy throws away. `tests/unit/wire/test_http1_differential.py` holds us to
h11's reading.
"""

import functools
import re
from collections.abc import Callable, Collection
from typing import Final

MAX_LINE: Final = 8 * 1024
"""The longest request line, bytes: nginx's large_client_header_buffers."""
MAX_HEAD: Final = 32 * 1024
"""The longest head with its blank line, bytes: nginx's four buffers of 8 KiB."""
MAX_FIELDS: Final = 100
"""The most header lines: Apache's LimitRequestFields."""
MAX_LENGTH_DIGITS: Final = 18
"""Digits of a Content-Length: below 2**63, so no peer's integer overflows."""

HOP_BY_HOP: Final[frozenset[bytes]] = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade"))
"""Lines that concern one connection only. Not Transfer-Encoding: bodies pass in their framing."""
NEVER_DROPPED: Final[frozenset[bytes]] = frozenset(
    (
        *(b"content-length", b"transfer-encoding", b"host"),
        *(b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"via", b"x-request-id"),
    )
)
"""Lines that `Connection: <name>` can't take away: without the first three the next peer would find another end,
and the others are a proxy's own, by which it says who asks (Apache's CVE-2022-31813)."""
FORWARDED_NAMES: Final = rb"forwarded|x[-_](?:forwarded[-_][^:]++|real[-_]ip)"
"""Matches the lower-case names by which proxies say for whom they ask; with `_` too, which CGI and WSGI read alike."""


class HttpError(Exception):
    """The peer broke the protocol: answer `status` and `reason` (502: an upstream's fault)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class _Head:
    """What requests and responses share. `connection`: the lower-case options of all Connection lines. `has_id`: an
    X-Request-Id came."""

    __slots__ = ("chunked", "connection", "content_length", "has_id", "hop", "keep_alive", "lines", "minor", "upgrade")

    def __init__(self, minor: int, lines: bytes) -> None:
        self.minor = minor
        self.lines = lines
        self.content_length: int | None = None
        self.chunked = False
        self.keep_alive = minor == 1
        self.upgrade: bytes | None = None
        self.has_id = False
        self.hop = False
        self.connection: tuple[bytes, ...] = ()

    def get(self, name: bytes) -> bytes | None:
        """The first value of the header `name` (any case), stripped of white space; None if it is absent."""
        at = (b"\n" + self.lines.lower()).find(b"\n" + name.lower() + b":")
        if at < 0:
            return None
        return self.lines[at + len(name) + 1 : self.lines.index(b"\r\n", at)].strip(b" \t")


class RequestHead(_Head):
    """A request's head. `target` is in origin form or `*`; `lines` are the raw header lines with their CRLFs.

    `host` and `upgrade` are in lower case. `hop` says that `lines` holds what `forwardable` must take out,
    `forwarded` that a name of them is one of FORWARDED_NAMES.
    """

    __slots__ = ("expect_continue", "forwarded", "host", "method", "target")

    def __init__(self, method: bytes, target: bytes, minor: int, lines: bytes) -> None:
        super().__init__(minor, lines)
        self.method = method
        self.target = target
        self.host: bytes | None = None
        self.expect_continue = False
        self.forwarded = False


class ResponseHead(_Head):
    """A response's head. Fields as in RequestHead; `status` is 100 to 999. `has_date`: a Date came."""

    __slots__ = ("has_date", "reason", "status")

    def __init__(self, status: int, reason: bytes, minor: int, lines: bytes) -> None:
        super().__init__(minor, lines)
        self.status = status
        self.reason = reason
        self.has_date = False


def parse_request(buffer: bytes | bytearray, start: int = 0) -> tuple[RequestHead, int] | None:
    """The request head at `start` and the offset just behind it; None while it is incomplete.

    Raises HttpError: 400 malformed, 414 target too long, 431 head too large, 501 a coding or method that
    nobody here speaks, 505 another version. Source: RFC 9112, sections 2 to 7.
    """
    match = _REQUEST.match(buffer, start)
    if match is None:
        return _explain_request(buffer, start)
    method, target, minor, lines = match.groups()
    _check_size(match.end() - start, match.start(4) - start, lines)
    head = RequestHead(method, target, 1 if minor == b"1" else 0, lines)
    for name, value in _REQUEST_NOTABLE.findall(b"\n" + lines.lower()):
        _REQUEST_FIELDS.get(name, _forwarded)(head, value)
    _settle(head, 400)
    if _UNDERSCORE.search(lines):
        _check_underscored(lines)
    if head.host is None and head.minor:
        raise HttpError(400, "Host is missing")
    if target[0] != 0x2F or method == b"CONNECT":
        head.target = _origin_form(head)
    return head, match.end()


def parse_response(buffer: bytes | bytearray, start: int = 0) -> tuple[ResponseHead, int] | None:
    """The response head at `start` and the offset just behind it; None while it is incomplete.

    Raises HttpError(502): whatever is wrong, it is the upstream's fault.
    """
    match = _RESPONSE.match(buffer, start)
    if match is None:
        return _explain_response(buffer, start)
    minor, status, reason, lines = match.groups()
    try:
        _check_size(match.end() - start, match.start(4) - start, lines)
        head = ResponseHead(int(status), reason or b"", 1 if minor == b"1" else 0, lines)
        for name, value in _RESPONSE_NOTABLE.findall(b"\n" + lines.lower()):
            _RESPONSE_FIELDS[name](head, value)
        _settle(head, 502)
    except HttpError as error:
        raise HttpError(502, f"bad response: {error.reason}") from None
    if (head.status < 200 or head.status == 204) and (head.chunked or head.content_length):
        raise HttpError(502, f"bad response: a {head.status} with a body")
    if head.chunked and head.status == 304:  # without a body (RFC 9112, 6.1); Python's http.client waits for chunks
        head.chunked = False
        head.lines = forwardable(lines, keep=HOP_BY_HOP, drop=_CHUNKED_LINES)
    return head, match.end()


def forwardable(lines: bytes, keep: frozenset[bytes] = frozenset(), drop: frozenset[bytes] = frozenset()) -> bytes:
    """`lines` of a parsed head without one hop's: HOP_BY_HOP and what Connection names (RFC 9110, 7.6.1).

    `keep` (lower case) are spared; `drop` (lower case) go too, also when spelt with `_` for `-`, which CGI
    and WSGI can't tell apart. NEVER_DROPPED stay whatever Connection says. Both sets should be constants:
    the expression for each pair is kept.
    """
    framed = b"\n" + lines
    left = _remover(keep, drop).sub(b"", framed)
    if left is framed:
        return lines
    named = _named_by_connection(framed.lower()) - keep
    return _without(left[1:], named) if named else left[1:]


def _named_by_connection(framed: bytes) -> set[bytes]:
    options = {option for value in _CONNECTION.findall(framed) for option in _options(value)}
    return options - _HARMLESS_OPTIONS - NEVER_DROPPED


def _without(lines: bytes, names: Collection[bytes]) -> bytes:
    return b"".join(line for line in lines.splitlines(True) if line[: line.index(b":")].lower() not in names)


@functools.lru_cache(maxsize=32)
def _remover(keep: frozenset[bytes], drop: frozenset[bytes]) -> re.Pattern[bytes]:
    """Matches each line to take out, from the LF before it to its CR, in lines behind an LF."""
    names = [re.escape(name) for name in HOP_BY_HOP - keep]
    names += [rb"[-_]".join(map(re.escape, name.split(b"-"))) for name in drop]
    return re.compile(rb"\n(?i:" + b"|".join(sorted(names)) + rb"):[^\n]*+(?=\n)")


def _options(value: bytes) -> tuple[bytes, ...]:
    return tuple([option.strip(b" \t") for option in value.split(b",")])


# --- what each notable line says ------------------------------------------------------------------


def _content_length(head: _Head, value: bytes) -> None:
    value = value.rstrip(b" ")
    if head.content_length is not None:
        raise HttpError(400, "Content-Length is repeated")
    if not value.isdigit() or len(value) > MAX_LENGTH_DIGITS:
        raise HttpError(400, "Content-Length is not a length")
    head.content_length = int(value)


def _transfer_encoding(head: _Head, value: bytes) -> None:
    if head.chunked:
        raise HttpError(400, "Transfer-Encoding is repeated")
    if value != b"chunked":  # without a space behind it: Python's http.client would not know it for chunked
        raise HttpError(501, "Transfer-Encoding is not chunked")
    head.chunked = True


def _framing_twin(head: _Head, value: bytes) -> None:
    raise HttpError(400, "a framing header is spelt with an underscore")


def _connection(head: _Head, value: bytes) -> None:
    head.hop = True
    head.connection += _options(value)


def _upgrade(head: _Head, value: bytes) -> None:
    head.hop = True
    head.upgrade = value.rstrip(b" \t")


def _hop(head: _Head, value: bytes) -> None:
    head.hop = True


def _identified(head: _Head, value: bytes) -> None:
    head.has_id = True


def _dated(head: ResponseHead, value: bytes) -> None:
    head.has_date = True


def _host(head: RequestHead, value: bytes) -> None:
    if head.host is not None:
        raise HttpError(400, "Host is repeated")
    match = _HOST.fullmatch(value)
    if match is None:
        raise HttpError(400, "Host is malformed")
    head.host = match.group(1)


def _forwarded(head: RequestHead, value: bytes) -> None:
    head.forwarded = True


def _expect(head: RequestHead, value: bytes) -> None:
    head.hop = True  # met or passed over here, as by nginx: replicas differ in what they do about the rest
    head.expect_continue |= head.minor == 1 and value.rstrip(b" ") == b"100-continue"


def _settle(head: _Head, status: int) -> None:
    """Decide what only all lines together decide."""
    if head.chunked and (head.content_length is not None or not head.minor):
        raise HttpError(status, "Transfer-Encoding with Content-Length or HTTP/1.0")
    if head.hop:
        options = head.connection
        head.keep_alive = b"close" not in options and (head.minor == 1 or b"keep-alive" in options)
        if not head.minor or b"upgrade" not in options:
            head.upgrade = None


def _origin_form(head: RequestHead) -> bytes:
    if head.method == b"CONNECT":
        raise HttpError(501, "CONNECT is not spoken here")
    if head.target == b"*" and head.method == b"OPTIONS":
        return b"*"
    match = _ABSOLUTE.fullmatch(head.target)
    if match is None:
        raise HttpError(400, "the target is neither a path nor a URL of ours")
    authority, path = match.groups()
    if authority.lower() != head.host:
        raise HttpError(400, "the target's authority is not Host")
    if not path and head.method == b"OPTIONS":
        return b"*"
    return path if path.startswith(b"/") else b"/" + path


def _check_underscored(lines: bytes) -> None:
    """Refuse names that differ only in `-` and `_`: who reads them as one believes either.

    Not those by which proxies say who asks: the front door takes them out, or writes them itself, however spelt.
    """
    framed = b"\n" + lines.lower()
    spelt: dict[bytes, bytes] = {}
    for name in _UNDERSCORED.findall(framed):
        dashed = name.replace(b"_", b"-")
        doubled = spelt.setdefault(dashed, name) != name or b"\n" + dashed + b":" in framed
        if dashed in _ADDED_LATER or (doubled and not dashed.startswith(_PROXIES_OWN)):
            raise HttpError(400, "a header is spelt both with - and with _")


# --- why a head is not one (off the fast path) ----------------------------------------------------


def _check_size(size: int, line_size: int, lines: bytes) -> None:
    if size > _SMALL_HEAD:
        _check_large(size, line_size, lines)


def _check_large(size: int, line_size: int, lines: bytes) -> None:
    if line_size > MAX_LINE:
        raise HttpError(414, "the request line is too long")
    if size > MAX_HEAD or lines.count(b"\n") > MAX_FIELDS:
        raise HttpError(431, "the head is too large")


def _explain_request(buffer: bytes | bytearray, start: int) -> tuple[RequestHead, int] | None:
    if buffer.startswith(b"\r\n", start):  # one empty line before a request is let pass (RFC 9112, 2.2)
        if buffer.startswith(b"\r\n", start + 2):
            raise HttpError(400, "empty lines before the request")
        return parse_request(buffer, start + 2) if len(buffer) > start + 3 else None
    _check_partial(buffer, start)
    line_end = buffer.find(b"\r\n", start)
    if (line_end if line_end >= 0 else len(buffer)) - start > MAX_LINE:
        raise HttpError(414, "the request line is too long")
    if line_end >= 0 and _REQUEST_LINE.match(buffer, start, line_end) is None:
        raise _wrong_request_line(buffer, start, line_end)
    _check_incomplete(buffer, start, "malformed header")
    return None


def _wrong_request_line(buffer: bytes | bytearray, start: int, end: int) -> HttpError:
    if _OTHER_VERSION.fullmatch(buffer, start, end):
        return HttpError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    return HttpError(400, "malformed request line")


def _explain_response(buffer: bytes | bytearray, start: int) -> tuple[ResponseHead, int] | None:
    try:
        _check_partial(buffer, start)
        line_end = buffer.find(b"\r\n", start)
        if line_end >= 0 and _STATUS_LINE.match(buffer, start, line_end) is None:
            raise HttpError(400, "malformed status line")
        _check_incomplete(buffer, start, "malformed header")
    except HttpError as error:
        raise HttpError(502, f"bad response: {error.reason}") from None
    return None


def _check_partial(buffer: bytes | bytearray, start: int) -> None:
    """Refuse at once what no further byte can mend, so that a TLS hello or a bare LF isn't waited upon."""
    end = buffer.find(b"\r\n\r\n", start)
    if _IMPOSSIBLE.search(buffer, start, len(buffer) if end < 0 else end + 4):
        raise HttpError(400, "a control character or a bare CR or LF in the head")


def _check_incomplete(buffer: bytes | bytearray, start: int, fault: str) -> None:
    """Pass if more bytes may complete this head; raise if its blank line is there, or it is too large."""
    if len(buffer) - start > MAX_HEAD and buffer.find(b"\r\n\r\n", start, start + MAX_HEAD) < 0:
        raise HttpError(431, "the head is too large")
    if buffer.find(b"\r\n\r\n", start) >= 0:
        raise HttpError(400, fault)


# --- the tables and expressions -------------------------------------------------------------------

_COMMON_FIELDS: Final[dict[bytes, Callable[[_Head, bytes], None]]] = {
    b"content-length": _content_length,
    b"content_length": _framing_twin,
    b"transfer-encoding": _transfer_encoding,
    b"transfer_encoding": _framing_twin,
    b"connection": _connection,
    b"upgrade": _upgrade,
    b"keep-alive": _hop,
    b"proxy-connection": _hop,
    b"te": _hop,
    b"x-request-id": _identified,
}
_REQUEST_FIELDS: Final[dict[bytes, Callable[[RequestHead, bytes], None]]] = {
    b"host": _host,
    b"expect": _expect,
    **_COMMON_FIELDS,
}
_RESPONSE_FIELDS: Final[dict[bytes, Callable[[ResponseHead, bytes], None]]] = {b"date": _dated, **_COMMON_FIELDS}


def _notable(*names: bytes) -> re.Pattern[bytes]:
    """Finds (name, value) in lower-case lines behind an LF; values keep TABs and their trailing spaces. `names` are
    expressions."""
    return re.compile(rb"\n(" + b"|".join(names) + rb"): *+([^\r]*+)")


_TOKEN_CHARACTER: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TOKEN: Final = _TOKEN_CHARACTER + rb"++"
_LINES: Final = rb"((?:" + _TOKEN + rb":[\t -~\x80-\xff]*+\r\n)*+)\r\n"
_REQUEST_START: Final = rb"(" + _TOKEN + rb") ([!\"$-~]++) HTTP/1\.([01])"  # no # in a target
_STATUS_START: Final = rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: ([\t -~\x80-\xff]*+))?+"

_REQUEST: Final = re.compile(_REQUEST_START + rb"\r\n" + _LINES)
_REQUEST_LINE: Final = re.compile(_REQUEST_START + rb"\Z")
_OTHER_VERSION: Final = re.compile(_TOKEN + rb" [!\"$-~]++ HTTP/[0-9]\.[0-9]")
_RESPONSE: Final = re.compile(_STATUS_START + rb"\r\n" + _LINES)
_STATUS_LINE: Final = re.compile(_STATUS_START + rb"\Z")
_IMPOSSIBLE: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")
_REQUEST_NOTABLE: Final = _notable(*map(re.escape, _REQUEST_FIELDS), FORWARDED_NAMES)
_RESPONSE_NOTABLE: Final = _notable(*map(re.escape, _RESPONSE_FIELDS))
_HARMLESS_OPTIONS: Final[frozenset[bytes]] = HOP_BY_HOP | {b"close", b""}
_SMALL_HEAD: Final = 4 * MAX_FIELDS  # a line is at least `a:` and CRLF, so a smaller head breaks no limit
_CHUNKED_LINES: Final = frozenset((b"transfer-encoding", b"trailer"))
_ADDED_LATER: Final = frozenset((b"x-request-id",))  # what every request leaves us with
_PROXIES_OWN: Final = (b"x-forwarded-", b"x-real-ip")
_UNDERSCORE: Final = re.compile(b"_" + _TOKEN_CHARACTER + rb"*+:")
_UNDERSCORED: Final = re.compile(rb"\n([^:_\n]*+_[^:\n]*+):")
_CONNECTION: Final = re.compile(rb"\nconnection:([^\r]*+)")
_HOST: Final = re.compile(rb"((?:\[[0-9a-f:.]++\]|[a-z0-9._~%-]*+)(?::[0-9]{0,5}+)?+) *+")
_ABSOLUTE: Final = re.compile(rb"[Hh][Tt][Tt][Pp]://([^/?]++)(.*+)")
