"""The client's side of the front door: reads requests, one after the other, and writes what exchanges give
it.

Requests that come before the last one is answered, or while the client does not read its answers, wait in
`buffer` (bounded: the client is not read beyond), so answers are in order and never pile up. A client that
has to go gets its answer first: where it may still be sending, its bytes are read and thrown away for a
while, because closing over unread bytes is a reset, which destroys the answer on its way.
"""

import asyncio
import socket
import struct
from time import monotonic
from typing import TYPE_CHECKING, cast

from loadbalancer.aio.exchange import Exchange
from loadbalancer.forwarded import Origin
from loadbalancer.known_head import PATIENCE, KnownHead
from wire.http1 import HttpError, RequestHead, parse_request

if TYPE_CHECKING:
    from loadbalancer.aio.door import Door

HEAD_LIMIT_BYTES = 16 * 1024
"""The longest request head (the spec's limit; nginx's default is 8 KiB a line)."""
PIPELINE_LIMIT_BYTES = 64 * 1024
"""Bytes of further requests that are read while one is under way."""
LINGER_S = 2.0
"""How long a client that was refused may go on sending before it is cut."""
WITH_BODY = frozenset((b"POST", b"PUT", b"PATCH"))
"""Methods whose requests have a body: in HTTP/1.0, which has no chunks, its length must be said."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Client(asyncio.Protocol):
    """One client connection. `admin` and `proxy` say whose paths its listener serves.

    `peer` is the address of the connection's other end, `address` that of the client who asked last: the peer's, or
    another by a trusted proxy's word.
    """

    __slots__ = (
        "_known",
        "_paused",
        "_pumping",
        "_request_line",
        "_stalled_since",
        "_wasted",
        "address",
        "admin",
        "buffer",
        "door",
        "eof",
        "exchange",
        "lingering",
        "logged",
        "origin",
        "peer",
        "proxy",
        "quiet_since",
        "sent",
        "transport",
        "wire",
    )

    def __init__(self, door: "Door", admin: bool, proxy: bool) -> None:
        self.door = door
        self.admin = admin
        self.proxy = proxy
        self.exchange: Exchange | None = None
        self.buffer: bytes = b""
        self.address = self.peer = b""
        self.origin: Origin = None  # type: ignore[assignment]  # with the transport
        self.eof = False
        self.lingering = False
        self.sent = 0  # bytes
        self.logged = 0  # those of them that the access log knows
        self.quiet_since = monotonic()  # when the last answer ended, or the head that is not whole began
        self._known: KnownHead | None = None
        self._request_line = b"never"  # the last one; a head is worth remembering when this repeats
        self._wasted = 0  # how often in a row it was not
        self._paused = False
        self._pumping = False
        self._stalled_since = 0.0
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # at once
        self.wire: asyncio.Transport = None  # type: ignore[assignment]  # at once

    # --- reading --------------------------------------------------------------------------------------------

    def opened(self, transport: asyncio.Transport, wire: asyncio.Transport) -> None:
        """Begin on a connection that the door has let in. `wire` is the transport below TLS, or the same."""
        self.transport = transport
        self.wire = wire
        name: tuple[str, int] | str | None = transport.get_extra_info("peername")
        self.come_from(name[0] if isinstance(name, tuple) else "")
        self.peer = self.address

    @property
    def secure(self) -> bool:
        """Whether it came by TLS."""
        return self.wire is not self.transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        plain = cast(asyncio.Transport, transport)  # uvloop's has the methods, not the base class
        self.opened(plain, plain)
        if not self.door.admit(self):
            self.write(self.door.failure(503, "too many connections", b"", close=True))
            self._close(gently=not self.door.crowded)

    def come_from(self, address: str) -> None:
        """Take `address` for the one that this connection's requests come from."""
        self.origin = Origin(self.door.trust, address, b"https" if self.secure else b"http")
        self.address = self.origin.address

    def data_received(self, data: bytes) -> None:
        self.door.counters.bytes_in += len(data)
        exchange = self.exchange
        if exchange is None and self._known is not None and not self.buffer and self._recognise(self._known, data):
            return
        if exchange is not None and exchange.uploading:
            data = self._upload(exchange, data)
            if not data:
                return
        if self.lingering:
            return
        if self.exchange is not None or self._stalled_since:
            self._hold(data)
            return
        if not self.buffer:
            self.quiet_since = monotonic()  # the first bytes of a head
        self.buffer += data
        self._pump()

    def _recognise(self, known: KnownHead, data: bytes) -> bool:
        """Begin the request that is `data`, if it is a whole one with the head that is known."""
        if self._stalled_since or self.lingering:
            return False
        request_id = known.id_in(data)
        if request_id is None:
            return False
        self._wasted = 0
        self.address = known.address
        self.door.serve_known(self, known, request_id, data)
        return True

    def _pump(self) -> None:
        """Take requests from the buffer until one is under way or incomplete. Not re-entered: answers may
        come at once."""
        if self._pumping:
            return
        self._pumping = True
        while self.buffer and self.exchange is None and not (self.lingering or self._stalled_since) and self._next():
            pass
        self._pumping = False
        if self.eof and (self.exchange is None or self.exchange.uploading) and not self._stalled_since:
            self._close(gently=False)  # it will send no more, and what it asked whole is answered
        if self._paused and len(self.buffer) < PIPELINE_LIMIT_BYTES and self.exchange is None:
            self.resume_reading()

    def _next(self) -> bool:
        """Begin the next request; False if its head is incomplete or refused."""
        data = self.buffer
        try:
            parsed = parse_request(data)
            if parsed is None and len(data) <= HEAD_LIMIT_BYTES:
                return False
            if parsed is None or parsed[1] > HEAD_LIMIT_BYTES:
                raise HttpError(431, "the head is too large")
            head, end = parsed
            self._check_length(head)
        except HttpError as error:
            self.refuse(error.status, error.reason)
            return False
        self.buffer = data[end:]
        self.address = self.origin.settle(head)
        if data.startswith(self._request_line) and self._wasted < PATIENCE:
            self._wasted += 1
            self.door.serve(self, head, data[:end])
        else:
            self._request_line = data[: data.index(b"\n")]
            self.door.serve(self, head)
        return True

    def remember(self, known: KnownHead | None) -> None:
        """The next request may have this head."""
        self._known = known

    def _check_length(self, head: RequestHead) -> None:
        """Raises HttpError: 413 if the body is too large, 411 if HTTP/1.0 does not say how large (RFC 1945, 7.2.2)."""
        length = head.content_length
        if length is None:
            if not head.minor and head.method in WITH_BODY:
                raise HttpError(411, "Content-Length is missing")
        elif 0 < self.door.settings.body_limit_bytes < length:
            raise HttpError(413, f"the body is larger than {self.door.settings.body_limit_bytes} bytes")

    def feed_body(self, exchange: Exchange) -> None:
        """Give the exchange what is already here of its body."""
        data, self.buffer = self.buffer, b""
        self.buffer = self._upload(exchange, data)

    def _upload(self, exchange: Exchange, data: bytes) -> bytes:
        """The bytes behind the body."""
        try:
            taken = exchange.upload(data)
        except HttpError as error:
            self._give_up_upload(exchange, error.status, error.reason)
            return b""
        return data[taken:]

    def _give_up_upload(self, exchange: Exchange, status: int, reason: str) -> None:
        """The body is broken or does not come. Where an answer has begun, only the connection's end can
        tell."""
        if exchange.answer_body is not None:
            self.drop()
        else:
            exchange.withdraw()
            self.exchange = None
            self.refuse(status, reason, exchange.head, exchange.request_id)

    def _hold(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) >= PIPELINE_LIMIT_BYTES:
            self.pause_reading()

    def eof_received(self) -> bool:
        """A client may end its side and still wait for its answer; one that waits on control has gone.

        By TLS it has gone too, as for nginx: uvloop answers the end of one side with that of the other.
        """
        self.eof = True
        self.door.outbox.flush()  # an answer of this very turn goes before the end
        if self.secure:
            self._abandon()
            return False
        exchange = self.exchange
        if exchange is None:
            return self._stalled_since > 0
        return not exchange.uploading and not exchange.patient

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.forget(self)
        self._abandon()

    def _abandon(self) -> None:
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abandon()

    # --- writing --------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        size_bytes = len(data)
        self.sent += size_bytes
        self.door.counters.bytes_out += size_bytes
        self.door.outbox.write(self.transport, data)

    def write_own(self, method: bytes, answer: bytes) -> None:
        """An answer of our own, without its body if the request was HEAD."""
        self.write(answer[: answer.index(b"\r\n\r\n") + 4] if method == b"HEAD" else answer)

    def keep(self, exchange: Exchange) -> bool:
        """Whether this connection outlives the exchange's answer. A client that has ended its side gets what it
        asked for before."""
        staying = exchange.head.keep_alive and not self.door.draining and exchange.body.done
        return staying and not (self.eof and not self.buffer)

    def answered(self, keep: bool, now: float, unread: bool = False) -> None:
        """The exchange has ended; the next may begin. `unread`: a body may follow that nobody wants."""
        exchange, self.exchange = self.exchange, None
        self.quiet_since = now
        if not keep:
            unread = unread or (exchange is not None and exchange.uploading)
            self._close(gently=unread or bool(self.buffer))
        elif self.buffer or self._paused or self.eof:
            self._pump()

    def refuse(self, status: int, reason: str, head: RequestHead | None = None, request_id: bytes = b"") -> None:
        """Answer what is no request, or none that we take, and close. The head and the id are for the log."""
        self.door.own_codes[status // 100] += 1
        self.write(self.door.failure(status, reason, b"", close=True))
        if self.door.access is not None:
            self.door.access.answered(self, head, status, request_id)
        self._close(gently=True)

    def drop(self) -> None:
        """Cut the connection, whatever is under way."""
        self._abandon()
        self.cut()

    def cut(self) -> None:
        """End the connection so that the client sees its answer is not whole, however that is framed."""
        self.exchange = None
        self.door.outbox.flush()
        reset(self.transport)

    def _close(self, gently: bool) -> None:
        self.door.outbox.flush()
        if gently and not self.eof:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        self.lingering = True
        self.buffer = b""
        self.quiet_since = monotonic()
        self.resume_reading()
        self.door.outbox.flush()
        if self.secure:
            self.transport.close()  # says its end, and reads and throws away until the client's
        elif not self.transport.is_closing():
            self.transport.write_eof()

    # --- backpressure ---------------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def pause_writing(self) -> None:
        self._stalled_since = monotonic()
        if self.exchange is not None:
            self.exchange.pause_answer()

    def resume_writing(self) -> None:
        self._stalled_since = 0.0
        if self.exchange is not None:
            self.exchange.resume_answer()
        elif self.buffer or self._paused or self.eof:
            self._pump()

    # --- time -----------------------------------------------------------------------------------------------

    @property
    def stalled(self) -> bool:
        """Whether it does not read its answers."""
        return self._stalled_since > 0

    @property
    def to_blame(self) -> bool:
        """Whether the exchange waits for the client: to read its answer, or to send more of its body."""
        exchange = self.exchange
        return self._stalled_since > 0 or (exchange is not None and exchange.uploading and not self._paused)

    def sweep(self, now: float) -> None:
        """Enforce the client's time-outs; called about once a second."""
        timeout_s = self.door.settings.client_timeout_s
        if self.lingering or self.transport.is_closing():
            unsent = self.transport.get_write_buffer_size() or self.wire.get_write_buffer_size()
            if now - self.quiet_since > (timeout_s if unsent else LINGER_S):
                self.transport.abort()
        elif self._stalled_since:
            if now - self._stalled_since > timeout_s:
                self.drop()
        elif self.exchange is not None:
            self._sweep_upload(self.exchange, now, timeout_s)
        elif self.buffer and now - self.quiet_since > self.door.settings.head_timeout_s:
            self.refuse(408, "the request did not come in time")
        elif now - self.quiet_since > timeout_s:
            self.transport.close()

    def _sweep_upload(self, exchange: Exchange, now: float, timeout_s: float) -> None:
        if exchange.uploading and not self._paused and now - exchange.heard_at > timeout_s:
            self._give_up_upload(exchange, 408, "the request's body did not come in time")


def reset(transport: asyncio.Transport) -> None:
    """End a connection at once, so that its peer takes it for cut and not for ended."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
