"""What a runtime is: it starts replicas, ends them for certain, and tells of every end. It decides nothing.

All of them (process, static, the fake, later docker and swarm) are held to tests/support/runtime_contract.py.
"""

from collections.abc import Callable
from typing import Protocol

from loadbalancer.instances import Instance, ReplicaSpec

OnExit = Callable[[str, str, str], None]  # name, handle, reason


class SpawnError(Exception):
    """A replica could not be started; the text says why. Nothing of it is left. Trying again may help."""


class NameInUse(SpawnError):
    """Somebody who isn't ours has that name: the same name will fail again."""


class RuntimeLost(ConnectionError):
    """The runtime itself can't be reached (its socket or engine): the call may have had its effect."""


class Runtime(Protocol):
    """One fleet of replicas. Calls may overlap; all but `open` and `close` may raise RuntimeLost.

    `stop` and `kill` of a name that is being spawned first let it start, and then end it.
    """

    respawns: bool
    """False: members come and go by /add and /rm only, and nothing is replaced."""

    async def open(self, on_exit: OnExit) -> None:
        """Before anything else. Raises RuntimeLost.

        From then on `on_exit` is called exactly once for every instance of ours that ends, whether that was
        asked for or not, and before the `stop` or `kill` that asked for it returns.
        """
        ...

    async def list(self) -> list[Instance]:
        """All of ours that live now, wanted or not, those of earlier controls too; strangers never."""
        ...

    async def spawn(self, spec: ReplicaSpec) -> Instance:
        """Returns when it is started, before it is healthy. Raises SpawnError, also for a name in use.

        If this is cancelled, the replica may run all the same: `list` shows it.
        """
        ...

    async def stop(self, name: str, grace_s: float) -> None:
        """SIGTERM, after `grace_s` SIGKILL; returns when it is proven gone. Unknown names: nothing to do."""
        ...

    async def kill(self, name: str) -> None:
        """SIGKILL at once, which ends a frozen one as well; returns when it is proven gone."""
        ...

    async def discard(self, node_id: int) -> None:
        """Remove the data of a node that has left the layout for good. Nothing of it lives. Unknown: nothing to do."""
        ...

    async def close(self) -> None:
        """Let go of the runtime. What becomes of the replicas is its own affair: processes go on."""
        ...
