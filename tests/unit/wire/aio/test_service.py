"""`wire.aio.service`: draining, and sockets without an address; over real sockets, time is swept by hand."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from support.http_service import GET, LONG_S, ServiceCase, echo

from wire.aio.service import Answer, Response, Service, Stream, json_response


class Draining(ServiceCase):
    async def test_idle_ones_end_at_once_and_busy_ones_are_finished(self) -> None:
        gate = asyncio.Event()

        async def wait() -> Answer:
            await gate.wait()
            return json_response(200, "done")

        async def endless() -> AsyncIterator[bytes]:
            yield b"event"
            await asyncio.Event().wait()

        routes = {"/wait": wait, "/stream": lambda: Stream(200, "text/plain", endless(), endless=True)}
        service = await self.serve(lambda request: routes.get(request.path, lambda: echo(request))())
        idle, idle_writer = await self.connect()
        idle_writer.write(GET % b"/")
        await self.answer(idle)
        busy, busy_writer = await self.connect()
        busy_writer.write(GET % b"/wait" + GET % b"/not-any-more")
        stream, stream_writer = await self.connect()
        stream_writer.write(GET % b"/stream")
        await stream.readuntil(b"event")
        draining = asyncio.create_task(service.drain(LONG_S))
        self.assertEqual(await idle.read(), b"")
        with contextlib.suppress(ConnectionResetError):
            await stream.read()
        self.assertFalse(draining.done())
        gate.set()
        status, head, body = await self.answer(busy)
        self.assertEqual((status, body), (200, b'"done"'))
        self.assertIn(b"Connection: close", head)
        self.assertEqual(await busy.read(), b"")
        busy_writer.close()
        self.assertEqual(await draining, 0)

    async def test_a_request_that_had_begun_to_come_is_answered(self) -> None:
        service = await self.serve(echo)
        reader, writer = await self.connect()
        writer.write(b"GET /half HT")
        while not service.connections:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        draining = asyncio.create_task(service.drain(LONG_S))
        await asyncio.sleep(0)
        writer.write(b"TP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual((await self.answer(reader))[2], b"GET /half ")
        self.assertEqual(await draining, 0)

    async def test_the_rest_is_cut_when_grace_is_over(self) -> None:
        async def forever() -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

        service = await self.serve(lambda _: forever())
        reader, writer = await self.connect()
        writer.write(GET % b"/")
        while not service.in_flight:
            await asyncio.sleep(0)
        self.assertEqual(await service.drain(0), 1)
        with contextlib.suppress(ConnectionResetError):
            self.assertEqual(await reader.read(), b"")


class UnixSockets(ServiceCase):
    async def test_a_client_without_an_address(self) -> None:
        service = Service(lambda request: Response(200, f"[{request.client}]".encode()))
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        await loop.connect_accepted_socket(service.protocol, ours)
        reader, writer = await asyncio.open_connection(sock=theirs)
        writer.write(GET % b"/")
        self.assertEqual((await self.answer(reader))[2], b"[]")
        await self.hang_up(writer)
        await service.drain(1)
