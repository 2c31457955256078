"""Replicas as containers. The engine forks and reaps; what is ours is known by its labels (loadbalancer/containers.py).

Invariants:
- an instance is a container's id. It ends once: when the engine says `die`, or when it was removed, or when it is
  missing from a list that was asked for after it was known;
- a node's volume has one container at most. Before one is made, every other of the same node is removed, which kills
  it; that the heartbeats failed is no proof that it has stopped writing;
- a dead container is removed at once: it holds a name, and nobody asks it anything.

All calls of the SDK run in a few threads, because each waits for the engine; the state here belongs to the loop.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from loadbalancer import containers
from loadbalancer.containers import DockerOptions, Row
from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.spawn.base import NameInUse, OnExit, RuntimeLost, SpawnError
from loadbalancer.spawn.docker_engine import DockerEngine, Engine, NameTaken, NoImage, Refused
from loadbalancer.spawn.docker_events import EventThread

R = TypeVar("R")

CALL_THREADS = 8  # the engine does most of its work one after another; more only wait there instead of here
KILLED = "137"  # the exit code of what was removed while it lived
SIGTERM_AGAIN_S = 1.0  # the bundled server has its handler 0.2 s after its start


class DockerRuntime:
    """Implements Runtime."""

    respawns = True

    def __init__(self, options: DockerOptions, engine: Callable[[str, int], Engine] = DockerEngine.connect) -> None:
        """`engine` connects to one, given the cluster's id and the number of threads that will call it."""
        self.options = options
        self._connect = engine
        self._engine: Any = None  # an Engine from `open` to `close`
        self._events: EventThread | None = None
        self._threads = ThreadPoolExecutor(CALL_THREADS, "docker")
        self._on_exit: OnExit | None = None
        self._living: dict[str, Instance] = {}  # by handle
        self._ends: dict[str, asyncio.Event] = {}  # by handle, of the living
        self._ended: set[str] = set()  # handles that a list which was asked for earlier may still show
        self._out_of_memory: set[str] = set()
        self._beginning: dict[str, str] = {}  # created and not yet known to run: handle → how it has ended, if so
        self._starting: dict[str, asyncio.Task[Instance]] = {}  # by name
        self._removals: dict[str, asyncio.Task[None]] = {}  # by handle
        self._tasks: set[asyncio.Task[None]] = set()
        self._listing = asyncio.Lock()

    async def open(self, on_exit: OnExit) -> None:
        self._on_exit = on_exit
        self._engine = await self._call(partial(self._connect, self.options.cluster_id, CALL_THREADS))
        await self._call(self._engine.make_network, self.options.network)
        await self._remove_leftovers()
        self._events = EventThread(self._engine, self._connected, self._heard)
        self._events.start()

    async def list(self) -> list[Instance]:
        async with self._listing:
            known, ended = tuple(self._living), tuple(self._ended)
            rows = await self._call(self._engine.list)
        self._take(rows, known, ended)
        return list(self._living.values())

    async def spawn(self, spec: ReplicaSpec) -> Instance:
        if spec.name in self._starting or self._by_name(spec.name):
            raise SpawnError(f"{spec.name} is in use")
        task = self._starting[spec.name] = asyncio.create_task(self._spawn(spec), name=f"spawn {spec.name}")
        task.add_done_callback(partial(self._settled, spec.name))
        return await asyncio.shield(task)

    async def stop(self, name: str, grace_s: float) -> None:
        instance = await self._find(name)
        if instance is None:
            return
        end = self._ends[instance.handle]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._ask_to_end(instance.handle, end)
        await self._remove(instance.handle)

    async def kill(self, name: str) -> None:
        instance = await self._find(name)
        if instance is not None:
            await self._remove(instance.handle)

    async def discard(self, node_id: int) -> None:
        """Remove the data of a node that has left the layout for good. Its last container is dead, but the engine lets
        go of the volume only when that is removed, which may be under way. One that lives keeps its volume."""
        try:
            await self._remove_where(lambda row: containers.node_of(row) == node_id and self._has_ended(row))
            await self._call(self._engine.remove_volume, containers.volume_name(self.options.cluster_id, node_id))
        except Refused as error:
            raise RuntimeLost(f"Docker: {error}") from error

    async def close(self) -> None:
        """The containers go on; calls that are under way are waited for."""
        self._on_exit = None
        if self._events is not None:
            await asyncio.to_thread(self._events.close)
        under_way: Sequence[asyncio.Future[Any]] = [*self._starting.values(), *self._removals.values(), *self._tasks]
        if under_way:
            await asyncio.wait(under_way)
        await asyncio.to_thread(self._threads.shutdown)
        if self._engine is not None:
            self._engine.close()

    # Starting

    async def _spawn(self, spec: ReplicaSpec) -> Instance:
        try:
            await self._make_room(spec)
            await self._call(self._engine.make_volume, *self._volume(spec))
            return await self._begin(await self._create(spec))
        except NameTaken as error:
            raise NameInUse(f"the name {spec.name} is taken by a container that isn't ours") from error
        except Refused as error:
            raise SpawnError(str(error)) from error

    async def _make_room(self, spec: ReplicaSpec) -> None:
        """End whatever of ours has the node's volume, and remove what is left of its name."""
        await self._remove_where(
            lambda row: containers.node_of(row) == spec.node_id or containers.name_of(row) == spec.name
        )

    async def _remove_where(self, ours: Callable[[Row], bool]) -> None:
        rows: Sequence[Row] = await self._call(self._engine.list)
        await asyncio.gather(*(self._remove(row["Id"]) for row in rows if ours(row)))

    def _volume(self, spec: ReplicaSpec) -> tuple[str, dict[str, str]]:
        cluster = self.options.cluster_id
        labels = {**containers.labels_of(cluster), containers.NODE: str(spec.node_id)}
        return containers.volume_name(cluster, spec.node_id), labels

    async def _create(self, spec: ReplicaSpec) -> str:
        create = partial(self._engine.create, **containers.creation(self.options, spec))
        try:
            return await self._call(create)
        except NoImage:
            await self._call(self._engine.pull, self.options.image)
        return await self._call(create)

    async def _begin(self, handle: str) -> Instance:
        """Start what was created. Raises SpawnError when that fails, or it has ended already; it is then removed."""
        self._beginning[handle] = ""
        try:
            if self.options.secret:
                archive = containers.secret_archive(self.options.secret)
                await self._call(self._engine.unpack, handle, containers.DATA_DIR, archive)
            await self._call(self._engine.start, handle)
            instance = await self._read(handle)
            if reason := self._beginning[handle]:
                raise Refused(f"it ended at once: {await self._last_words(handle, reason)}")
        except (Refused, RuntimeLost):
            await self._discard(handle)
            raise
        finally:
            del self._beginning[handle]
            self._out_of_memory.discard(handle)
        self._know(instance)
        return instance

    async def _read(self, handle: str) -> Instance:
        rows: Sequence[Row] = await self._call(self._engine.list)
        row = next((row for row in rows if row["Id"] == handle), None)
        instance = None if row is None else self._instance(row)
        if row is None or instance is None:
            raise Refused("it was removed while it started")
        if not containers.is_living(row):
            self._beginning[handle] = self._beginning[handle] or row["Status"]
        return instance

    async def _last_words(self, handle: str, reason: str) -> str:
        words = await self._call(self._engine.words, handle)
        return f"{reason}: {words}" if words else reason

    async def _discard(self, handle: str) -> None:
        """After a failure; if this fails as well, the next of the same node or name makes room."""
        self._ended.add(handle)
        with contextlib.suppress(Refused, RuntimeLost):
            await self._call(self._engine.remove, handle)

    def _settled(self, name: str, task: asyncio.Task[Instance]) -> None:
        del self._starting[name]
        if not task.cancelled():
            task.exception()  # whoever waited may have been cancelled, and it is no news to anybody else

    # Ending

    async def _find(self, name: str) -> Instance | None:
        while name in self._starting:
            await asyncio.wait([self._starting[name]])
        return self._by_name(name)

    def _by_name(self, name: str) -> Instance | None:
        return next((instance for instance in self._living.values() if instance.name == name), None)

    async def _ask_to_end(self, handle: str, end: asyncio.Event) -> None:
        """SIGTERM, and again: as process 1 of its container it does not hear one before it has a handler for it."""
        for patience_s in (SIGTERM_AGAIN_S, None):
            await self._call(self._engine.signal, handle, "SIGTERM")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await end.wait()
                    return

    async def _remove(self, handle: str) -> None:
        """Kill and remove; returns when it is gone, and was told. Whoever asks at once waits for the same removal."""
        task = self._removals.get(handle)
        if task is None:
            task = self._removals[handle] = asyncio.create_task(self._removal(handle), name=f"remove {handle[:12]}")
        await asyncio.shield(task)

    async def _removal(self, handle: str) -> None:
        try:
            await self._call(self._engine.remove, handle)
        except Refused as error:
            raise RuntimeLost(f"Docker: {error}") from error
        finally:
            del self._removals[handle]
        self._end(handle, containers.end_reason(KILLED, handle in self._out_of_memory))

    def _has_ended(self, row: Row) -> bool:
        return row["Id"] in self._ended or not containers.is_living(row)

    def _remove_soon(self, handle: str) -> None:
        """In the background. If it fails, the next one of its node makes room, or the next control does."""

        async def remove() -> None:
            with contextlib.suppress(RuntimeLost):
                await self._remove(handle)

        task = asyncio.create_task(remove(), name=f"tidy {handle[:12]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end(self, handle: str, reason: str) -> None:
        instance = self._living.pop(handle, None)
        if instance is None:
            return
        self._ended.add(handle)
        self._ends.pop(handle).set()
        self._out_of_memory.discard(handle)
        if self._on_exit is not None:
            self._on_exit(instance.name, handle, reason)

    # What the engine says

    def _connected(self) -> None:
        """Events may have been missed: compare, soon."""

        async def compare() -> None:
            with contextlib.suppress(RuntimeLost, Refused):
                await self.list()

        task = asyncio.create_task(compare(), name="compare")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _heard(self, action: str, handle: str, attributes: Mapping[str, str]) -> None:
        if action not in ("oom", "die") or not (handle in self._living or handle in self._beginning):
            return
        if action == "oom":
            self._out_of_memory.add(handle)
        reason = containers.end_reason(attributes.get("exitCode", ""), handle in self._out_of_memory)
        if handle in self._beginning:
            self._beginning[handle] = reason
        else:
            # After `oom` it is half dead at best: its end is made certain, and told when the engine says `die`.
            if action == "die":
                self._end(handle, reason)
            self._remove_soon(handle)

    def _take(self, rows: Sequence[Row], known: Collection[str], ended: Collection[str]) -> None:
        """Compare with what the engine listed; `known` and `ended` are our words from before it was asked."""
        present = {row["Id"] for row in rows}
        living = {row["Id"]: row for row in rows if containers.is_living(row)}
        self._ended.difference_update(handle for handle in ended if handle not in present)
        for handle in known:
            if handle in self._living and handle not in living:
                self._end(handle, "ended unseen")
                self._remove_soon(handle)
        for handle, row in living.items():
            instance = self._instance(row)
            if instance and handle not in self._ended and handle not in self._beginning:
                self._know(instance)

    def _instance(self, row: Row) -> Instance | None:
        return containers.instance_of(row, self.options.network, self.options.port)

    def _know(self, instance: Instance) -> None:
        self._living[instance.handle] = instance
        self._ends.setdefault(instance.handle, asyncio.Event())

    async def _remove_leftovers(self) -> None:
        """The dead, and what an earlier control had created but not started; then learn who lives."""
        rows: Sequence[Row] = await self._call(self._engine.list)
        dead = [row["Id"] for row in rows if not containers.is_living(row)]
        await asyncio.gather(*map(self._remove, dead), return_exceptions=True)
        self._take(rows, (), ())

    async def _call(self, call: Callable[..., R], *arguments: object) -> R:
        """Bounded by the engine's own time-outs."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
