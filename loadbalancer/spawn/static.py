"""Backends that somebody else runs: taken in and forgotten, never started, stopped or replaced.

A member's name is its address, HOST:PORT. The runtime keeps nothing on disk, so control hands it the layout
that it had kept (`known`), and these members are there at once after a restart.
"""

from collections.abc import Iterable

from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.spawn.base import OnExit, SpawnError


class StaticRuntime:
    """Implements Runtime."""

    respawns = False

    def __init__(self, known: Iterable[ReplicaSpec] = ()) -> None:
        """Raises SpawnError if a name among `known` is no address."""
        self._members = {spec.name: member(spec) for spec in known}
        self._on_exit: OnExit | None = None

    async def open(self, on_exit: OnExit) -> None:
        self._on_exit = on_exit

    async def list(self) -> list[Instance]:
        return list(self._members.values())

    async def spawn(self, spec: ReplicaSpec) -> Instance:
        if spec.name in self._members:
            raise SpawnError(f"{spec.name} is a member already")
        self._members[spec.name] = taken = member(spec)
        return taken

    async def stop(self, name: str, grace_s: float) -> None:
        await self.kill(name)

    async def kill(self, name: str) -> None:
        gone = self._members.pop(name, None)
        if gone is not None and self._on_exit is not None:
            self._on_exit(gone.name, gone.handle, "forgotten")

    async def discard(self, node_id: int) -> None:
        """Their data is not ours."""

    async def close(self) -> None:
        self._on_exit = None


def member(spec: ReplicaSpec) -> Instance:
    """The instance that a static backend's name stands for. Raises SpawnError.

    >>> member(ReplicaSpec("[::1]:8080", 7, 1)).host
    '::1'
    """
    host, colon, port = spec.name.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or not port.isdecimal() or not 0 < int(port) < 65536:
        raise SpawnError(f"{spec.name} is not of the form HOST:PORT")
    return Instance(spec.name, spec.node_id, spec.index, bare, int(port), handle=spec.name)
