import asyncio
import unittest
from collections.abc import Awaitable, Callable

from loadbalancer.aio.probes import Prober, heartbeat, judge
from loadbalancer.aio.resolver import Resolver
from loadbalancer.health import ProbeTarget
from loadbalancer.logs import get_logger

LIMIT_S = 10.0


class JudgeTest(unittest.TestCase):
    def test_only_a_2xx_is_well(self) -> None:
        for line in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 204\r\n"[:-2] + b" x\r\n"):
            self.assertEqual(judge(line, "/heartbeat"), "")
        for line in (
            b"HTTP/1.1 500 Oops\r\n",
            b"HTTP/1.1 302 x\r\n",
            b"HTTP/1.1 2 x\r\n",
            b"SSH-2.0\r\n",
            b"\r\n",
            b"",
        ):
            self.assertNotEqual(judge(line, "/heartbeat"), "", line)


class HeartbeatTest(unittest.IsolatedAsyncioTestCase):
    async def backend(
        self, answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> ProbeTarget:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await answer(reader, writer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.addAsyncCleanup(server.wait_closed)
        self.addCleanup(server.close)
        return ProbeTarget("S1", "h1", "127.0.0.1", server.sockets[0].getsockname()[1], True)

    async def test_well(self) -> None:
        seen: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        self.assertEqual(await heartbeat(await self.backend(answer), "/up?x=1", LIMIT_S), "")
        self.assertTrue(seen[0].startswith(b"GET /up?x=1 HTTP/1.1\r\nHost: 127.0.0.1:"))

    async def test_an_error_status_says_which(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 503 Busy\r\n\r\n")

        self.assertEqual(await heartbeat(await self.backend(answer), "/heartbeat", LIMIT_S), "/heartbeat answered 503")

    async def test_closed_without_an_answer(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")

        self.assertEqual(
            await heartbeat(await self.backend(answer), "/heartbeat", LIMIT_S), "connection closed without an answer"
        )

    async def test_hangs(self) -> None:
        over = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await over.wait()

        self.assertIn("within 20 ms", await heartbeat(await self.backend(answer), "/heartbeat", 0.02))
        over.set()

    async def test_refused(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        target = ProbeTarget("S1", "h1", "127.0.0.1", port, False)
        self.assertEqual(await heartbeat(target, "/heartbeat", LIMIT_S), "connection refused")

    async def test_the_prober_reports_each_and_stops_when_cancelled(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        target = await self.backend(answer)
        heard: asyncio.Queue[tuple[str, str, bool]] = asyncio.Queue()
        prober = Prober(
            lambda: [target],
            lambda t, reason, late: heard.put_nowait((t.name, reason, late)),
            "/heartbeat",
            0.05,
            LIMIT_S,
            Resolver(10, get_logger("test")),
        )
        task = asyncio.ensure_future(prober.run())
        for _ in range(2):
            name, reason, _late = await asyncio.wait_for(heard.get(), LIMIT_S)
            self.assertEqual((name, reason), ("S1", ""))
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
