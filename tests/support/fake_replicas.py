"""Replicas that misbehave on demand, and a front door on loopback before them."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from time import monotonic, time
from typing import Any

from loadbalancer.aio.door import Door
from loadbalancer.aio.introduced import client_factory
from loadbalancer.aio.limits import Limits
from loadbalancer.door_settings import DoorSettings
from loadbalancer.hashes import key_of
from loadbalancer.snapshot import Epoch, Member, Snapshot

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Answerer = Callable[["Visit"], Awaitable[None]]


class Visit:
    """One request at a fake replica: its raw head and body, and the connection to do with as one likes."""

    def __init__(self, head: bytes, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = head
        self.body = body
        self.reader = reader
        self.writer = writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    def reset(self) -> None:
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


async def ok(visit: Visit) -> None:
    visit.say(OK)


def saying(data: bytes) -> Answerer:
    async def answer(visit: Visit) -> None:
        visit.say(data)

    return answer


async def reset(visit: Visit) -> None:
    visit.reset()


class FakeReplica:
    """Answers each request by `answer`, which may be changed at any time; `visits` are those seen so far."""

    def __init__(self, answer: Answerer = ok, path: str = "") -> None:
        self.answer = answer
        self.path = path
        self.port = 0
        self.visits: list[Visit] = []
        self.connections = 0
        self.seen = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        if self.path:
            self._server = await asyncio.start_unix_server(self._serve, self.path)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)
            self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    def close_connections(self) -> None:
        for writer in self._writers:
            writer.close()

    async def visited(self, count: int = 1) -> None:
        """Wait until `count` requests have come."""
        while len(self.visits) < count:
            self.seen.clear()
            await self.seen.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                visit = await self._read(reader, writer)
                self.visits.append(visit)
                self.seen.set()
                await self.answer(visit)
                if writer.is_closing():
                    break
        except (OSError, EOFError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Visit:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        if length > 65536:
            return Visit(head, b"", reader, writer)
        return Visit(head, await reader.readexactly(length), reader, writer)


class Connection:
    """A raw client of the door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def message(self) -> tuple[int, bytes, bytes]:
        """(status, head, body) of an answer with a Content-Length."""
        head = await self.head()
        lines = head.lower().split(b"\r\n")
        lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
        body = await self.reader.readexactly(lengths[0]) if lengths else b""
        return int(head.split(b" ")[1]), head, body

    async def get(self, target: bytes = b"/home", lines: bytes = b"") -> tuple[int, bytes, bytes]:
        self.send(b"GET %b HTTP/1.1\r\nHost: door\r\n%b\r\n" % (target, lines))
        return await self.message()

    async def rest(self) -> bytes:
        """All that comes until the door closes; ConnectionError if it resets."""
        return await self.reader.read()

    def reset(self) -> None:
        """Leave without a farewell."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Rig:
    """A front door over fake replicas with node ids 1, 2, 3 …, in this process."""

    def __init__(self, directory: str, clients: int = 1000, wall: Callable[[], float] = time, **settings: Any) -> None:
        paths = {
            name: f"{directory}/{name}" for name in ("control_socket", "loop_socket", "feed_socket", "snapshot_path")
        }
        wanted: dict[str, Any] = {"cluster_id": "test", "unknown_path": "pass", "route_by": "path"} | paths | settings
        self.door = Door(DoorSettings(**wanted), 0, Limits(clients, clients, clients), wall)
        self.said: list[dict[str, Any]] = []
        self.door.replicas.say = self.said.append
        self.replicas: list[FakeReplica] = []
        self.port = 0
        self._version = 0
        self._server: asyncio.Server | None = None
        self._connections: list[Connection] = []

    async def start(self, *answers: Answerer, admin: bool = True, proxy: bool = True) -> None:
        for answer in answers:
            replica = FakeReplica(answer)
            await replica.start()
            self.replicas.append(replica)
        self.publish()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(client_factory(self.door, admin, proxy), "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    def member(self, number: int, **changes: Any) -> Member:
        values: dict[str, Any] = {"name": f"S{number}", "host": "127.0.0.1", "port": self.replicas[number - 1].port}
        return Member(node_id=number, index=number, **(values | changes))

    def publish(self, **changes: dict[str, Any]) -> None:
        """A new snapshot; `S2={"routable": False}` changes that member."""
        self._version += 1
        numbers = range(1, len(self.replicas) + 1)
        members = tuple(self.member(number, **changes.get(f"S{number}", {})) for number in numbers)
        assert self.door.replicas.apply(Snapshot(Epoch(1, self._version), members))

    async def connect(self) -> Connection:
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self.port))
        self._connections.append(connection)
        return connection

    def owner(self, target: bytes) -> int:
        """The number of the replica that gets requests for `target` first (route_by path)."""
        return self.door.replicas.ring.owner(key_of(target))

    def target_of(self, number: int) -> bytes:
        """A path whose requests go to that replica first."""
        return next(b"/%d" % i for i in range(1000) if self.owner(b"/%d" % i) == number)

    def later(self, seconds: float, ticks: int = 4) -> None:
        """Let the door believe that this time has passed; four ticks look at clients once."""
        for _ in range(ticks):
            self.door.tick(monotonic() + seconds)

    async def turns(self, count: int = 20) -> None:
        """Let the loop run what is ready."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop run until the condition holds (the test's own time-out bounds it)."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0)

    async def stop(self) -> None:
        for connection in self._connections:
            await connection.close()
        assert self._server is not None
        self._server.close()
        await self.door.close()
        for replica in self.replicas:
            await replica.stop()
        await self._server.wait_closed()
        await self.turns()
