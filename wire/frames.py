"""Kafka's frames out of the bytes of one connection, and the headers of requests and answers. Pure.

The problem: requests of 50 bytes and of 1 MiB come through the same sockets, pipelined, cut anywhere. A copy of each
costs as much as all else that is done with it; a large buffer for each connection costs 500 MB at 2 000 connections.

So: connections read into buffers borrowed from one pool (as with asyncio.BufferedProtocol's `get_buffer`), and each
whole frame is handed on as a view of the buffer that it came in. A connection gives its buffer back when all of it is
taken; a small unfinished rest is copied out, a large one keeps the buffer until its frame is whole. A frame that is
larger than the buffer makes it grow as the bytes come, at most to four times what has come, never by what a length
announces; the grown buffer goes to the pool, so that the next frames of that size are not copied at all.

What holds: a view may be kept as long as one likes. A buffer that somebody still has a view of is not used again: the
pool finds out by asking the bytearray, which refuses to change its size while it is exported (0.1 us), and leaves that
one to its views. Who keeps 20 bytes for long should copy them all the same: the view holds the whole buffer.
"""

from struct import Struct
from typing import Final

from wire.primitives import Reader, WireError
from wire.versions import REQUEST_HEADERS

MAX_FRAME: Final = 100 * 1024 * 1024
"""Bytes of a request behind its length: Kafka's `socket.request.max.bytes`."""

MAX_FRAME_BEFORE_LOGIN: Final = 512 * 1024
"""The same on a connection that has yet to authenticate: Kafka's `sasl.server.max.receive.size`."""

MIN_FRAME: Final = 10
"""Bytes of the smallest request: a header of version 1 with a null client id. Only ControlledShutdown 0 had less."""

BUFFER_SIZE: Final = 256 * 1024
"""Bytes of a fresh receive buffer: what one read of a fast loopback connection yields (asyncio's and uvloop's
own maximum for a read). Larger ones weren't faster, smaller ones were."""

KEPT_RATIO: Final = 4
"""A rest of less than this part of its buffer is copied out, so that a slow sender holds at most four times what it
sent; and a buffer with less room than this part is moved or grows."""

LENGTH_SIZE: Final = 4


class FrameError(WireError):
    """A frame's length is out of bounds: whoever sends this doesn't speak the protocol, or wants memory."""


class BufferPool:
    """Receive buffers of one event loop: `spare` at most are kept, of at most `spare_size` bytes each."""

    def __init__(self, size: int = BUFFER_SIZE, spare: int = 4, spare_size: int = 8 * BUFFER_SIZE) -> None:
        self._size = size
        self._spare = spare
        self._spare_size = spare_size
        self._free: list[bytearray] = []

    def take(self, size: int = 0) -> bytearray:
        """A buffer that nobody else sees, of at least the usual size and of `size` bytes."""
        while self._free:
            buffer = self._free.pop()
            if len(buffer) >= size and _is_unseen(buffer):
                return buffer
        return bytearray(max(size, self._size))

    def give(self, buffer: bytearray) -> None:
        """Take back a buffer. Views of it may still be held: it isn't used before they are gone."""
        if len(self._free) < self._spare and len(buffer) <= self._spare_size:
            self._free.append(buffer)


class FrameReader:
    """Cuts one connection's bytes into frames. `limit` (bytes) may be changed between frames.

    For each read of the socket: write into `get_buffer()`, tell `received` how much, then call `next` until it gives
    None. Frames that are not asked for stay where they are: stop reading from the socket until they are.
    """

    __slots__ = ("_at", "_buffer", "_end", "_pool", "_rest", "_view", "limit")

    def __init__(self, pool: BufferPool, limit: int = MAX_FRAME) -> None:
        self.limit = limit
        self._pool = pool
        self._buffer: bytearray | None = None
        self._view = _NOTHING
        self._at = 0
        self._end = 0
        self._rest = b""

    @property
    def unread_bytes(self) -> int:
        """What has come and isn't taken yet, whole frames included."""
        return self._end - self._at + len(self._rest)

    def get_buffer(self) -> memoryview:
        """Where the next bytes shall be written: never empty."""
        buffer = self._buffer
        if buffer is None:
            self._borrow()
        elif (room := len(buffer) - self._end) * KEPT_RATIO < len(buffer) and room < self._missing():
            self._move(buffer)
        return self._view[self._end :]

    def received(self, size: int) -> None:
        """`size` bytes were written to the start of what `get_buffer` gave."""
        self._end += size

    def next(self) -> memoryview | None:
        """The next frame without its length; None until more has come.

        Raises FrameError if its length is over the limit or below a header's; the reader is of no more use then.
        """
        start, end = self._at + LENGTH_SIZE, self._end
        if start <= end:
            size = self._size_at(start - LENGTH_SIZE)
            if start + size <= end:
                self._at = start + size
                return self._view[start : start + size]
        if self._buffer is not None:
            self._settle(self._buffer)
        return None

    def close(self) -> None:
        """Give the buffer back; what is unread is lost."""
        if self._buffer is not None:
            self._release(self._buffer)
        self._rest = b""

    def _size_at(self, at: int) -> int:
        size: int = _LENGTH.unpack_from(self._view, at)[0]
        if not MIN_FRAME <= size <= self.limit:
            raise FrameError(f"a frame of {size} bytes, where {MIN_FRAME} to {self.limit} are allowed")
        return size

    def _borrow(self) -> None:
        rest = self._rest
        buffer = self._buffer = self._pool.take(2 * len(rest))
        self._view = memoryview(buffer)
        self._at, self._end = 0, len(rest)
        if rest:
            self._view[: len(rest)] = rest
            self._rest = b""

    def _settle(self, buffer: bytearray) -> None:
        """All whole frames are taken: keep the buffer only if much of an unfinished one is in it."""
        left = self._end - self._at
        if left * KEPT_RATIO < len(buffer):
            self._rest = bytes(self._view[self._at : self._end]) if left else b""
            self._release(buffer)

    def _release(self, buffer: bytearray) -> None:
        self._buffer = None
        self._view = _NOTHING
        self._at = self._end = 0
        self._pool.give(buffer)

    def _missing(self) -> int:
        """How many bytes the frame at `_at` lacks; at least one, since who asks is going to read some."""
        left = self._end - self._at
        if left < LENGTH_SIZE:
            return LENGTH_SIZE - left
        size: int = _LENGTH.unpack_from(self._view, self._at)[0]  # `next` says whether it is allowed
        return max(1, LENGTH_SIZE + size - left)

    def _move(self, old: bytearray) -> None:
        """Bring what is unread to the start of another buffer, of twice the size if that alone makes no room."""
        rest = self._view[self._at : self._end]
        buffer = self._buffer = self._pool.take(len(old) if 2 * len(rest) <= len(old) else 2 * len(old))
        view = memoryview(buffer)
        view[: len(rest)] = rest
        self._view = view
        self._at, self._end = 0, len(rest)
        del rest
        self._pool.give(old)


class RequestHead:
    """A request's header. `client_id` is only shown: malformed bytes in it are replaced, not refused.

    `at` is where the body begins in the frame; None for an API or version that isn't served here, of which no more than
    the first three fields can be known (an ApiVersions request gets its answer all the same).
    """

    __slots__ = ("api_key", "at", "client_id", "correlation_id", "version")

    def __init__(self, api_key: int, version: int, correlation_id: int, client_id: str | None, at: int | None) -> None:
        self.api_key = api_key
        self.version = version
        self.correlation_id = correlation_id
        self.client_id = client_id
        self.at = at


def read_head(frame: memoryview) -> RequestHead:
    """The header of the request in `frame`, which comes from a FrameReader. Raises WireError.

    `client_id` is an int16 string in version 2 too (RequestHeader.json says why).
    """
    api_key, version, correlation_id, size = _HEAD.unpack_from(frame)
    header_version = REQUEST_HEADERS.get((api_key, version))
    if header_version is None:
        return RequestHead(api_key, version, correlation_id, None, None)
    end = MIN_FRAME + max(0, size)
    if size < -1 or end + header_version - 1 > len(frame):
        raise WireError("a client id beyond its frame")
    client_id = None if size < 0 else str(frame[MIN_FRAME:end], "utf-8", "replace")
    if header_version == 2:
        end = end + 1 if frame[end] == 0 else _behind_tags(frame, end)
    return RequestHead(api_key, version, correlation_id, client_id, end)


def request_frame(api_key: int, version: int, correlation_id: int, client_id: str | None, body: bytes) -> bytes:
    """A whole request of a served API and version: length, header, body."""
    raw = b"" if client_id is None else client_id.encode()
    head = _HEAD.pack(api_key, version, correlation_id, -1 if client_id is None else len(raw)) + raw
    if REQUEST_HEADERS[api_key, version] == 2:
        head += b"\x00"
    return _LENGTH.pack(len(head) + len(body)) + head + body


def response_frame(correlation_id: int, header_version: int, body: bytes) -> bytes:
    """A whole answer: length, header (version 1 ends with its tagged fields, none), body."""
    if header_version:
        return _ANSWER_1.pack(len(body) + 5, correlation_id, 0) + body
    return _ANSWER_0.pack(len(body) + 4, correlation_id) + body


def read_response_head(frame: memoryview, header_version: int) -> tuple[int, int]:
    """An answer's correlation id and where its body begins. Raises WireError."""
    correlation_id = Reader(frame).int32()
    return correlation_id, _behind_tags(frame, LENGTH_SIZE) if header_version else LENGTH_SIZE


def _behind_tags(frame: memoryview, at: int) -> int:
    reader = Reader(frame, at)
    reader.skip_tags()
    return reader.at


def _is_unseen(buffer: bytearray) -> bool:
    try:
        buffer.append(0)
    except BufferError:
        return False
    buffer.pop()
    return True


_NOTHING: Final = memoryview(b"")
_LENGTH: Final = Struct(">i")
_HEAD: Final = Struct(">hhih")
_ANSWER_0: Final = Struct(">ii")
_ANSWER_1: Final = Struct(">iib")
