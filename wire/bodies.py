"""HTTP/1.1 message bodies: where a body ends, found while its bytes pass by (RFC 9112, sections 6 and 7).

The problem: a proxy hands a body on in its own framing, without copying it, and must know to the byte where
it ends. A `Body` is told what came and says how much of it is the body's; the bytes themselves it leaves
alone.

What holds: the framing is validated as strictly as heads are, because it is forwarded as it came. Chunk
sizes are 1 to 15 hexadecimal digits directly followed by CRLF (no extension, no padding: peers disagree on
them and nobody uses them), trailers are well-formed lines, and none of them may override what the head
decided. A line that is not whole yet is held to the same: its bytes pass on before its end comes, and a peer that
ends lines at a CR would act on them.
"""

import re
from typing import Final, Protocol

from wire.http1 import HttpError, RequestHead, ResponseHead

MAX_TRAILERS: Final = 8 * 1024
"""All trailer lines of one body, bytes: as much as one long header line."""

FORBIDDEN_TRAILERS: Final = frozenset(
    (
        *(b"transfer-encoding", b"content-length", b"host", b"trailer", b"te", b"connection", b"upgrade"),
        *(b"keep-alive", b"proxy-connection", b"content-encoding", b"content-type", b"content-range"),
        *(b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"expect", b"max-forwards"),
        *(b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"x-request-id"),
    )
)
"""Names that change framing, routing or trust if a peer merges trailers into the head (RFC 9110, 6.5.1)."""
FORBIDDEN_STARTS: Final = (
    *(b"if-", b"cache-control", b"pragma", b"range", b"realm", b"www-authenticate", b"proxy-authenticate"),
    *(b"x-forwarded-", b"x-real-ip", b"via"),
)
"""Names that begin so, too: the rest of Go's list (httpguts.ValidTrailerHeader), and what proxies say."""

Data = bytes | bytearray | memoryview


class Body(Protocol):
    """One message's body as it passes by. It never takes more than its own, and nothing once it is `done`."""

    done: bool

    def feed(self, data: Data) -> int:
        """How many of the first bytes of `data` are the body's. Raises HttpError if its framing is broken."""
        ...

    def take(self, data: Data) -> tuple[bytes, int]:
        """The same, with the payload that those bytes carry."""
        ...

    def eof(self) -> bool:
        """The peer ended its side here. True: that completes the body. False: it was cut off."""
        ...


class LengthBody:
    """A body of `left` more bytes; with 0 it is done from the start."""

    __slots__ = ("done", "left")

    def __init__(self, left: int) -> None:
        self.left = left
        self.done = left == 0

    def feed(self, data: Data) -> int:
        size = len(data)
        if size < self.left:
            self.left -= size
            return size
        size = self.left
        self.left = 0
        self.done = True
        return size

    def take(self, data: Data) -> tuple[bytes, int]:
        size = self.feed(data)
        return bytes(data[:size]), size

    def eof(self) -> bool:
        return self.done


class CloseBody:
    """A response body that ends with its connection."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: Data) -> int:
        return len(data)

    def take(self, data: Data) -> tuple[bytes, int]:
        return bytes(data), len(data)

    def eof(self) -> bool:
        self.done = True
        return True


class ChunkedBody:
    """A chunked body. `status` is what its faults are answered with: 400 a client's, 502 an upstream's.

    `limit`: bytes of payload that it may carry (0: any); the chunk that would exceed it is refused with 413 when its
    size is read.

    It is either inside a chunk's data, `_left` bytes before its end, or (with `_left` 0) waits for the line
    that `_line` reads, of which `_carry` came already.
    """

    __slots__ = ("_carry", "_left", "_limit", "_line", "_size", "_status", "_trailers_size", "done")

    def __init__(self, status: int = 400, limit: int = 0) -> None:
        self.done = False
        self._limit = limit
        self._size = 0
        self._status = status
        self._left = 0
        self._carry = b""
        self._line = self._size_line
        self._trailers_size = 0

    def feed(self, data: Data) -> int:
        return self._walk(data, None)

    def take(self, data: Data) -> tuple[bytes, int]:
        parts: list[bytes] = []
        size = self._walk(data, parts)
        return b"".join(parts), size

    def eof(self) -> bool:
        return self.done

    def _walk(self, data: Data, parts: list[bytes] | None) -> int:
        at, size = 0, len(data)
        while at < size and not self.done:
            if not self._left:
                at = self._read_line(data, at)
                continue
            end = min(at + self._left, size)
            if parts is not None:
                parts.append(bytes(data[at:end]))
            self._left -= end - at
            at = end
        return at

    def _read_line(self, data: Data, at: int) -> int:
        match = _LINE_END.search(data, at)
        end = len(data) if match is None else match.end()
        line = self._carry + bytes(data[at : min(end, at + MAX_TRAILERS + 1)])
        if len(line) > (MAX_TRAILERS if self._line == self._trailer_line else _LONGEST_SIZE_LINE):
            raise self._fault("a line of the chunked framing is too long")
        self._carry = line if match is None else b""
        if match is not None:
            self._line(line)
        else:
            self._check_begun(line)
        return end

    def _check_begun(self, line: bytes) -> None:
        """Refuse the beginning of a line that no further byte can make a good one."""
        in_trailers = self._line == self._trailer_line
        begun = _TRAILER_BEGUN if in_trailers else _SIZE_BEGUN if self._line == self._size_line else _DATA_END_BEGUN
        match = begun.fullmatch(line)
        if match is None:
            raise self._fault("malformed chunked framing")
        if in_trailers and match.group(1) is not None:
            self._check_name(match.group(1))

    def _size_line(self, line: bytes) -> None:
        if _SIZE_LINE.fullmatch(line) is None:
            raise self._fault("malformed chunk size")
        self._left = int(line, 16)
        self._size += self._left
        if self._limit and self._size > self._limit:
            raise HttpError(413, f"the body is larger than {self._limit} bytes")
        self._line = self._data_end if self._left else self._trailer_line

    def _data_end(self, line: bytes) -> None:
        if line != b"\r\n":
            raise self._fault("a chunk is longer than its size")
        self._line = self._size_line

    def _trailer_line(self, line: bytes) -> None:
        if line == b"\r\n":
            self.done = True
            return
        self._trailers_size += len(line)
        match = _TRAILER_LINE.fullmatch(line)
        if match is None or self._trailers_size > MAX_TRAILERS:
            raise self._fault("malformed or too many trailers")
        self._check_name(match.group(1))

    def _check_name(self, raw: bytes) -> None:
        name = raw.lower().replace(b"_", b"-")
        if name in FORBIDDEN_TRAILERS or name.startswith(FORBIDDEN_STARTS):
            raise self._fault("a trailer that would override the head")

    def _fault(self, reason: str) -> HttpError:
        return HttpError(self._status, reason)


EMPTY: Final = LengthBody(0)
"""The body that is not there; done, and so never fed, it can be shared."""


def request_body(head: RequestHead) -> Body:
    """The body that follows a request's head (none without a framing header: RFC 9112, 6.3)."""
    if head.chunked:
        return ChunkedBody()
    return LengthBody(head.content_length) if head.content_length else EMPTY


def response_body(head: ResponseHead, request_method: bytes) -> Body:
    """The body that follows a response's head to `request_method`."""
    if request_method == b"HEAD" or head.status < 200 or head.status in (204, 304):
        return EMPTY
    if head.chunked:
        return ChunkedBody(502)
    if head.content_length is None:
        return CloseBody()
    return LengthBody(head.content_length) if head.content_length else EMPTY


_LONGEST_SIZE_LINE: Final = 17  # fifteen digits, below 2**60, and CRLF
_LINE_END: Final = re.compile(rb"\n")
_SIZE_LINE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}\r\n")
_SIZE_BEGUN: Final = re.compile(rb"(?:[0-9A-Fa-f]{1,15}\r?)?")
_DATA_END_BEGUN: Final = re.compile(rb"\r?")
_TRAILER: Final = rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[\t -~\x80-\xff]*+\r"
_TRAILER_LINE: Final = re.compile(_TRAILER + rb"\n")
_TRAILER_BEGUN: Final = re.compile(_TRAILER + rb"?|[!#$%&'*+\-.^_`|~0-9A-Za-z]*+|\r")
