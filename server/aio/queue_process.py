"""The queue in a server's process: its directory, its listeners, its way to control, from start to an orderly end.

What holds (R3): the sockets are bound first, since control is told of them; but no connection is accepted before this
server is registered and has an image that knows its new epoch, and that it takes part: what it would say before may be
old, or that nobody is there, on which librdkafka rests for minutes.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from server.aio.control_link import ControlLink, Hooks
from server.aio.queue import Queue
from server.aio.replica_fetcher import ReplicaFetchers
from server.api.cluster_context import Outcome
from server.broker import BrokerSettings
from server.disk.data_dir import DataDir
from server.disk.files import FileDisk
from server.disk.image_store import ImageStore
from server.disk.last_run import boot_id, read_last_run, write_last_run
from server.disk.whole_files import write_durably
from server.log_settings import Fsync
from server.login import ClusterLogin
from server.queue_settings import CLIENT, INTERNAL, QueueSettings, parse_ports, ports_text
from server.registration import LastRun, directory_hex
from wire.cluster import Image
from wire.cluster_link import Registration, Stop
from wire.errors import ErrorCode

LOGS: Final = "logs"
"""The partitions' directories, below the data directory."""

PORTS: Final = "listeners.json"

LEAVE_S: Final = 5.0
"""How long a stop waits for control to give this server's leaderships to others."""


class _Control:
    """The way to control, before there is one: it is made with the ports that the queue has bound."""

    def __init__(self) -> None:
        self.link: ControlLink | None = None

    def ask(self, api_key: int, version: int, body: bytes, timeout_s: float, done: Callable[[Outcome], None]) -> None:
        if self.link is None:
            done(ErrorCode.NOT_CONTROLLER)
        else:
            self.link.ask(api_key, version, body, timeout_s, done)


class QueueProcess:
    """One server's queue. `start` may raise OSError; `stop` after it, once."""

    def __init__(self, settings: QueueSettings, data: DataDir) -> None:
        self._settings = settings
        self._data = data
        self._secret = settings.secret or Path(settings.secret_file or "").read_text().strip()
        self._boot = boot_id()
        self._last_run = read_last_run(data.path)
        self._image_store = ImageStore(data.path)
        self._control = _Control()
        self._epoch = -1
        self._is_serving = False
        self.client_address = ""
        """HOST:PORT of this server's own CLIENT listener, once it has started."""
        (data.path / LOGS).mkdir(mode=0o700, exist_ok=True)
        self.queue = Queue(
            data.meta.node_id,
            data.meta.cluster_id,
            FileDisk(data.path / LOGS),
            self._control,
            BrokerSettings(
                log_dir=str(data.path / LOGS),
                auto_create=settings.auto_create,
                cleaner_backoff_ms=settings.cleaner_backoff_ms,
                groups=settings.groups,
            ),
            settings.fsync,
            distrust=self._stop_before() is Stop.UNCLEAN and settings.fsync is not Fsync.ALWAYS,
            busy_poll_s=settings.busy_poll_us / 1e6,
        )
        self._fetchers = ReplicaFetchers(self.queue, self._secret)

    def _stop_before(self) -> Stop:
        return self._last_run.stop(self._boot)

    async def start(self) -> dict[str, tuple[str, int]]:
        """Bind, and begin to look for control. Where each listener is to be reached."""
        bound = await self._bind()
        advertised = self._settings.advertise(bound)
        self.client_address = ":".join(map(str, advertised[CLIENT]))
        self.queue.broker.started_with = self._started_with(bound, advertised)
        meta = self._data.meta
        registration = Registration(
            node_id=meta.node_id,
            cluster_id=meta.cluster_id,
            incarnation=uuid.uuid4().hex,
            directory=directory_hex(meta.directory_id),
            previous_epoch=self._last_run.epoch,
            stop=self._stop_before(),
            listeners=advertised,
            rack=self._settings.rack,
        )
        hooks = Hooks(self._granted, self._registered, self._applied, lambda: None, self.queue.when_opened)
        image = self._image_store.load()
        link = ControlLink(self._settings.control, self._secret, registration, image, self._image_store, hooks)
        self._control.link = link
        self._running = asyncio.create_task(link.run())
        self.queue.start()
        return advertised

    async def _bind(self) -> dict[str, int]:
        """All listeners' ports. One of the last run that somebody else has taken meanwhile is given up."""
        file = self._data.path / PORTS
        before = parse_ports(file.read_bytes()) if file.exists() else {}
        bound: dict[str, int] = {}
        for name, wanted in self._settings.ports.items():
            login = partial(ClusterLogin, self._secret) if name == INTERNAL else None
            bind = partial(self.queue.listen, name, self._settings.host, login=login, accept=False)
            try:
                bound[name] = await bind(wanted or before.get(name, 0))
            except OSError:
                if wanted:
                    raise
                bound[name] = await bind(0)
        if bound != before:
            write_durably(file, ports_text(bound))
        return bound

    def _started_with(self, bound: Mapping[str, int], advertised: Mapping[str, tuple[str, int]]) -> dict[str, str]:
        """For DescribeConfigs."""
        node_id = str(self._data.meta.node_id)
        host = self._settings.host
        return {
            **self._settings.told,
            "advertised.listeners": ",".join(f"{name}://{at[0]}:{at[1]}" for name, at in advertised.items()),
            "broker.id": node_id,
            "listeners": ",".join(f"{name}://{host}:{port}" for name, port in bound.items()),
            "log.dirs": str(self._data.path / LOGS),
            "node.id": node_id,
        }

    # --- control's word ----------------------------------------------------------------------------------------------

    def _granted(self, epoch: int) -> None:
        """In a thread: on disk before it is used."""
        self._last_run = LastRun(epoch, self._boot)
        write_last_run(self._data.path, self._last_run)

    def _registered(self, epoch: int) -> None:
        self._epoch = epoch
        if self._control.link is not None:
            self._applied(self._control.link.image)

    def _applied(self, image: Image) -> None:
        """R3: not before the image knows this life of ours."""
        known = image.brokers.get(self._data.meta.node_id)
        if known is None or known.epoch != self._epoch:
            return
        self.queue.apply(image)
        if not self._is_serving and not known.fenced:
            self._is_serving = True
            self.queue.put_strays_aside()
            self.queue.broker.ask_producer_ids()
            self.queue.when_opened(self.queue.accept)

    async def stop(self) -> None:
        """Give the leaderships away, answer what is due, sync everything, and say that all is well."""
        link = self._control.link
        assert link is not None
        if link.is_up:
            await link.leave(LEAVE_S)
        self._fetchers.stop()
        await self.queue.stop()
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        link.close()
        self._image_store.close()
        if self._last_run.epoch >= 0 and self.queue.is_sound:
            write_last_run(self._data.path, replace(self._last_run, is_clean=True))
