"""`wire.aio.connection`, over real loopback sockets; time is swept by hand."""

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import AsyncIterator

from support.http_service import GET, LONG_S, Client, ServiceCase, echo

from wire.aio.service import Answer, Limits, Request, Response, Service, Stream


async def counted(pieces: int, closed: list[bool]) -> AsyncIterator[bytes]:
    try:
        for at in range(pieces):
            yield b"" if at == 1 else b"piece %d;" % at
    finally:
        closed.append(True)


class Answers(ServiceCase):
    async def test_keep_alive_and_pipelining_keep_the_order(self) -> None:
        gate = asyncio.Event()

        async def slow() -> Answer:
            await gate.wait()
            return Response(200, b"slow")

        await self.serve(lambda request: slow() if request.path == "/slow" else echo(request))
        reader, writer = await self.connect()
        writer.write(GET % b"/a" + GET % b"/slow" + GET % b"/b" + GET % b"/c")
        self.assertEqual((await self.answer(reader))[2], b"GET /a ")
        gate.set()
        self.assertEqual([(await self.answer(reader))[2] for _ in range(3)], [b"slow", b"GET /b ", b"GET /c "])

    async def test_bodies_of_both_kinds_in_pieces(self) -> None:
        await self.serve(echo)
        reader, writer = await self.connect()
        head = b"POST /p HTTP/1.1\r\nHost: a\r\n"
        for data in (
            head + b"Content-Length: 5\r\n\r\nhello",
            head + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ):
            for at in range(len(data)):
                writer.write(data[at : at + 1])
                await writer.drain()
            self.assertEqual((await self.answer(reader))[2], b"POST /p hello")

    async def test_100_continue(self) -> None:
        await self.serve(echo)
        reader, writer = await self.connect()
        writer.write(b"POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        self.assertEqual(await reader.readuntil(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.write(b"hi")
        self.assertEqual((await self.answer(reader))[2], b"POST /p hi")

    async def test_head_and_http_1_0(self) -> None:
        await self.serve(echo)
        head = await self.exchange(b"HEAD /h HTTP/1.0\r\n\r\n")
        self.assertTrue(head.endswith(b"Connection: close\r\nContent-Length: 8\r\n\r\n"), head)
        kept = await self.exchange(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
        self.assertEqual(kept.count(b"HTTP/1.1 200 OK"), 2)

    async def test_a_client_that_ended_its_side_is_still_answered(self) -> None:
        async def later(request: Request) -> Answer:
            await asyncio.sleep(0)
            return echo(request)

        await self.serve(later)
        self.assertEqual((await self.exchange(GET % b"/a" + GET % b"/b")).count(b"HTTP/1.1 200 OK"), 2)

    async def test_the_client_s_address(self) -> None:
        await self.serve(lambda request: Response(200, request.client.encode()))
        self.assertTrue((await self.exchange(GET % b"/")).endswith(b"127.0.0.1"))

    async def test_a_handler_that_fails_is_a_500(self) -> None:
        async def broken() -> Answer:
            raise RuntimeError("secret")

        def answer(request: Request) -> Answer:
            if request.path == "/bad":
                return Response(200, headers=(("X", "a\r\nb"),))
            raise RuntimeError("secret")

        await self.serve(lambda request: broken() if request.path == "/async" else answer(request))
        reader, writer = await self.connect()
        with self.assertLogs("carousel.http", logging.ERROR) as logs:
            for path in (b"/sync?token=secret", b"/async", b"/bad"):
                writer.write(GET % path)
                status, _, body = await self.answer(reader)
                self.assertEqual(status, 500)
                self.assertNotIn(b"secret", body)
        self.assertFalse(any("token" in record.getMessage() for record in logs.records))


class Refusals(ServiceCase):
    async def test_each_with_its_code_and_the_connection_closed(self) -> None:
        service = await self.serve(echo, Limits(body_bytes=10))
        for status, data in (
            (400, b"GET / HTTP/1.1\r\n\r\n"),
            (400, b"\x16\x03\x01\x00"),
            (413, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n"),
            (413, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n"),
            (414, b"GET /" + b"a" * 9000),
            (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000),
            (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
            (505, b"GET / HTTP/3.0\r\n\r\n"),
        ):
            reader, writer = await self.connect()
            writer.write(data)
            got, head, _ = await self.answer(reader)
            self.assertEqual(got, status, data[:60])
            self.assertIn(b"Connection: close", head)
            self.assertEqual(await reader.read(), b"")
            self.assertGreater(service.refused[status], 0)

    async def test_good_requests_before_a_bad_one_are_answered(self) -> None:
        await self.serve(echo)
        data = await self.exchange(GET % b"/a" + b"nonsense\r\n\r\n" + GET % b"/b")
        self.assertEqual([part[:3] for part in data.split(b"HTTP/1.1 ")[1:]], [b"200", b"400"])

    async def test_what_still_comes_after_a_refusal_does_not_lose_the_answer(self) -> None:
        service = await self.serve(echo, Limits(body_bytes=10))
        reader, writer = await self.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1_000_000)
        self.assertEqual((await self.answer(reader))[0], 413)
        self.assertEqual(await reader.read(), b"")
        service.sweep(service.now + LONG_S)
        self.assertEqual(await service.drain(1), 0)


class Streams(ServiceCase):
    async def test_pieces_are_chunks_and_the_connection_goes_on(self) -> None:
        closed: list[bool] = []
        await self.serve(
            lambda request: Stream(200, "text/plain", counted(3, closed)) if request.path == "/s" else echo(request)
        )
        data = await self.exchange(GET % b"/s" + GET % b"/after")
        self.assertIn(b"\r\n\r\n8\r\npiece 0;\r\n8\r\npiece 2;\r\n0\r\n\r\nHTTP/1.1 200 OK", data)
        self.assertEqual(closed, [True])
        old = await self.exchange(b"GET /s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        self.assertTrue(old.endswith(b"\r\n\r\npiece 0;piece 2;"), old)
        head = await self.exchange(b"HEAD /s HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(head.endswith(b"\r\n\r\n"))

    async def test_a_stream_that_breaks_is_cut_not_ended(self) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield b"piece"
            raise RuntimeError

        await self.serve(lambda _: Stream(200, "text/plain", broken()))
        reader, writer = await self.connect()
        writer.write(GET % b"/")
        with self.assertLogs("carousel.http", logging.ERROR):
            data = b""
            with contextlib.suppress(ConnectionResetError):
                data = await reader.read()
        self.assertNotIn(b"0\r\n\r\n", data)

    async def test_a_client_that_goes_ends_stream_and_wait(self) -> None:
        ended = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            try:
                yield b"first"
                await asyncio.Event().wait()
            finally:
                ended.set()

        async def wait() -> Answer:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError

        service = await self.serve(
            lambda request: wait() if request.path == "/wait" else Stream(200, "text/plain", endless(), endless=True)
        )
        for path, ending in ((b"/stream", b"\0" * 8), (b"/wait", struct.pack("ii", 1, 0))):
            ended.clear()
            _, writer = await self.connect()
            # With SO_LINGER 1, 0 a close is a reset; without it, an end that may be of one side only.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ending)
            writer.write(GET % path)
            while not service.in_flight:
                await asyncio.sleep(0)
            writer.transport.abort()
            await ended.wait()
        self.assertEqual(service.in_flight, 0)

    async def test_a_client_that_does_not_read_stops_the_stream_then_is_cut(self) -> None:
        made = 0

        async def flood() -> AsyncIterator[bytes]:
            nonlocal made
            while True:
                made += 1
                yield b"a" * 65536

        service = await self.serve(lambda _: Stream(200, "text/plain", flood()))
        _, writer = await self.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET % b"/")
        before = -1
        while made != before or not made:
            before = made
            for _ in range(100):
                await asyncio.sleep(0)
        self.assertLess(made, 1000)
        self.assertEqual(service.connections, 1)
        service.sweep(service.now + LONG_S)
        while service.connections:
            await asyncio.sleep(0)


class Time(ServiceCase):
    async def started(self, data: bytes, service: Service) -> Client:
        """A client whose `data` has been read by the service."""
        reader, writer = await self.connect()
        writer.write(GET % b"/first")
        await self.answer(reader)
        writer.write(data)
        await writer.drain()
        for _ in range(10):
            await asyncio.sleep(0)
        return reader, writer

    async def test_a_slow_head_or_body_is_a_408_however_it_drips(self) -> None:
        service = await self.serve(echo)
        for data, drip, limit_s in (
            (b"GET / HT", b"T", 10),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", b"d", 30),
        ):
            reader, writer = await self.started(data, service)
            start = service.now
            service.sweep(start + limit_s - 1)
            writer.write(drip)
            for _ in range(10):
                await asyncio.sleep(0)
            service.sweep(start + limit_s + 1)
            self.assertEqual((await self.answer(reader))[0], 408)
            self.assertEqual(await reader.read(), b"")

    async def test_idle_connections_are_closed_and_busy_ones_are_not(self) -> None:
        gate = asyncio.Event()

        async def wait() -> Answer:
            await gate.wait()
            return Response(200, b"at last")

        service = await self.serve(lambda request: wait() if request.path == "/wait" else echo(request))
        idle, _ = await self.started(b"", service)
        busy, _ = await self.started(GET % b"/wait", service)
        service.sweep(service.now + 74)
        self.assertEqual(service.connections, 2)
        service.sweep(service.now + 2)
        self.assertEqual(await idle.read(), b"")
        service.sweep(service.now + LONG_S)
        gate.set()
        self.assertEqual((await self.answer(busy))[2], b"at last")

    async def test_an_answer_left_unread_is_cut_and_requests_behind_it_wait(self) -> None:
        service = await self.serve(lambda _: Response(200, b"a" * 20_000_000))
        for last in (b"", b"Connection: close\r\n"):
            _, writer = await self.connect()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n" + last + b"\r\n" + GET % b"/next" * 1000)
            while not service.connections:
                await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
            service.sweep(service.now + 29)
            self.assertEqual(service.connections, 1)
            service.sweep(service.now + LONG_S)
            while service.connections:
                await asyncio.sleep(0)

    async def test_a_connection_that_never_asks_has_the_time_of_a_head(self) -> None:
        service = await self.serve(echo)
        reader, _ = await self.connect()
        while not service.connections:
            await asyncio.sleep(0)
        service.sweep(service.now + 11)
        self.assertEqual(await reader.read(), b"")
