"""Control put together: store, runtime, fleet, prober, feed and tickets around one controller, in one loop."""

import asyncio
import contextlib
import json
import os
import shlex
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loadbalancer import fleet_words as f
from loadbalancer import metrics
from loadbalancer import requests as r
from loadbalancer.aio.controller import Controller
from loadbalancer.aio.feed_server import FeedServer
from loadbalancer.aio.probes import Prober
from loadbalancer.aio.queue_calls import TOPICS_ADD, QueueAddresses, QueueCalls, queue_addresses
from loadbalancer.aio.queue_control import QueueControl, load_tail
from loadbalancer.aio.queue_link import LinkServer
from loadbalancer.aio.resolver import Resolver
from loadbalancer.aio.tickets import Tickets
from loadbalancer.containers import EXTERNAL_PORT, DockerOptions
from loadbalancer.counters import Totals
from loadbalancer.disk.keeper import Keeper
from loadbalancer.disk.secret import cluster_secret
from loadbalancer.event_log import EventLog
from loadbalancer.fleet import Fleet
from loadbalancer.fleet_state import FleetSettings
from loadbalancer.health import ALIVE_S, KILL_S, falls_within
from loadbalancer.instances import ReplicaSpec
from loadbalancer.layout import Layout
from loadbalancer.logs import get_logger
from loadbalancer.queue_calls import QueueCall
from loadbalancer.queue_recovery import CantRecover
from loadbalancer.queue_tail import Tail
from loadbalancer.queue_words import QueueSettings
from loadbalancer.rest.port import Busy
from loadbalancer.ring import RingSpec
from loadbalancer.settings import BACKEND, Paths, Settings, worker_count
from loadbalancer.spawn.base import Runtime, RuntimeLost
from loadbalancer.spawn.container_self import is_beside_replicas
from loadbalancer.spawn.fake import FakeRuntime
from loadbalancer.spawn.link import Link
from loadbalancer.spawn.process import ProcessOptions, ProcessRuntime
from loadbalancer.spawn.queue_env import queue_env, told_to_clients
from loadbalancer.spawn.static import StaticRuntime
from wire.aio.service import Service
from wire.cluster import Image
from wire.exchange import Answer, Request
from wire.http_queue import NAMES_TOPIC

FRONT_DOOR_ALIASES = frozenset({"carousel", "loadbalancer", "localhost"})
RECOVERED_S = 0.3  # for the answer of /admin/recover; who doesn't get it sees the event
LAST_WORDS_S = 1.0  # for waiters to read their answers when control ends

log = get_logger("control")


class Assembly:
    """Everything that belongs to one control, in its loop; all methods are the loop's own. Made by `assemble`."""

    def __init__(self, settings: Settings, replicas_asked: bool) -> None:
        self.settings = settings
        self.adopted = False
        self._replicas_asked = replicas_asked
        self._paths = Paths(settings.state_dir)
        self._totals = Totals()
        self._ring_members = 0
        self._told_ready = False
        self._starts = 1
        self._clock_offset_s = time.time() - asyncio.get_running_loop().time()

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        """Everything up to the point where `run` can adopt the fleet; `stack` undoes it. Raises OSError."""
        keeper = Keeper(self._paths.database)
        stack.callback(keeper.close)
        generation, record, events = await keeper.open(_least_generation(self._paths.snapshot))
        self.events_log = EventLog(events)
        self.tickets = Tickets(self.events_log)
        self.queue = await self._load_queue(keeper, generation) if self.settings.has_queue else None
        self._supervisor = Link(self._paths.supervisor_socket, generation, self._greeted, lambda _: None)
        await self._supervisor.open()
        stack.push_async_callback(self._supervisor.close)
        self._runtime = make_runtime(self.settings, self._paths, generation)
        self._feed = FeedServer(self._drained, self._worker_said, self._counted, worker_count(self.settings))
        fleet = Fleet(fleet_settings(self.settings, self._runtime.respawns))
        layout = self._load(fleet, record)
        self._recorded = record is not None
        self.controller = Controller(
            fleet, layout, self._runtime, keeper, self._feed, self.events_log, self.tickets, generation, self._stepped,
            self.queue,
        )  # fmt: skip
        await self._runtime.open(self.controller.exited)
        stack.push_async_callback(self._runtime.close)
        self.queue_calls = self._make_queue_calls() if self.settings.has_queue_http else None
        self._prober = Prober(
            fleet.probe_targets, self.controller.heard, self.settings.health_path, self.settings.health_interval,
            self.settings.health_timeout, Resolver(self.settings.dns_refresh, log),
        )  # fmt: skip

    async def _load_queue(self, keeper: Keeper, generation: int) -> QueueControl:
        """Its own word goes through the controller, which is made later than it."""
        try:
            tail, lost = await load_tail(keeper, generation), False
        except OSError as error:
            log.error("the queue's state is lost", error=str(error))
            tail, lost = Tail(Image(generation)), True
        return QueueControl(
            tail, queue_settings(self.settings), keeper,
            lambda event: self.controller.send(event), self._remark, self._listens, self._stepped, lost=lost,
        )  # fmt: skip

    def _make_queue_calls(self) -> QueueCalls:
        controller, queue, outside = self.controller, self.queue, self.settings.outside_queue
        if queue is None:
            where = QueueAddresses(lambda: outside, None)
        else:
            beside = self.settings.runtime != "docker" or is_beside_replicas()
            where = queue_addresses(lambda: queue.tail.image.brokers, "CLIENT" if beside else "EXTERNAL")
        calls = QueueCalls(
            self.tickets, controller.fleet, controller.send, controller.start, where, self.settings.health_path
        )
        if queue is not None:
            queue.on_topics_gone = lambda gone: (
                calls.topics_gone(gone) if NAMES_TOPIC in queue.tail.image.topics else None
            )
        return calls

    def _remark(self, kind: str, about: str, reason: str) -> None:
        self.controller.remark(kind, about, reason)

    def _listens(self, listeners: Mapping[int, Mapping[str, tuple[str, int]]]) -> None:
        """Which listener the front door's ports lead to: what it advertises must lead back here. A container's own
        address is not what it advertises there."""
        if self.settings.runtime == "docker":
            self.controller.listens(
                {node: ("", EXTERNAL_PORT) for node, found in listeners.items() if "EXTERNAL" in found}
            )
        else:
            self.controller.listens({node: found["CLIENT"] for node, found in listeners.items() if "CLIENT" in found})

    async def _serve_queue(self, queue: QueueControl, stack: contextlib.AsyncExitStack) -> None:
        """Before any server is started or adopted: it looks for the link at once."""
        secret = cluster_secret(self._paths.secret)
        links = queue.links = LinkServer(queue, secret, self.settings.cluster_id)
        if self.settings.runtime == "docker":
            await links.listen_tcp("0.0.0.0", self.settings.link_port)
        else:
            await links.listen_unix(self._paths.queue_socket)
        stack.push_async_callback(links.close)

    def _greeted(self, hello: dict[str, Any]) -> None:
        self._starts = hello["starts"]

    def _load(self, fleet: Fleet, record: dict[str, Any] | None) -> Layout:
        spec = RingSpec(self.settings.ring_hash, self.settings.ring_probe)
        if record is None:
            return Layout(spec)
        try:
            fleet.load(record["fleet"])
            return Layout(spec, record["layout"])
        except (ValueError, KeyError, TypeError) as error:
            log.error("the fleet's record is damaged: taking what lives", error=str(error))
            return Layout(spec)

    async def run(self, stack: contextlib.AsyncExitStack) -> None:
        """Adopt, then serve until cancelled."""
        if self.queue is not None:
            await self._serve_queue(self.queue, stack)
        await self.controller.step(f.Started(tuple(await self._runtime.list()), cold=self._starts <= 1))
        self.adopted = True
        await self._feed.start(self._paths.feed_socket)
        stack.push_async_callback(self._feed.close)
        await self._serve_waits(stack)
        self._change_target()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.controller.run())
            tasks.create_task(self._prober.run())
            if self.queue is not None:
                tasks.create_task(self.queue.run())

    async def _serve_waits(self, stack: contextlib.AsyncExitStack) -> None:
        service, path = Service(self._handle), self._paths.loop_socket
        path.unlink(missing_ok=True)
        server = await asyncio.get_running_loop().create_unix_server(service.protocol, str(path), backlog=1024)
        path.chmod(0o600)
        stack.push_async_callback(service.drain, LAST_WORDS_S)
        stack.callback(server.close)

    async def _handle(self, request: Request) -> Answer:
        """The handler of loop.sock's service."""
        if self.queue_calls is not None and request.path == TOPICS_ADD:
            return await self.queue_calls.handle(request)
        return await self.tickets.handle(request)

    def _change_target(self) -> None:
        """On a new `up` that asks for another number than the kept fleet has, as if by /add or /rm."""
        difference = self.settings.replicas - self.controller.fleet.target()
        if self._recorded and self._replicas_asked and self._starts <= 1 and difference and self._runtime.respawns:
            self.submit(r.Add(difference) if difference > 0 else r.Remove(-difference))

    # --- what the workers say

    def _drained(self, name: str) -> None:
        self.controller.send(f.Drained(name))

    def _worker_said(self, message: dict[str, Any]) -> None:
        """Ejections are each worker's own; they are kept as events, and change nothing in the fleet."""
        ejected = message["type"] == "ejected"
        self.controller.remark(message["type"], message["name"], message["reason"] if ejected else "answers again")

    def _counted(self, pid: int, report: dict[str, Any], alive: bool) -> None:
        if alive:
            self._totals.hear(pid, report)  # type: ignore[arg-type] - a worker of ours sent it; unknown fields are skipped
        else:
            self._totals.end(pid)

    def _stepped(self) -> None:
        """Tell the supervisor, once, when everyone who is wanted serves, the queue too: whichever server a Kafka client
        asks first lists all of them."""
        if self._told_ready or not self.adopted:
            return
        healthy, target = self._states()["healthy"], self.controller.fleet.target()
        if healthy >= target and (self.queue is None or self.queue.queue.is_whole()):
            self._told_ready = True
            self.controller.start(self._report_ready(healthy))

    async def _report_ready(self, replicas: int) -> None:
        await self.controller.settled()  # the front door's ports lead to all of them
        with contextlib.suppress(RuntimeLost):
            await self._supervisor.call("ready", replicas=replicas)

    # --- what Flask asks

    def cluster(self) -> dict[str, Any]:
        view = self.controller.fleet.view()
        for replica in view["replicas"]:
            replica["since"] = round(replica["since"] + self._clock_offset_s, 3)
        epoch = self.controller.epoch
        ring = self.controller.layout.describe()
        answer = {**view, "ring": ring, "version": epoch.version, "generation": epoch.generation}
        if self.queue is not None:
            return {**answer, "queue": self._describe_queue(self.queue, view["replicas"])}
        outside = self.settings.outside_queue
        return {**answer, "queue": {"bootstrap": outside, "outside": True}} if outside else answer

    def _describe_queue(self, queue: QueueControl, replicas: list[dict[str, Any]]) -> dict[str, Any]:
        """Adds each replica's `queue_address`, where its clients on this host connect. `bootstrap` is the front door's
        port for the queue, which leads to any of them; without one, their own addresses."""
        brokers = queue.tail.image.brokers
        addresses: list[str] = []
        for replica in replicas:
            broker = brokers.get(replica["node_id"])
            address = broker.listeners.get("CLIENT") if broker is not None and not broker.fenced else None
            shown = f"{address[0]}:{address[1]}" if address else None
            replica["queue_address"] = shown
            addresses += [shown] if shown else []
        told = told_to_clients(self.settings, self._paths) or ",".join(addresses)
        return {"bootstrap": told, **queue.queue.view()}

    def replicas(self) -> dict[str, Any]:
        return self.controller.fleet.replicas()

    def events(self, since: int, limit: int) -> list[dict[str, Any]]:
        return [event.to_json() for event in self.events_log.since(since, limit)]

    def submit(self, command: r.Command) -> str:
        number, ticket = self.tickets.open()
        if isinstance(command, r.Recover):
            self.controller.start(self._recover(number, command))
        else:
            self.controller.send(fleet_event(number, command))
        return ticket

    def submit_queue(self, call: QueueCall) -> str:
        if self.queue_calls is None:
            raise Busy("there is no queue")
        return self.queue_calls.submit(call)

    async def _recover(self, number: int, command: r.Recover) -> None:
        """What was recovered is committed; the next control goes on from it, as from any state that it finds."""
        try:
            if self.queue is None:
                raise CantRecover("there is no queue")
            text = await self.queue.recover(command.absent)
        except (CantRecover, OSError) as fault:
            self.tickets.answer(number, 400, {"message": f"<Error> {fault}", "status": "failure"})
            return
        self.tickets.answer(number, 200, {"message": f"recovered: {text}", "status": "successful"})
        asyncio.get_running_loop().call_later(RECOVERED_S, os.kill, os.getpid(), signal.SIGKILL)

    def metrics(self) -> metrics.Reading:
        settings, ring = self.settings, self.controller.layout.ring
        return metrics.Reading(
            report=self._totals.sum(),
            respawns=self.controller.respawns,
            ring_members=len(ring.members),
            ring_virtual_nodes=ring.virtual_nodes * len(ring.members),
            replicas=self._states(),
            workers=self._feed.connected,
            loop_lag_s=self._prober.lag_s,
            version=version("carousel"),
            runtime=settings.runtime,
            ring_hash=settings.ring_hash,
            policy=settings.policy,
            queue=None if self.queue is None else self.queue.queue.view(),
        )

    def _states(self) -> Counter[str]:
        return Counter(replica["state"] for replica in self.controller.fleet.view()["replicas"])


@contextlib.asynccontextmanager
async def assemble(
    settings: Settings, replicas_asked: bool
) -> AsyncGenerator[tuple[Assembly, contextlib.AsyncExitStack]]:
    """Open everything, and undo it at the end in the opposite order. The caller holds control's lock."""
    async with contextlib.AsyncExitStack() as stack:
        assembly = Assembly(settings, replicas_asked)
        await assembly.open(stack)
        yield assembly, stack


def make_runtime(settings: Settings, paths: Paths, generation: int) -> Runtime:
    match settings.runtime:
        case "process":
            return ProcessRuntime(
                ProcessOptions(
                    supervisor_socket=paths.supervisor_socket,
                    generation=generation,
                    nodes_dir=paths.nodes,
                    logs_dir=paths.logs,
                    cluster_id=settings.cluster_id,
                    server_command=tuple(shlex.split(settings.server_command)),
                    home_format=settings.home_format,
                    id_kind=settings.id_kind,
                    env=queue_env(settings, paths),
                )
            )
        case "docker":
            from loadbalancer.spawn.docker import DockerRuntime  # 0.2 s, for those who use it

            return DockerRuntime(docker_options(settings, paths))
        case "static":
            return StaticRuntime(
                ReplicaSpec(name, number, number) for number, name in enumerate(backend_weights(settings), start=1)
            )
        case "fake":
            return FakeRuntime(settings.home_format, settings.id_kind)


def queue_settings(settings: Settings) -> QueueSettings:
    return QueueSettings(
        partitions=settings.num_partitions,
        replication=settings.replication_factor,
        offsets_partitions=settings.offsets_partitions,
        synced=settings.queue_fsync == "always",
        max_moves=settings.queue_moves,
    )


def docker_options(settings: Settings, paths: Paths) -> DockerOptions:
    return DockerOptions(
        cluster_id=settings.cluster_id,
        network=settings.network,
        image=settings.image,
        server_command=tuple(shlex.split(settings.server_command)),
        port=settings.replica_port,
        memory_mb=settings.replica_memory_mb,
        cpus=settings.replica_cpus,
        home_format=settings.home_format,
        id_kind=settings.id_kind,
        env=queue_env(settings, paths),
        secret=cluster_secret(paths.secret) if settings.has_queue else "",
        advertised=(settings.queue_advertised_host, settings.queue_port + 1),
    )


def backend_weights(settings: Settings) -> dict[str, int]:
    """Weight by HOST:PORT, in the order of --backends."""
    matches = [match for backend in settings.backends if (match := BACKEND.fullmatch(backend))]
    return {f"{match['host']}:{match['port']}": int(match["weight"] or 1) for match in matches}


def fleet_settings(settings: Settings, respawns: bool) -> FleetSettings:
    return FleetSettings(
        replicas=settings.replicas,
        max_replicas=settings.replica_limit,
        fall=settings.health_fall,
        kill_fall=falls_within(KILL_S, settings.health_interval, settings.health_fall) if settings.has_queue else 0,
        alive_fall=falls_within(ALIVE_S, settings.health_interval, settings.health_fall) if settings.has_queue else 0,
        rise=settings.health_rise,
        start_timeout_s=settings.start_timeout,
        drain_timeout_s=settings.drain_timeout,
        respawns=respawns,
        reserved_names=FRONT_DOOR_ALIASES,
        name_prefix=settings.name_prefix,
        weights=tuple(backend_weights(settings).items()),
        queue=settings.has_queue,
        queue_slots=settings.queue_slots,
        leave_timeout_s=settings.leave_timeout,
    )


def fleet_event(number: int, command: r.Add | r.Remove | r.Drain | r.Undrain | r.SetWeight) -> f.Event:
    """A caller's command in the fleet's words."""
    match command:
        case r.Add():
            return f.AddRequested(number, command.n, command.hostnames)
        case r.Remove():
            return f.RemoveRequested(number, command.n, command.hostnames)
        case r.Drain():
            return f.DrainRequested(number, command.name)
        case r.Undrain():
            return f.UndrainRequested(number, command.name)
        case r.SetWeight():
            return f.WeightRequested(number, command.name, command.weight)


def _least_generation(snapshot: Path) -> int:
    """Above that of the snapshot that the workers kept: without it, a lost database would make them refuse ours."""
    try:
        return int(json.loads(snapshot.read_text())["epoch"][0]) + 1
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return 1
