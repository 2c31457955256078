"""A replica that keeps a log of what it acted on, and that misbehaves when it is told to.

    python -m analysis.chaos.replica FOLDER      HOST, PORT and SERVER_ID as every replica of a command gets them

GET and HEAD `/bytes/N` (Content-Length), `/chunks/N` and `/trickle/N` (chunked, at once or slowly) answer with N bytes
that follow from the X-Request-Id; PUT, POST and DELETE `/keep` and `/keep/slowly` with the checksum of what came. When
a request is there as a whole, and before anything of its answer is sent, its id is appended to FOLDER/NAME@PORT.log by
one write (O_APPEND), which outlives kill -9.

`POST /fault/KIND?lasts=SECONDS&strength=SECONDS`, asked for directly, is a fault (`Mood`). It has no use for
wire.aio.service, whose whole point is to do none of this; requests are read by the same RequestReader.
"""

import asyncio
import os
import random
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic, time
from typing import cast
from urllib.parse import parse_qsl

import uvloop

from analysis.chaos.asks import UPLOADS, bytes_of, checksum
from wire.exchange import TEXT, Headers, Request, Response, Stream, encode_response, encode_stream_head
from wire.http1 import RequestHead
from wire.reader import RequestReader

WORK = ("/bytes/", "/chunks/", "/trickle/", "/keep")
BODY_BYTES = 1 << 20
PIECE_BYTES = 16 * 1024
TRICKLE_S = 0.05
"""Between two pieces of an answer that is slow on purpose."""
THINK_S = 0.1
"""Between acting and answering, where that is to take its time: whoever is harmed then has acted, and nobody knows."""
BACKLOG = 4096
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close is a reset


class Mood:
    """How the replica behaves; each fault ends by itself."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._strength_s = 0.0

    def take(self, kind: str, lasts_s: float, strength_s: float) -> None:
        self._until[kind] = monotonic() + lasts_s
        self._strength_s = strength_s

    def has(self, kind: str) -> bool:
        return monotonic() < self._until.get(kind, 0.0)

    def delay_s(self) -> float:
        """How much longer an answer takes."""
        return random.uniform(0, self._strength_s) if self.has("slow") else 0.0


class Replica:
    """The listener, the log, and all connections."""

    def __init__(self, name: str, listener: socket.socket, folder: Path) -> None:
        self.name = name
        self.mood = Mood()
        self.connections: set[Connection] = set()
        self._listener = listener
        self._server: asyncio.AbstractServer | None = None
        path = folder / f"{name}@{listener.getsockname()[1]}.log"
        self._log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def acted(self, request_id: str) -> None:
        os.write(self._log, f"{request_id}\n".encode())

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), sock=self._listener.dup(), backlog=BACKLOG)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.transport.abort()
        os.close(self._log)

    async def fault(self, request: Request, by: "Connection") -> None:
        """Carry out an order; the connection `by` which it came is spared."""
        kind = request.path.rpartition("/")[2]
        given = {name: float(value) for name, value in parse_qsl(request.query)}
        lasts_s = given.get("lasts", 0.0)
        self.mood.take(kind, lasts_s, given.get("strength", 0.0))
        if kind == "reset":
            for connection in self.connections - {by}:
                connection.reset()
        elif kind == "shut":
            await self._shut(lasts_s)
        elif kind == "deaf":
            self._stop_reading(lasts_s)

    async def _shut(self, lasts_s: float) -> None:
        """Refuse connections. Our own descriptor keeps the port, so that nobody takes it meanwhile."""
        assert self._server is not None
        self._server.close()
        self._listener.shutdown(socket.SHUT_RD)
        await asyncio.sleep(lasts_s)
        await self.open()

    def _stop_reading(self, lasts_s: float) -> None:
        for connection in self.connections:
            connection.transport.pause_reading()
        asyncio.get_running_loop().call_later(lasts_s, self.read_on)

    def read_on(self) -> None:
        for connection in self.connections:
            if not connection.transport.is_closing():
                connection.transport.resume_reading()


class Connection(asyncio.Protocol):
    """One connection: a request after the other, each carried out by a task of its own."""

    def __init__(self, replica: Replica) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # at once
        self._replica = replica
        self._reader = RequestReader(BODY_BYTES)
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._replica.connections.add(self)
        if self._replica.mood.has("deaf"):
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._replica.connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._task is None:
            self._next()

    def reset(self) -> None:
        own: socket.socket = self.transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()

    def _next(self) -> None:
        request = self._reader.next()
        self._task = None if request is None else asyncio.get_running_loop().create_task(self._serve(*request))

    async def _serve(self, head: RequestHead, body: bytes) -> None:
        request = Request(head, body, "")
        if request.path.startswith("/fault/"):
            self._send(head, Response(200))
            await self._replica.fault(request, self)
        elif request.path.startswith(WORK):
            await self._work(head, request)
        else:  # heartbeats, /home
            self._send(head, Response(200))
        if not self.transport.is_closing():
            self._next()

    # --- the work, well done or not --------------------------------------------------------------------------

    async def _work(self, head: RequestHead, request: Request) -> None:
        replica, mood = self._replica, self._replica.mood
        request_id = request.get("X-Request-Id") or ""
        await asyncio.sleep(mood.delay_s() / 2)
        replica.acted(request_id)
        await asyncio.sleep(mood.delay_s() / 2 + (THINK_S if request.path == "/keep/slowly" else 0))
        if mood.has("drop"):
            self.transport.close()
            return
        answer = self._answer(request, request_id)
        if isinstance(answer, Stream):
            await self._stream(head, answer)
        else:
            self._send(head, answer)

    def _answer(self, request: Request, request_id: str) -> Response | Stream:
        names: Headers = (("X-Replica", self._replica.name),)
        if request.method in UPLOADS:
            return Response(200, checksum(request.body).encode(), TEXT, names)
        _, kind, size = request.path.split("/")
        content = bytes_of(request_id, int(size))
        if kind == "bytes":
            return Response(200, content, TEXT, names)
        return Stream(200, TEXT, pieces(content, TRICKLE_S if kind == "trickle" else 0), names)

    def _send(self, head: RequestHead, response: Response) -> None:
        """All of it, or the head and half of what is behind it, and the end."""
        data = encode_response(response, head.method, head.minor, head.keep_alive, time())
        begun = data.index(b"\r\n\r\n") + 4
        if not self._replica.mood.has("tear") or begun == len(data):
            self.transport.write(data)
            return
        self.transport.write(data[: (begun + len(data)) // 2])
        self.transport.close()

    async def _stream(self, head: RequestHead, stream: Stream) -> None:
        self.transport.write(encode_stream_head(stream, head.minor, head.keep_alive, time()))
        async for piece in stream.chunks:
            self.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if self._replica.mood.has("tear"):
                self.transport.close()
                return
        self.transport.write(b"0\r\n\r\n")


async def pieces(content: bytes, pause_s: float) -> AsyncIterator[bytes]:
    for at in range(0, len(content), PIECE_BYTES):
        await asyncio.sleep(pause_s)
        yield content[at : at + PIECE_BYTES]


async def serve(folder: Path) -> None:
    """Until SIGTERM, at which it ends at once: it was drained before, so nothing of ours may be under way."""
    loop = asyncio.get_running_loop()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])))
    loop.add_signal_handler(signal.SIGTERM, os._exit, 0)
    await Replica(os.environ["SERVER_ID"], listener, folder).open()
    await loop.create_future()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
