"""Peers that leave at every byte, on both sides: the front door is well afterwards and keeps nothing of them."""

import asyncio
from pathlib import Path
from typing import Any

import structlog.testing
from support.answer_readers import READERS, Told
from support.door_case import DoorCase
from support.fake_replicas import Visit, ok
from support.recorder import Leaver, connect, converse, reset_transport

REQUESTS = {
    "no body": b"GET /home HTTP/1.1\r\nHost: door\r\nX-Key: a\r\n\r\n",
    "a length": b"PUT /home HTTP/1.1\r\nHost: door\r\nContent-Length: 20\r\n\r\n" + b"b" * 20,
    "chunks": b"POST /home HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
}
ANSWERS = {
    "a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nX: y\r\n\r\n" + b"b" * 20, b"b" * 20),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n", b"hello"),
}


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def leave_by_reset(visit: Visit) -> None:
    reset_transport(visit.writer.transport)


class ResetCase(DoorCase):
    """What is common: no error in the loop or the log, nothing under way, no descriptor kept."""

    async def asyncSetUp(self) -> None:
        self.faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.faults.append(context))
        self.logged = self.enterContext(structlog.testing.capture_logs())

    async def begin(self, *answers: Any, **settings: Any) -> None:
        self.front = await self.rig(*answers, admin=False, **settings)
        self.counters = self.front.door.counters
        await self.served()
        await self.quiet()
        self.before = descriptors()

    async def served(self) -> None:
        """An honest client is answered."""
        client = await connect(self.front.port)
        client.transport.write(REQUESTS["no body"])
        await self.front.until(lambda: client.received.endswith(b"\r\n\r\nok"))
        client.transport.close()
        await client.end()

    async def quiet(self) -> None:
        await self.front.until(
            lambda: not any(self.counters.in_flight.values()) and not self.counters.client_connections
        )
        for replica in self.front.replicas:
            replica.close_connections()
        await self.front.until(lambda: not self.counters.upstream_connections)
        await self.front.turns()

    async def assert_well(self) -> None:
        for replica in self.front.replicas:
            replica.answer = ok
        self.front.later(60)  # an ejected replica's trial
        await self.front.turns(200)
        await self.served()
        await self.quiet()
        self.assertLessEqual(descriptors(), self.before)
        self.assertEqual(self.faults, [])
        self.assertEqual([entry for entry in self.logged if entry["log_level"] in ("error", "critical")], [])


class Clients(ResetCase):
    async def test_who_resets_within_a_request(self) -> None:
        await self.begin(ok)
        for name, request in REQUESTS.items():
            for end in range(len(request) + 1):
                with self.subTest(name, end=end):
                    client = await connect(self.front.port)
                    client.transport.write(request[:end])
                    await self.front.turns(end % 4 * 5)  # perhaps it was read meanwhile, perhaps answered
                    client.reset()
                    await client.end()
        await self.quiet()
        await self.assert_well()

    async def test_who_ends_its_side_within_a_request(self) -> None:
        await self.begin(ok)
        for name, request in REQUESTS.items():
            for end in range(len(request) + 1):
                with self.subTest(name, end=end):
                    client = await connect(self.front.port)
                    client.transport.write(request[:end])
                    client.transport.write_eof()
                    self.assertFalse(await client.end())
                    answered = bytes(client.received).startswith(b"HTTP/1.1 200")
                    self.assertEqual(answered, end == len(request), client.received)
        await self.assert_well()

    async def test_who_resets_within_its_answer(self) -> None:
        for name, (said, _) in ANSWERS.items():
            await self.begin(ok)

            async def bit_by_bit(visit: Visit, said: bytes = said) -> None:
                for at in range(len(said)):
                    if not visit.writer.is_closing():
                        visit.say(said[at : at + 1])
                        await asyncio.sleep(0)

            self.front.replicas[0].answer = bit_by_bit
            for end in range(len(said)):
                with self.subTest(name, end=end):
                    client = await connect(self.front.port)
                    client.transport.write(REQUESTS["no body"])
                    for _ in range(end * 2):
                        await asyncio.sleep(0)
                    client.reset()
                    await client.end()
            await self.quiet()
            await self.assert_well()


class Replicas(ResetCase):
    async def test_who_ends_within_an_answer(self) -> None:
        """Its client gets the whole answer, a 502, or sees that what it has is not the whole."""
        for name, (said, body) in ANSWERS.items():
            head_end = said.index(b"\r\n\r\n") + 4
            for leave in (leave_by_reset, Visit.close):
                await self.begin(ok)
                for end in range(len(said) + 1):
                    with self.subTest(name, end=end, leave=leave.__name__):

                        async def part(visit: Visit, end: int = end, said: bytes = said, leave: Any = leave) -> None:
                            visit.say(said[:end])
                            await asyncio.sleep(0)
                            await asyncio.sleep(0)
                            leave(visit)

                        self.front.replicas[0].answer = part
                        received, reset = await self.ask()
                        if end == len(said):
                            self.assert_told(received, reset, Told(200, body))
                        elif end < head_end:
                            self.assertTrue(received.startswith(b"HTTP/1.1 502 "), received)
                        else:
                            self.assertTrue(reset, received)
                            self.assert_told(received, reset)
                await self.quiet()
                await self.assert_well()

    async def ask(self) -> tuple[bytes, bool]:
        client = await connect(self.front.port)
        client.transport.write(b"POST /home HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n")
        reset = await client.end()
        return bytes(client.received), reset

    def assert_told(self, received: bytes, reset: bool, *told: Told) -> None:
        for name, reader in READERS.items():
            reading = reader(received, (b"POST",), reset)
            self.assertEqual((reading.messages, reading.rest), (told, not told), name)

    async def test_who_resets_within_a_request(self) -> None:
        """Its client, still sending, is told so."""
        leaver = Leaver()
        await leaver.start()
        self.addAsyncCleanup(leaver.stop)
        await self.begin(ok)
        port = self.front.replicas[0].port
        for name in ("a length", "chunks"):
            request = REQUESTS[name].replace(b"PUT", b"POST").replace(b"door", b"door\r\nX-Request-Id: a")
            self.front.publish(S1={"port": leaver.port})
            for leaver.patience_bytes in range(1, len(request) + 1):
                with self.subTest(name, patience=leaver.patience_bytes):
                    received, _ = await converse(self.front.port, [request[:-20], *map(bytes, zip(request[-20:]))])
                    self.assertRegex(received, b"^HTTP/1.1 50[23] ")
            self.front.publish(S1={"port": port})
            await self.quiet()
            await self.assert_well()
