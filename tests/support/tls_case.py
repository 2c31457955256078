"""A front door with a TLS listener, and clients of it."""

import asyncio
import contextlib
import logging
import ssl
import struct
from collections.abc import Generator
from pathlib import Path
from typing import Any

from loadbalancer.aio.client import Client
from loadbalancer.aio.tls import Tls
from loadbalancer.disk.certificate import Certificate
from support.certificates import client_context, write_pair
from support.door_case import DoorCase
from support.fake_replicas import Answerer, Connection, Rig


class Said:
    """A log that keeps its lines: (event, reason or last)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields.get("last", "")))

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields.get("reason", "")))


class TlsCase(DoorCase):
    tls: Tls
    port = 0

    def setUp(self) -> None:
        super().setUp()
        self.pair = write_pair(Path(self.directory))
        self.said = Said()

    async def rig(self, *answers: Answerer, admin: bool = True, proxy: bool = True, **settings: Any) -> Rig:
        rig = await super().rig(*answers, admin=admin, proxy=proxy, **settings)
        self.tls = Tls(rig.door, Certificate(str(self.pair.cert), str(self.pair.key)), self.said)
        await self.tls.open()
        server = await asyncio.get_running_loop().create_server(
            lambda: self.tls.gate(lambda: Client(rig.door, admin, proxy)), "127.0.0.1", 0, backlog=1024
        )
        self.port = server.sockets[0].getsockname()[1]
        self.addCleanup(server.close)
        return rig

    async def connect(self, context: ssl.SSLContext | None = None) -> Connection:
        """A client that speaks TLS. Raises OSError if it can't agree with the door."""
        context = context or client_context(self.pair.cert)
        return self.kept(await asyncio.open_connection("127.0.0.1", self.port, ssl=context))

    async def connect_plain(self) -> Connection:
        """A connection to the TLS port on which nothing has been said yet."""
        return self.kept(await asyncio.open_connection("127.0.0.1", self.port))

    def kept(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> Connection:
        connection = Connection(*streams)
        self.addAsyncCleanup(connection.close)
        return connection

    async def served(self, rig: Rig) -> Client:
        """The door's side of its only client, when its handshake is done there too."""
        await rig.until(lambda: rig.door.counters.tls_handshakes > 0)
        (client,) = rig.door._clients  # pyright: ignore[reportPrivateUsage]
        assert isinstance(client, Client)
        return client

    @contextlib.contextmanager
    def quiet(self) -> Generator[None]:
        """The loop logs nothing meanwhile, but that a turn took long, which a debugging one does."""
        with self.assertLogs("asyncio", "WARNING") as said:
            logging.getLogger("asyncio").warning("Executing")  # at least one line is wanted
            yield
        self.assertFalse([line for line in said.output if ":Executing" not in line])

    async def renew(self) -> None:
        """What the tick does when the files may have changed."""
        await self.tls.open()

    def hello(self) -> bytes:
        """The first flight of a client's handshake."""
        outgoing = ssl.MemoryBIO()
        shaking = client_context().wrap_bio(ssl.MemoryBIO(), outgoing)
        try:
            shaking.do_handshake()
        except ssl.SSLWantReadError:
            return outgoing.read()
        raise AssertionError("it needs an answer")


def record(kind: int, payload: bytes) -> bytes:
    """One TLS record in plain."""
    return struct.pack("!BHH", kind, 0x0303, len(payload)) + payload
