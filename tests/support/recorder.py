"""Raw ends of both sides of the front door: a replica that keeps every byte it got, and a client that sends any.

They are bare protocols, so that a reset loses nothing of what came before it.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterable
from typing import cast

import h11

from support.readers import LIMIT

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
PATIENCE_S = 20.0


class Recorder:
    """A replica. It answers each connection once, when h11 finds the request whole; `taken` are the bytes of each
    connection, in order. `fault`: what h11 did not like."""

    def __init__(self) -> None:
        self.port = 0
        self.taken: list[bytearray] = []
        self.fault = ""
        self.transports: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Recording(self), "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for transport in self.transports:
            transport.abort()
        await self._server.wait_closed()

    def clear(self) -> None:
        self.taken = []
        self.fault = ""


class _Recording(asyncio.Protocol):
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._bytes = bytearray()
        self._reading = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMIT)
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._recorder.transports.add(self._transport)
        self._recorder.taken.append(self._bytes)

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        if self._answered:
            return
        self._reading.receive_data(data)
        try:
            while (event := self._reading.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                self._answered |= isinstance(event, h11.EndOfMessage)
        except h11.RemoteProtocolError as error:
            self._recorder.fault = str(error)
            self._transport.close()
        if self._answered:
            self._transport.write(ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:
        self._recorder.transports.discard(self._transport)


class RawClient(asyncio.Protocol):
    """`received` grows; `ended` is done when the connection is lost: True if it was reset."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():  # or nobody waits any longer
            self.ended.set_result(exc is not None)

    async def end(self) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            return await self.ended

    def reset(self) -> None:
        """Leave without a farewell."""
        reset_transport(self.transport)


class Leaver:
    """A replica that resets each connection when it has `patience_bytes` of it, without an answer."""

    def __init__(self) -> None:
        self.port = 0
        self.patience_bytes = 1

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Leaving(self), "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()


class _Leaving(asyncio.Protocol):
    def __init__(self, leaver: Leaver) -> None:
        self._left = leaver.patience_bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left <= 0:
            reset_transport(self._transport)


def reset_transport(transport: asyncio.WriteTransport) -> None:
    """End it by RST, if it has not ended yet."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def connect(port: int) -> RawClient:
    return (await asyncio.get_running_loop().create_connection(RawClient, "127.0.0.1", port))[1]


async def converse(port: int, pieces: Iterable[bytes], first: bytes = b"") -> tuple[bytes, bool]:
    """Send the pieces, each in a segment of its own, and our end; (all that came back, whether it ended by a reset).

    `first` goes before, and its answer, which has no body, is waited for.
    """
    client = await connect(port)
    if first:
        client.transport.write(first)
        async with asyncio.timeout(PATIENCE_S):
            while not client.received.endswith(b"\r\n\r\n"):
                await asyncio.sleep(0)
    for number, piece in enumerate(pieces):
        if number:
            await asyncio.sleep(0)
        if client.transport.is_closing():
            break
        client.transport.write(piece)
    if not client.transport.is_closing():
        client.transport.write_eof()
    reset = await client.end()
    return bytes(client.received), reset
