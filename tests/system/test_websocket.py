"""WebSockets through the front door as a user runs it; both ends are the `websockets` package's, no code of ours."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import unittest
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.websocket_backend import SUBPROTOCOL
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from analysis.running import Running, running, wait_until
from loadbalancer.cli.remote import tell_supervisor

BACKEND = Path(__file__).parents[1] / "support" / "websocket_backend.py"
LIMIT_S = 30.0
DRAIN_S = 1.0
MIB = 1 << 20


@contextlib.contextmanager
def backends(count: int) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """That many applications, by HOST:PORT."""
    processes = [
        subprocess.Popen([sys.executable, str(BACKEND)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(count)
    ]
    try:
        yield {f"127.0.0.1:{int(process.stdout.readline())}": process for process in processes if process.stdout}
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def flags(applications: Iterable[str]) -> tuple[str, ...]:
    static = ("--runtime", "static", "--backends", ",".join(applications), "--workers", "1")
    return (*static, "--drain-timeout", str(DRAIN_S))


class WebSocketCase(unittest.IsolatedAsyncioTestCase):
    system: Running

    async def open(self, path: str = "/echo", **more: Any) -> ClientConnection:
        """A connection that ends with the test."""
        url = f"ws://127.0.0.1:{self.system.port}{path}"
        connection = await connect(url, proxy=None, max_size=None, open_timeout=LIMIT_S, **more)
        self.addAsyncCleanup(connection.close)
        return connection

    async def echoed(self, connection: ClientConnection, message: str | bytes) -> None:
        await connection.send(message)
        async with asyncio.timeout(LIMIT_S):
            self.assertTrue(await connection.recv() == message)

    async def cut(self, connection: ClientConnection) -> float:
        """Wait until it is cut, without a farewell; seconds."""
        begun = asyncio.get_running_loop().time()
        with self.assertRaises(ConnectionClosedError):
            async with asyncio.timeout(LIMIT_S):
                await connection.recv()
        self.assertEqual(connection.close_code, 1006)
        return asyncio.get_running_loop().time() - begun

    def tunnels(self) -> int:
        found = re.search(r"^carousel_tunnels (\d+)", self.system.call("GET", "/metrics")[1], re.MULTILINE)
        assert found is not None
        return int(found[1])


@pytest.mark.system
class EchoTest(WebSocketCase):
    """One system for all of these."""

    @classmethod
    def setUpClass(cls) -> None:
        applications = cls.enterClassContext(backends(2))
        cls.system = cls.enterClassContext(running(*flags(applications), replicas=2))

    async def test_text_and_binary(self) -> None:
        connection = await self.open()
        for message in ("", "hello", "Grüße, 世界 🎠", b"", bytes(range(256)), b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"):
            await self.echoed(connection, message)

    async def test_every_length_around_the_steps_of_the_framing(self) -> None:
        connection = await self.open(compression=None)
        for size in (1, 125, 126, 127, 65535, 65536, 65537):
            await self.echoed(connection, os.urandom(size))

    async def test_fragments_stay_what_they_are(self) -> None:
        connection = await self.open(compression=None)
        fragments = [b"a" * size for size in (1, 0, 126, 70_000, 3)]
        await connection.send(fragments)
        async with asyncio.timeout(LIMIT_S):
            received = [fragment async for fragment in connection.recv_streaming()]
        self.assertEqual(b"".join(received), b"".join(fragments))
        self.assertEqual([len(part) for part in received if part], [len(part) for part in fragments if part])

    async def test_pings_both_ways(self) -> None:
        connection = await self.open()
        for payload in (b"", b"x" * 125):
            async with asyncio.timeout(LIMIT_S):
                await (await connection.ping(payload))
        other = await self.open("/ping")
        self.assertEqual(await other.recv(), "pong")

    async def test_close_codes_both_ways(self) -> None:
        for code in (1000, 1001, 3000, 4999):
            connection = await self.open()
            await connection.close(code, "enough")
            self.assertEqual((connection.close_code, connection.close_reason), (code, "enough"))
            other = await self.open(f"/close/{code}")
            with self.assertRaises(ConnectionClosed):
                await other.recv()
            self.assertEqual((other.close_code, other.close_reason), (code, "as you wish"))

    async def test_sixteen_mebibytes(self) -> None:
        for compression in (None, "deflate"):
            connection = await self.open(compression=compression)
            await self.echoed(connection, os.urandom(MIB) * 16)
            await self.echoed(connection, "ü" * 8 * MIB)

    async def test_a_thousand_in_order(self) -> None:
        connection = await self.open()
        sent = [f"message {number}" for number in range(1000)]

        async def send() -> None:
            for message in sent:
                await connection.send(message)

        sending = asyncio.ensure_future(send())
        async with asyncio.timeout(LIMIT_S):
            received = [await connection.recv() for _ in sent]
        await sending
        self.assertEqual(received, sent)

    async def test_a_hundred_connections_at_once(self) -> None:
        connections = await asyncio.gather(*[self.open() for _ in range(100)])
        await asyncio.to_thread(wait_until, lambda: self.tunnels() == 100, LIMIT_S, "counted")
        for _ in range(10):
            await asyncio.gather(*[self.echoed(each, os.urandom(1000)) for each in connections])
        await asyncio.gather(*[each.close() for each in connections])
        await asyncio.to_thread(wait_until, lambda: self.tunnels() == 0, LIMIT_S, "gone")

    async def test_deflate_is_agreed_upon_end_to_end(self) -> None:
        connection = await self.open()
        self.assertEqual([extension.name for extension in connection.protocol.extensions], ["permessage-deflate"])
        await self.echoed(connection, "again and " * 10_000)
        plain = await self.open(compression=None)
        self.assertEqual(plain.protocol.extensions, [])

    async def test_a_subprotocol_too(self) -> None:
        connection = await self.open(subprotocols=["unknown", SUBPROTOCOL])
        self.assertEqual(connection.subprotocol, SUBPROTOCOL)

    async def test_refusals_reach_the_client(self) -> None:
        with self.assertRaises(InvalidStatus) as refused:
            await self.open("/refuse")
        self.assertEqual((refused.exception.response.status_code, refused.exception.response.body), (403, b"not you\n"))
        status, _ = await asyncio.to_thread(self.system.call, "GET", "/echo")
        self.assertEqual(status, 426)


@pytest.mark.system
class EndTest(WebSocketCase):
    """Each of these ends a tunnel, and harms a backend of its own; new tunnels are served at once."""

    applications: ClassVar[dict[str, subprocess.Popen[bytes]]]

    @classmethod
    def setUpClass(cls) -> None:
        cls.applications = cls.enterClassContext(backends(4))
        cls.system = cls.enterClassContext(running(*flags(cls.applications), replicas=4))

    def setUp(self) -> None:
        wait_until(lambda: self.system.call("GET", "/rep")[0] == 200, LIMIT_S, "control, which a reload renews too")

    async def whose(self, connection: ClientConnection) -> str:
        """The name of the backend behind it."""
        pid = int(await connection.recv())
        return next(name for name, process in self.applications.items() if process.pid == pid)

    async def open_at(self, backend: str) -> ClientConnection:
        for _ in range(100):
            connection = await self.open("/who")
            if await self.whose(connection) == backend:
                return connection
            await connection.close()
        raise AssertionError(f"{backend} is never chosen")

    async def test_a_killed_replica(self) -> None:
        victim = next(iter(self.applications))
        connection = await self.open_at(victim)
        self.applications[victim].kill()
        self.assertLess(await self.cut(connection), LIMIT_S / 2)
        await self.echoed(await self.open(), "still there")

    async def test_a_drained_replica(self) -> None:
        backend = list(self.applications)[1]
        connection = await self.open_at(backend)
        await asyncio.to_thread(self.system.call, "POST", f"/admin/replicas/{backend}/drain")
        await self.echoed(connection, "not yet")
        self.assertGreater(await self.cut(connection), DRAIN_S / 2)
        await asyncio.to_thread(self.system.call, "POST", f"/admin/replicas/{backend}/undrain")
        await self.echoed(await self.open_at(backend), "again")

    async def test_a_reloaded_worker(self) -> None:
        connection = await self.open()
        (worker,) = self.system.children("worker")
        tell_supervisor(self.system.state_dir, {"op": "reload"})
        await self.echoed(connection, "not yet")
        self.assertGreater(await self.cut(connection), DRAIN_S / 2)
        async with asyncio.timeout(LIMIT_S):  # its last tunnel is cut before it ends
            while worker["pid"] in [child["pid"] for child in self.system.children("worker")]:
                await asyncio.sleep(0.05)
        await self.echoed(await self.open(), "again")

    async def test_a_removed_replica(self) -> None:
        backend = list(self.applications)[2]
        connection = await self.open_at(backend)
        removing = asyncio.ensure_future(
            asyncio.to_thread(self.system.call, "POST", "/rm", {"n": 1, "hostnames": [backend]})
        )
        await self.cut(connection)
        self.assertEqual((await removing)[0], 200)
