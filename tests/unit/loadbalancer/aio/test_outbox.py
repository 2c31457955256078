import asyncio

from support.door_case import DoorCase

from loadbalancer.aio.outbox import LARGE_BYTES, Outbox


class Peer(asyncio.Protocol):
    def __init__(self) -> None:
        self.gone = False
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # at once

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's has the methods, not the base class

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True


class Together(DoorCase):
    async def test_one_that_left_in_this_very_turn_takes_no_other_s_bytes_along(self) -> None:
        """uvloop refuses to write to a handle that is closed."""
        peers: list[Peer] = []
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: peers.append(Peer()) or peers[-1], "127.0.0.1", 0)
        self.addCleanup(server.close)
        ends = [await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(2)]
        while len(peers) < 2:
            await asyncio.sleep(0)
        outbox = Outbox()
        peers[0].transport.abort()
        outbox.write(peers[0].transport, b"to nobody")
        outbox.write(peers[1].transport, b"to somebody")
        async with asyncio.timeout(5):
            self.assertEqual(await ends[1][0].readexactly(11), b"to somebody")
        self.assertTrue(peers[0].gone)
        for _, writer in ends:
            writer.close()

    async def test_what_is_large_is_written_at_once_behind_what_waits(self) -> None:
        outbox, written = Outbox(), list[bytes]()

        class Transport(asyncio.WriteTransport):
            def write(self, data: bytes | bytearray | memoryview) -> None:
                written.append(bytes(data[:5]))

        small, large = b"small", b"large" * LARGE_BYTES
        outbox.write(Transport(), small)
        self.assertEqual(written, [])
        outbox.write(Transport(), large)
        self.assertEqual(written, [b"small", b"large"])
        outbox.write(Transport(), small)
        await asyncio.sleep(0)
        self.assertEqual(written, [b"small", b"large", b"small"])
