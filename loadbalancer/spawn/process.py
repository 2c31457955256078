"""Replicas as processes of this machine. The supervisor forks and reaps; here is what a replica is given.

An instance is pid and start time together, and it counts as gone when the supervisor has reaped it and seen
its process group empty. Nothing is lost with control: the supervisor keeps node id, index and address beside
each child and lists them for the next one.
"""

import asyncio
import contextlib
import fcntl
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.spawn.base import OnExit, RuntimeLost, SpawnError
from loadbalancer.spawn.link import Link, Message
from loadbalancer.spawn.listeners import LOOPBACK, free_port

LOG_BYTES = 10 * 1024 * 1024  # a log larger than this is moved aside at the next start: two such are kept at most
LOG_FILES = 200  # the newest are kept: three for each of 64 replicas
BUNDLED = (sys.executable, "-m", "server")


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """Paths are absolute. `server_command` empty: the bundled server. `env` is added for each replica."""

    supervisor_socket: Path
    generation: int
    nodes_dir: Path
    logs_dir: Path
    cluster_id: str
    server_command: tuple[str, ...] = ()
    home_format: str = "Hello from Server: {id}"
    id_kind: Literal["name", "index"] = "name"
    env: Mapping[str, str] = field(default_factory=dict[str, str])


class ProcessRuntime:
    """Implements Runtime, over the supervisor's socket."""

    respawns = True

    def __init__(self, options: ProcessOptions) -> None:
        self.options = options
        self.starts = 0
        """Which control of this supervisor's life this is (known after `open`); 1: the first, all is new."""
        self._link = Link(options.supervisor_socket, options.generation, self._greeted, self._heard)
        self._on_exit: OnExit | None = None
        self._living: dict[str, Instance] = {}
        self._gone: dict[str, asyncio.Event] = {}  # by handle
        self._starting: dict[str, asyncio.Event] = {}  # by name

    async def open(self, on_exit: OnExit) -> None:
        self._on_exit = on_exit
        await self._link.open()

    async def list(self) -> list[Instance]:
        await self._link.call("list", self._listed)
        return list(self._living.values())

    async def spawn(self, spec: ReplicaSpec) -> Instance:
        if spec.name in self._starting:
            raise SpawnError(f"{spec.name} is being started already")
        settled = self._starting[spec.name] = asyncio.Event()
        try:
            return await self._spawn(spec)
        finally:
            settled.set()
            del self._starting[spec.name]

    async def stop(self, name: str, grace_s: float) -> None:
        instance = await self._find(name)
        if instance is None:
            return
        await self._signal(instance, "SIGTERM")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._until_gone(instance)
        await self._kill(instance)

    async def kill(self, name: str) -> None:
        instance = await self._find(name)
        if instance is not None:
            await self._kill(instance)

    async def discard(self, node_id: int) -> None:
        """Remove the node's directory, if it is what `spawn` made it and nobody holds its lock. Raises OSError."""
        await asyncio.to_thread(discard, self.options.nodes_dir / str(node_id))

    async def close(self) -> None:
        await self._link.close()
        self._on_exit = None

    async def report_ready(self, replicas: int) -> None:
        """The fleet serves: the supervisor prints its ready line, the first time. Raises RuntimeLost."""
        await self._link.call("ready", replicas=replicas)

    # Orders

    async def _spawn(self, spec: ReplicaSpec) -> Instance:
        try:
            order = self._prepare(spec)
        except OSError as error:
            raise SpawnError(str(error)) from error
        answer = await self._link.call("spawn", self._started, **order)
        if not answer["ok"]:
            raise SpawnError(answer["error"])
        return instance_of(answer)

    def _prepare(self, spec: ReplicaSpec) -> dict[str, Any]:
        """The order's fields. Makes the directories; raises OSError."""
        options = self.options
        data_dir, log_path = options.nodes_dir / str(spec.node_id), options.logs_dir / f"{spec.name}.log"
        for path in (data_dir, options.logs_dir):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        prune(options.logs_dir)
        rotate(log_path)
        port = free_port() if options.server_command else 0
        return {**order_of(options, spec, port), "log_path": str(log_path)}

    async def _find(self, name: str) -> Instance | None:
        while name in self._starting:
            await self._starting[name].wait()
        return self._living.get(name)

    async def _kill(self, instance: Instance) -> None:
        await self._signal(instance, "SIGKILL")
        await self._until_gone(instance)

    async def _until_gone(self, instance: Instance) -> None:
        gone = self._gone.get(instance.handle)
        if gone is not None:
            await gone.wait()

    async def _signal(self, instance: Instance, word: str) -> None:
        """To the group. Its exit is heard before the refusal of a signal to one that is gone."""
        if not self._is_living(instance):
            return
        pid, start_time = map(int, instance.handle.split(":"))
        known = {"name": instance.name, "pid": pid, "start_time": start_time}
        answer = await self._link.call("signal", **known, signal=word, group=True)
        if not answer["ok"] and self._is_living(instance):
            raise RuntimeLost(answer["error"])

    # What the supervisor says

    def _greeted(self, hello: Message) -> None:
        self.starts = hello["starts"]
        self._listed(hello)

    def _listed(self, answer: Message) -> None:
        """What is not listed has ended while nobody listened."""
        found = {child.handle: child for child in instances_of(answer["children"])}
        for instance in [known for known in self._living.values() if known.handle not in found]:
            self._ended(instance, "ended unseen")
        for instance in found.values():
            self._living[instance.name] = instance
            self._gone.setdefault(instance.handle, asyncio.Event())

    def _started(self, answer: Message) -> None:
        if answer["ok"]:
            instance = instance_of(answer)
            self._living[instance.name] = instance
            self._gone[instance.handle] = asyncio.Event()

    def _heard(self, event: Message) -> None:
        instance = self._living.get(event["name"])
        if event["event"] == "exited" and instance is not None and instance.handle == handle_of(event):
            self._ended(instance, event["reason"])

    def _ended(self, instance: Instance, reason: str) -> None:
        del self._living[instance.name]
        self._gone.pop(instance.handle).set()
        if self._on_exit is not None:
            self._on_exit(instance.name, instance.handle, reason)

    def _is_living(self, instance: Instance) -> bool:
        known = self._living.get(instance.name)
        return known is not None and known.handle == instance.handle


def order_of(options: ProcessOptions, spec: ReplicaSpec, port: int) -> dict[str, Any]:
    """What the supervisor is told to start; `port` is only for a command of the user's own."""
    env = {
        **options.env,
        "SERVER_ID": spec.name if options.id_kind == "name" else str(spec.index),
        "NODE_ID": str(spec.node_id),
        "DATA_DIR": str(options.nodes_dir / str(spec.node_id)),
        "HOME_FORMAT": options.home_format,
        "HOST": LOOPBACK,
    }
    meta: dict[str, str | int] = {"node_id": spec.node_id, "index": spec.index}
    common = {"name": spec.name, "cwd": None}  # the supervisor's own, where a relative command makes sense
    if not options.server_command:
        return {**common, "argv": BUNDLED, "socket": "listen", "env": env, "meta": meta}
    meta |= {"host": LOOPBACK, "port": port}
    env["PORT"] = str(port)
    return {**common, "argv": options.server_command, "socket": "none", "env": env, "meta": meta}


def instances_of(children: Iterable[Mapping[str, Any]]) -> list[Instance]:
    return [instance_of(child) for child in children if child["role"] == "replica"]


def instance_of(child: Mapping[str, Any]) -> Instance:
    """From the supervisor's words about a replica that was ordered here, by this control or one before."""
    return Instance(
        name=child["name"],
        node_id=child["node_id"],
        index=child["index"],
        host=child["host"],
        port=child["port"],
        handle=handle_of(child),
        pid=child["pid"],
    )


def handle_of(child: Mapping[str, Any]) -> str:
    return f"{child['pid']}:{child['start_time']}"


def discard(data_dir: Path) -> None:
    """Remove a data directory that nobody has locked. Raises BlockingIOError if somebody has, or another OSError."""
    with contextlib.suppress(FileNotFoundError):
        if data_dir.is_symlink():
            raise NotADirectoryError(f"{data_dir} is a link: somebody else made it")
        with (data_dir / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(data_dir)


def prune(directory: Path, keep: int = LOG_FILES) -> None:
    """Remove all but the newest `keep` logs: each replacement has a name and so a log of its own. Raises OSError."""
    logs = sorted(directory.glob("*.log*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in logs[keep:]:
        path.unlink(missing_ok=True)


def rotate(path: Path, limit_bytes: int = LOG_BYTES) -> None:
    """Move a long log aside, over the one before it. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > limit_bytes:
            path.replace(path.with_name(path.name + ".1"))
