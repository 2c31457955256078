"""A `wire.aio.service.Service` on a loopback port, and clients of it, for tests."""

import asyncio
import contextlib
import unittest

from wire.aio.service import Answer, Handler, Limits, Request, Response, Service

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"
LONG_S = 1000.0

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def echo(request: Request) -> Answer:
    return Response(200, f"{request.method} {request.path} ".encode() + request.body, "text/plain")


class ServiceCase(unittest.IsolatedAsyncioTestCase):
    """Helpers: a service on port 0, clients, and whole answers."""

    async def serve(self, handler: Handler, limits: Limits | None = None) -> Service:
        service = Service(handler, limits)
        server = await asyncio.get_running_loop().create_server(service.protocol, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.addAsyncCleanup(self.close, service, server)
        return service

    async def close(self, service: Service, server: asyncio.Server) -> None:
        server.close()
        await service.drain(0)

    async def connect(self) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.addAsyncCleanup(self.hang_up, writer)
        return reader, writer

    async def hang_up(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def exchange(self, data: bytes) -> bytes:
        """Send `data` and our end; everything that comes back."""
        reader, writer = await self.connect()
        writer.write(data)
        writer.write_eof()
        return await reader.read()

    async def answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
        """(status, head, body) of the next answer."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)
        return int(head[9:12]), head, await reader.readexactly(length)
