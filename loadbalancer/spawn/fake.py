"""Replicas inside this process, with faults at will: for tests, and for a front door without processes.

A second implementation, held to the same contract as the real ones. Each replica is an HTTP server on a
loopback port of its own, which answers /home and /heartbeat as the bundled server does.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Literal

from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.spawn.base import OnExit, SpawnError
from wire.aio.service import Request, Response, Service

HOST = "127.0.0.1"


@dataclass(eq=False, slots=True)
class FakeReplica:
    """One running replica and what ails it."""

    instance: Instance
    service: Service
    server: asyncio.Server
    lively: asyncio.Event  # cleared: it answers nothing
    gone: asyncio.Future[None]
    deaf: bool = False  # SIGTERM means nothing to it
    cut: asyncio.Future[int] | None = None  # its last connections


class FakeRuntime:
    """Implements Runtime. What it runs ends with `close`, as processes end with their supervisor.

    Faults: `crash`, `hang` and `wake`, `refuse`, `deafen`, and `fail_next_spawns`. They raise KeyError for a
    name that does not run.
    """

    respawns = True

    def __init__(
        self, home_format: str = "Hello from Server: {id}", id_kind: Literal["name", "index"] = "name"
    ) -> None:
        self.home_format = home_format
        self.id_kind = id_kind
        self.replicas: dict[str, FakeReplica] = {}
        self._on_exit: OnExit | None = None
        self._starting: dict[str, asyncio.Event] = {}
        self._spawned = 0
        self._failures: list[str] = []

    async def open(self, on_exit: OnExit) -> None:
        self._on_exit = on_exit

    async def list(self) -> list[Instance]:
        return [replica.instance for replica in self.replicas.values()]

    async def spawn(self, spec: ReplicaSpec) -> Instance:
        if spec.name in self.replicas or spec.name in self._starting:
            raise SpawnError(f"{spec.name} is already running")
        if self._failures:
            raise SpawnError(self._failures.pop(0))
        settled = self._starting[spec.name] = asyncio.Event()
        try:
            replica = await self._start(spec)
        finally:
            settled.set()
            del self._starting[spec.name]
        return replica.instance

    async def stop(self, name: str, grace_s: float) -> None:
        """Requests under way are finished within the grace."""
        replica = await self._find(name)
        if replica is None:
            return
        willing = replica.lively.is_set() and not replica.deaf
        if willing:
            replica.server.close()
            await replica.service.drain(grace_s)
        else:
            await asyncio.wait([replica.gone], timeout=grace_s)
        await self._end(replica, "exit 0" if willing else "SIGKILL")

    async def kill(self, name: str) -> None:
        replica = await self._find(name)
        if replica is not None:
            await self._end(replica, "SIGKILL")

    async def discard(self, node_id: int) -> None:
        """They keep none."""

    async def close(self) -> None:
        self._on_exit = None
        for name in list(self.replicas):
            await self.kill(name)

    # Faults

    def crash(self, name: str, reason: str = "SIGKILL") -> None:
        """It is gone at once, its connections are reset, and `on_exit` says so."""
        self._end(self.replicas[name], reason)

    def hang(self, name: str) -> None:
        """Its port takes connections, but nothing is answered: frozen, or in an endless loop."""
        self.replicas[name].lively.clear()

    def wake(self, name: str) -> None:
        self.replicas[name].lively.set()

    def refuse(self, name: str) -> None:
        """It lives, but its port is closed."""
        self.replicas[name].server.close()

    def deafen(self, name: str) -> None:
        """It ignores SIGTERM, so that `stop` needs all of its grace."""
        self.replicas[name].deaf = True

    def fail_next_spawns(self, count: int, reason: str = "no space left on device") -> None:
        self._failures += [reason] * count

    # Inside

    async def _start(self, spec: ReplicaSpec) -> FakeReplica:
        shown = spec.name if self.id_kind == "name" else str(spec.index)
        message = self.home_format.replace("{id}", shown)
        home = json.dumps({"message": message, "status": "successful"}).encode()
        lively = asyncio.Event()
        lively.set()

        async def answer(request: Request) -> Response:
            await lively.wait()
            return answers(home, request.path)

        service = Service(answer)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(service.protocol, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        self._spawned += 1
        instance = Instance(spec.name, spec.node_id, spec.index, HOST, port, handle=f"fake-{self._spawned}")
        self.replicas[spec.name] = replica = FakeReplica(instance, service, server, lively, gone=loop.create_future())
        return replica

    async def _find(self, name: str) -> FakeReplica | None:
        while name in self._starting:
            await self._starting[name].wait()
        return self.replicas.get(name)

    def _end(self, replica: FakeReplica, reason: str) -> asyncio.Future[int]:
        """It is gone; to be awaited until its connections are, too. Again: nothing happens."""
        if not replica.gone.done():
            replica.server.close()
            del self.replicas[replica.instance.name]
            replica.gone.set_result(None)
            replica.cut = asyncio.ensure_future(replica.service.drain(0))
            if self._on_exit is not None:
                self._on_exit(replica.instance.name, replica.instance.handle, reason)
        assert replica.cut is not None
        return replica.cut


def answers(home: bytes, path: str) -> Response:
    """As the bundled server answers."""
    if path == "/home":
        return Response(200, home)
    if path == "/heartbeat":
        return Response(200)
    return Response(404, b'{"message": "not found", "status": "failure"}')
