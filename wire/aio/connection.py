"""One client's connection to a `wire.aio.service.Service`."""

import asyncio
import enum
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, Protocol, cast

from wire.exchange import (
    Answer,
    Handler,
    Request,
    Response,
    Stream,
    encode_response,
    encode_stream_head,
    error_response,
)
from wire.http1 import HttpError, RequestHead
from wire.reader import Progress, RequestReader

READ_AHEAD_BYTES: Final = 64 * 1024
"""Bytes taken in beyond the request being answered, before reading pauses: one socket buffer's worth."""

WRITE_BATCH_BYTES: Final = 64 * 1024
"""Answers to pipelined requests that go out in one write: the mark at which a transport asks for a pause, so that
many small requests for a large answer can't fill the memory."""

_log = logging.getLogger("carousel.http")


@dataclass(frozen=True, slots=True)
class Limits:
    """A connection's limits, nginx's defaults but for heads: its 60 s are what slow-head attacks live on."""

    body_bytes: int = 1024 * 1024
    head_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 75.0
    stalled_s: float = 30.0
    """How long a client may leave its answers unread."""
    linger_s: float = 2.0
    """How long what still comes after a refusal is thrown away before the connection is closed."""


class Host(Protocol):
    """What a connection needs of its service. `now` is the loop's clock as of the last sweep."""

    handler: Handler
    limits: Limits
    draining: bool
    refused: Counter[int]
    now: float

    def joined(self, connection: "Connection") -> None: ...
    def left(self, connection: "Connection") -> None: ...


class _Phase(enum.Enum):
    """What a connection waits for."""

    NOTHING = "the first byte of a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    ANSWER = "the handler, its stream, or a client that does not read its answers"
    END = "the client's end, after our last answer"


_PHASES: Final = {
    Progress.NOTHING: _Phase.NOTHING,
    Progress.HEAD: _Phase.HEAD,
    Progress.BODY: _Phase.BODY,
}


class Connection(asyncio.Protocol):
    """One client's connection. `_task` is there while an answer is being made that did not come at once."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._limits = host.limits
        self._reader = RequestReader(host.limits.body_bytes)
        self._phase = _Phase.NOTHING
        self._deadline = math.inf
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._endless = False
        self._streaming = False
        self._linger = False
        self._half_closed = False
        self._reading = True
        self._writable: asyncio.Future[None] | None = None

    @property
    def busy(self) -> bool:
        return self._task is not None

    # --- what the transport says ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._client = str(cast(tuple[object, ...], peer)[0]) if isinstance(peer, tuple) and peer else ""
        self._host.joined(self)
        self._deadline = self._host.now + self._limits.head_s

    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = _Phase.END
        self._host.left(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._phase is _Phase.END:
            return
        self._reader.feed(data)
        if self._takes():
            self._advance()
        elif self._reader.unread_bytes > READ_AHEAD_BYTES and self._reading:
            self._reading = False
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """A client may end its side and still wait for its answers; but not for an endless stream's end."""
        self._half_closed = True
        return (
            not self._endless
            and self._phase is not _Phase.END
            and (self._task is not None or self._writable is not None)
        )

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()
        if self._phase is not _Phase.END:
            self._phase = _Phase.ANSWER
        self._deadline = self._host.now + self._limits.stalled_s

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
        if self._task is not None:
            self._deadline = math.inf
        elif self._phase is not _Phase.END:
            self._advance()

    # --- what the service says ---

    def drain(self) -> None:
        """Take no further request, but answer what has begun to come."""
        if self._phase is _Phase.NOTHING:
            self._end()
            self._shut()
        elif self._phase is _Phase.END:
            self._transport.close()
        elif self._endless:
            self.abort()

    def expire(self, now: float) -> None:
        if now < self._deadline:
            return
        if self._phase in (_Phase.HEAD, _Phase.BODY):
            self._refuse(HttpError(408, "the request came too slowly"))
            self._flush()
        else:  # not close: it would wait for a client that may never read the rest of its answers
            self.abort()

    def abort(self) -> None:
        self._transport.abort()

    # --- requests ---

    def _advance(self) -> None:
        """Answer what came, as far as answers come at once, with one write; then wait for what is missing."""
        reader = self._reader
        try:
            while self._takes() and (request := reader.next()):
                self._answer(*request)
                if self._out_bytes > WRITE_BATCH_BYTES:
                    self._flush()
        except HttpError as error:
            self._refuse(error)
        if self._phase is not _Phase.END and reader.wants_continue():
            self._out.append(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._flush()
        if self._takes():
            self._wait(_PHASES[reader.progress])

    def _takes(self) -> bool:
        """Whether the next request may be taken: nothing is being answered, and the client reads its answers."""
        return self._task is None and self._writable is None and self._phase is not _Phase.END

    def _wait(self, phase: _Phase) -> None:
        """Wait for more bytes. The deadline moves only with the phase: dripping bytes don't help."""
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()
        if self._half_closed or (self._host.draining and phase is _Phase.NOTHING):
            self._end()
            self._shut()
        elif phase is not self._phase:
            self._phase = phase
            self._deadline = self._host.now + self._limit_s(phase)

    def _limit_s(self, phase: _Phase) -> float:
        if phase is _Phase.NOTHING:
            return self._limits.idle_s
        return self._limits.head_s if phase is _Phase.HEAD else self._limits.body_s

    def _answer(self, head: RequestHead, body: bytes) -> None:
        self._phase = _Phase.ANSWER
        try:
            answer = self._host.handler(Request(head, body, self._client))
            if isinstance(answer, Response):
                self._send(head, answer)
                return
        except Exception:
            self._blame_handler(head)
            return
        self._deadline = math.inf
        self._task = asyncio.get_running_loop().create_task(self._finish(head, answer))

    async def _finish(self, head: RequestHead, answer: Stream | Awaitable[Answer]) -> None:
        try:
            await self._carry_out(head, answer)
        except asyncio.CancelledError:
            self.abort()
            raise
        except Exception:
            self._blame_handler(head)
        finally:
            self._task = None
            self._endless = False
        if self._takes():
            self._advance()
        else:
            self._flush()

    async def _carry_out(self, head: RequestHead, answer: Stream | Awaitable[Answer]) -> None:
        given = answer if isinstance(answer, Stream) else await answer
        if isinstance(given, Response):
            self._send(head, given)
            return
        try:
            await self._send_stream(head, given)
        finally:
            close = getattr(given.chunks, "aclose", None)
            if close is not None:
                await close()

    # --- answers ---

    def _keeps(self, head: RequestHead) -> bool:
        ended = self._half_closed and not self._reader.unread_bytes
        return head.keep_alive and not self._host.draining and not ended

    def _send(self, head: RequestHead, response: Response) -> None:
        keep = self._keeps(head)
        data = encode_response(response, head.method, head.minor, keep, time.time())
        self._out.append(data)
        self._out_bytes += len(data)
        if not keep:
            self._end()

    async def _send_stream(self, head: RequestHead, stream: Stream) -> None:
        keep = self._keeps(head) and head.minor == 1
        self._out.append(encode_stream_head(stream, head.minor, keep, time.time()))
        self._endless, self._streaming = stream.endless, True
        self._flush()
        if head.method != b"HEAD":
            async for chunk in stream.chunks:
                await self._send_chunk(chunk, head.minor)
            if head.minor:
                self._out.append(b"0\r\n\r\n")
        self._streaming = False
        if not keep:
            self._end()

    async def _send_chunk(self, chunk: bytes, minor: int) -> None:
        if not chunk:
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if minor else chunk)
        if self._writable is not None:
            await self._writable

    def _blame_handler(self, head: RequestHead) -> None:
        """The handler failed: a 500, or, within a stream, an end that the client can tell from a good one."""
        _log.exception("the handler failed on %s", head.target.partition(b"?")[0].decode("ascii"))
        if self._streaming:
            self.abort()
        else:
            self._send(head, error_response(500, "internal error"))

    def _refuse(self, error: HttpError) -> None:
        self._host.refused[error.status] += 1
        response = error_response(error.status, error.reason)
        self._out.append(encode_response(response, b"", 1, False, time.time()))
        self._end(linger=True)

    def _flush(self) -> None:
        if self._out and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
        self._out.clear()
        self._out_bytes = 0
        if self._phase is _Phase.END:
            self._shut()

    def _end(self, linger: bool = False) -> None:
        """Nothing more will be read; `_flush` writes what is left and closes."""
        self._phase = _Phase.END
        self._linger = linger or self._reader.unread_bytes > 0

    def _shut(self) -> None:
        """Close; if more may come, our side only, for a while: else a reset could overtake the answer."""
        if self._linger and not self._half_closed and not self._transport.is_closing():
            self._deadline = self._host.now + self._limits.linger_s
            self._transport.write_eof()
        else:
            self._deadline = self._host.now + self._limits.stalled_s
            self._transport.close()
