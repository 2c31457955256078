"""TLS at the front door: a `Gate` for each connection until its handshake is done, then an ordinary `Client`.

The problem: under uvloop a protocol hears of its connection only after the handshake, and never of one that fails. So
whoever listens with an SSLContext can't bound, count or drain the connections that are half open. Here TLS is begun by
the gate itself (`start_tls`), when the first bytes have come.

What holds:
- a connection is one of the door's clients from accept to its end: within the connection limit, cut after the head
  time-out if its handshake does not end, waited for by a drain. Past the limit it is reset: an answer that says so
  would cost a handshake;
- before its first byte it has cost no TLS state, and none ever if that byte begins no handshake: who speaks HTTP is
  answered in plain (as nginx does), anybody else is cut;
- each handshake takes the newest context (disk/certificate.py), and nothing but a count remains of one that failed. The
  count and its last reason are logged once a minute: a line for each would be a flood in the attacker's hands.

The road not taken: `create_server(ssl=…)` is 0.05 ms faster for each connection (of 0.55) and can do none of this.
"""

import asyncio
import ssl
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from loadbalancer.aio.client import Client
from loadbalancer.disk.certificate import BadPair, Certificate

if TYPE_CHECKING:
    from loadbalancer.aio.door import Door

HANDSHAKE = 22
"""The first byte of a TLS record that begins a handshake (RFC 8446, 5.1)."""
BUFFER_BYTES = 64 * 1024
"""What may wait at a client that doesn't read, as without TLS; uvloop's own bound is 512 KiB."""
LOG_S = 60.0
"""How often failed handshakes are logged at most."""
LOOK_TICKS = 4
"""The files are looked at on each fourth tick: once a second."""

MakeClient = Callable[[], Client]


class Tls:
    """What the gates of one worker share."""

    def __init__(self, door: "Door", certificate: Certificate, log: Any) -> None:
        self.door = door
        self.certificate = certificate
        self._log = log
        self._looking: asyncio.Future[None] | None = None
        self._ticks = 0
        self._logged_at = -LOG_S
        self._logged = 0
        self._last_failure = ""

    def gate(self, make_client: MakeClient) -> "Gate":
        return Gate(self, make_client)

    async def open(self) -> None:
        """Read the certificate. A worker whose files are broken just now serves its other ports."""
        if self.certificate.wanted:
            await self._look()

    def tick(self, now: float) -> None:
        """To be called a few times a second."""
        if not self.certificate.wanted:
            return
        self._ticks += 1
        if self._ticks % LOOK_TICKS == 0 and (self._looking is None or self._looking.done()):
            self._looking = asyncio.ensure_future(self._look())
        failures = self.door.counters.tls_handshake_failures
        if failures > self._logged and now - self._logged_at > LOG_S:
            self._log.info("TLS handshakes failed", count=failures - self._logged, last=self._last_failure)
            self._logged, self._logged_at = failures, now

    def failed(self, reason: str) -> None:
        """A connection that got no further than its gate."""
        self.door.counters.tls_handshake_failures += 1
        self._last_failure = reason

    async def _look(self) -> None:
        """In a thread: reading takes 2 ms, and as long as it likes on a disk that is far away."""
        before = self.certificate.context
        try:
            changed = await asyncio.get_running_loop().run_in_executor(None, self.certificate.refresh)
        except BadPair as error:
            kept = "the one before stays" if before else "nobody is served by TLS until it is mended"
            self._log.error("certificate not used", reason=f"{error}; {kept}")
        else:
            if changed and before is not None:
                self._log.info("certificate renewed")


class Gate(asyncio.Protocol):
    """One connection before its handshake and during it."""

    __slots__ = ("_make_client", "_since", "_task", "_tls", "_transport")

    def __init__(self, tls: Tls, make_client: MakeClient) -> None:
        self._tls = tls
        self._make_client = make_client
        self._since = monotonic()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # at once

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods, not the base class
        if not self._tls.door.admit(self) or self._tls.certificate.context is None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._task is not None:  # a full read buffer, 250 KB, was not all of it: that is no greeting
            self.drop()
        elif data[0] == HANDSHAKE:
            self._task = asyncio.get_running_loop().create_task(self._shake(data))
        else:
            self._refuse(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is None:
            self._tls.door.forget(self)

    def sweep(self, now: float) -> None:
        """Enforce the time-out until the first byte; called about once a second."""
        if self._task is None and now - self._since > self._tls.door.settings.head_timeout_s:
            self.drop()

    def drop(self) -> None:
        """Cut the connection, whatever is under way."""
        if self._task is not None:
            self._task.cancel()
        else:
            self._transport.abort()

    def _refuse(self, data: bytes) -> None:
        """Its first byte begins no handshake."""
        self._tls.failed("no TLS")
        if data[:1].isupper():  # the method of a request
            self._transport.write(self._tls.door.failure(400, "plain HTTP came to the TLS port", b"", close=True))
            self._transport.close()
        else:
            self._transport.abort()

    async def _shake(self, hello: bytes) -> None:
        """The handshake; however it ends, this connection is no longer the gate's."""
        door = self._tls.door
        opened: asyncio.Transport | None = None
        try:
            opened = await self._upgrade(hello)
        except OSError as error:
            self._tls.failed(_reason(error))
        finally:
            if opened is None:
                self._transport.abort()
                door.forget(self)
        if opened is not None:
            self._succeed(opened)

    async def _upgrade(self, hello: bytes) -> asyncio.Transport:
        """Raises OSError. `hello`, which has been read already, is given to TLS as its transport would."""
        context, settings = self._tls.certificate.context, self._tls.door.settings
        loop = asyncio.get_running_loop()
        if self._transport.is_closing() or context is None:
            raise ConnectionResetError
        loop.call_soon(_feed, self._transport, hello)
        opened = await loop.start_tls(
            self._transport,
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=settings.head_timeout_s,
            ssl_shutdown_timeout=settings.client_timeout_s,
        )
        if opened is None or opened.is_closing():
            raise ConnectionResetError
        return opened

    def _succeed(self, transport: asyncio.Transport) -> None:
        counters = self._tls.door.counters
        counters.tls_handshakes += 1
        counters.tls_resumed += transport.get_extra_info("ssl_object").session_reused
        transport.set_write_buffer_limits(BUFFER_BYTES)
        client = self._make_client()
        transport.set_protocol(client)
        self._tls.door.hand_over(self, client)
        client.opened(transport, self._transport)


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    """Into the buffers of TLS, which takes them up when it begins (a BufferedProtocol, of asyncio or of uvloop)."""
    protocol = cast(asyncio.BufferedProtocol, transport.get_protocol())
    cast(memoryview, protocol.get_buffer(len(data)))[: len(data)] = data
    protocol.buffer_updated(len(data))


def _reason(error: OSError) -> str:
    """For the log: OpenSSL's word, else what happened to the connection."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return "too slow" if isinstance(error, ConnectionAbortedError) else "connection closed"
