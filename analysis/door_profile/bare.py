"""The least that proxies: uvloop, two protocols, no HTTP; what it costs is loop and system calls, for everybody.

    python -m analysis.door_profile.bare PORT BACKEND-PORT…

A request is taken to be what one read brings, its answer likewise: right for small ones, of which each connection has
one under way. Writes are joined at the turn's end, as the front door joins them. Not for use: nothing is checked.
"""

import asyncio
import sys
from itertools import cycle
from typing import cast

import uvloop


class Bare:
    """What the connections share."""

    def __init__(self, ports: list[int]) -> None:
        self.idle: list[Far] = []
        self.ports = cycle(ports)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []
        self._opening: set[asyncio.Task[None]] = set()

    def write(self, transport: asyncio.Transport, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append((transport, data))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            transport.write(data)

    def carry(self, near: "Near", data: bytes) -> None:
        if self.idle:
            self._begin(self.idle.pop(), near, data)
        else:
            task = self._loop.create_task(self._open(near, data))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _begin(self, far: "Far", near: "Near", data: bytes) -> None:
        far.near = near
        self.write(far.transport, data)

    async def _open(self, near: "Near", data: bytes) -> None:
        _, far = await self._loop.create_connection(lambda: Far(self), "127.0.0.1", next(self.ports))
        self._begin(far, near, data)


class Near(asyncio.Protocol):
    """A client."""

    def __init__(self, bare: Bare) -> None:
        self.bare = bare

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.bare.carry(self, data)


class Far(asyncio.Protocol):
    """A backend; `near` is whose request is under way."""

    near: Near

    def __init__(self, bare: Bare) -> None:
        self.bare = bare

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.bare.idle.append(self)
        self.bare.write(self.near.transport, data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.bare.idle:
            self.bare.idle.remove(self)


async def serve(port: int, backends: list[int]) -> None:
    """Until it is killed."""
    loop = asyncio.get_running_loop()
    bare = Bare(backends)
    server = await loop.create_server(lambda: Near(bare), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
