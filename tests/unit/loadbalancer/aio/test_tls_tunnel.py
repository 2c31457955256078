"""Tunnels through TLS: a WebSocket as a browser opens it (wss), echoed byte for byte, and its ends."""

import asyncio
import hashlib
import random

from support.certificates import needs_openssl
from support.fake_replicas import Connection, Rig, Visit
from support.tls_case import TlsCase

HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
MANY_BYTES = 4 << 20


async def echo(visit: Visit) -> None:
    """Switch, then say back what comes, to its end."""
    visit.say(SWITCH)
    while data := await visit.reader.read(65536):
        visit.say(data)
        await visit.writer.drain()
    visit.close()


async def farewell(visit: Visit) -> None:
    """Switch, say something and end."""
    visit.say(SWITCH + b"last words")
    visit.close()


async def cut_off(visit: Visit) -> None:
    """Switch, and break off when something comes."""
    visit.say(SWITCH)
    await visit.reader.read(1)
    Connection(visit.reader, visit.writer).reset()


@needs_openssl
class TlsTunnels(TlsCase):
    async def tunnel(self, more: bytes = b"") -> Connection:
        client = await self.connect()
        client.send(HANDSHAKE + more)
        self.assertIn(b" 101 ", await client.head())
        return client

    async def all_gone(self, rig: Rig) -> None:
        counters = rig.door.counters
        await rig.until(lambda: not (rig.door.tunnels or counters.upstream_connections or counters.client_connections))
        self.assertEqual((counters.tunnels, set(counters.in_flight.values())), (0, {0}))

    async def test_bytes_come_back_and_the_replica_hears_of_https(self) -> None:
        rig = await self.rig(echo)
        client = await self.tunnel(more=b"early")
        self.assertEqual(await client.reader.readexactly(5), b"early")
        for data in (b"a", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 100):
            client.send(data)
            self.assertEqual(await client.reader.readexactly(len(data)), data)
        self.assertIn(b"\r\nX-Forwarded-Proto: https\r\n", rig.replicas[0].visits[0].head)
        await client.close()
        await self.all_gone(rig)

    async def test_much_both_ways_at_once(self) -> None:
        rig = await self.rig(echo)
        client = await self.tunnel()
        data = random.Random(1).randbytes(MANY_BYTES)
        came = asyncio.create_task(client.reader.readexactly(MANY_BYTES))
        for at in range(0, MANY_BYTES, 100_000):
            client.send(data[at : at + 100_000])
            await client.writer.drain()
        self.assertEqual(hashlib.sha256(await came).digest(), hashlib.sha256(data).digest())
        await client.close()
        await self.all_gone(rig)

    async def test_the_replicas_last_words_come_before_its_end(self) -> None:
        rig = await self.rig(farewell)
        client = await self.tunnel()
        self.assertEqual(await client.rest(), b"last words")
        await self.all_gone(rig)

    async def test_a_cut_passes_as_no_end(self) -> None:
        rig = await self.rig(cut_off)
        client = await self.tunnel()
        client.send(b"x")
        with self.assertRaises(OSError):  # neither TLS's farewell nor TCP's
            await client.rest()
        await self.all_gone(rig)

    async def test_a_client_that_goes_without_a_word(self) -> None:
        rig = await self.rig(echo)
        client = await self.tunnel()
        client.writer.transport.abort()
        await self.all_gone(rig)
