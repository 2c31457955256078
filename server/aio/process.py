"""A replica as a process: takes its directory and socket, serves until SIGTERM or SIGINT, leaves in order."""

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from server.aio.sockets import BACKLOG, http_socket
from server.disk.data_dir import DataDir, open_data_dir
from server.http_paths import PATHS
from server.queue_settings import QueueSettings
from server.replica import Gauges, Replica
from server.settings import Settings
from wire.aio.service import Request, Response, Service

if TYPE_CHECKING:
    from server.aio.queue_process import QueueProcess
    from server.rest.queue_http import QueueHttp

DRAIN_S: Final = 10.0
"""How long requests under way may take after SIGTERM: Docker's own grace before its SIGKILL."""


class DiskFailed(Exception):
    """It served until its disk failed, and has left in order: for another life, or another disk."""


_log = logging.getLogger("carousel.replica")


def run(settings: Settings, queue_settings: QueueSettings | None = None) -> None:
    """Serve until told to stop, or until its disk fails: DiskFailed. What `open_data_dir` and `http_socket` raise, it
    raises before it serves."""
    data = _open_data(settings)
    listener = http_socket(os.environ, os.getpid(), settings.host, settings.port)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, data, listener, queue_settings))


def _open_data(settings: Settings) -> DataDir | None:
    if settings.data_dir is None:
        return None
    return open_data_dir(Path(settings.data_dir), settings.cluster, settings.node_id)


async def _serve(
    settings: Settings, data: DataDir | None, listener: socket.socket, queue_settings: QueueSettings | None
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    replica, service = _service(settings)
    server = await loop.create_server(service.protocol, sock=listener, backlog=BACKLOG)
    _log.info("listening", extra={"fields": _where(listener, data)})
    queue = await _start_queue(queue_settings, data)
    if queue is not None:
        replica.add_metrics(queue.queue.metrics_text)
        queue.queue.on_disk_failed = stop.set
        if queue.queue.has_failed:
            stop.set()
    http_queue = _http_queue(settings, replica, queue)
    gc.freeze()  # modules and logs stay: a full collection that looked at them would delay who waits for an ack
    await stop.wait()
    _log.info("stopping", extra={"fields": {"in_flight": service.in_flight}})
    # The supervisor may hold the same socket: closing ours would leave clients in its backlog, unanswered.
    listener.shutdown(socket.SHUT_RD)
    server.close()
    if queue is not None:
        await queue.stop()
    cut = await service.drain(DRAIN_S)
    if http_queue is not None:
        await http_queue.close()
    _log.info("stopped", extra={"fields": {"cut": cut}})
    if queue is not None and queue.queue.has_failed:
        raise DiskFailed("its disk failed; the log says where")


async def _start_queue(settings: QueueSettings | None, data: DataDir | None) -> "QueueProcess | None":
    """Its modules are loaded only here: a server without a queue is to start as fast as ever."""
    if settings is None or data is None:
        return None
    from server.aio.queue_process import QueueProcess

    queue = QueueProcess(settings, data)
    where = await queue.start()
    _log.info("queue", extra={"fields": {name.lower(): f"{host}:{port}" for name, (host, port) in where.items()}})
    return queue


def _http_queue(settings: Settings, replica: Replica, queue: "QueueProcess | None") -> "_HttpQueue | None":
    """Over this server's own listener, if it has one; not both: what a cluster says of its addresses depends on the
    listener that is asked, and librdkafka connects anew whenever they change. None: no queue is known."""
    bootstrap = settings.bootstrap if queue is None else queue.client_address
    if bootstrap is None:
        return None
    http_queue = _HttpQueue(bootstrap, settings.control_http)
    replica.add_paths(http_queue.answer)
    replica.add_metrics(http_queue.metrics_text)
    return http_queue


class _HttpQueue:
    """The queue's plain HTTP interface, which is imported when the first of its calls comes."""

    def __init__(self, bootstrap: str, control: str | None) -> None:
        self._bootstrap = bootstrap
        self._control = control
        self._http: QueueHttp | None = None

    def answer(self, request: Request) -> Response | Awaitable[Response] | None:
        if request.path not in PATHS:
            return None
        if self._http is None:
            from server.rest.queue_http import QueueHttp, control_at, kafka_cluster

            self._http = QueueHttp(lambda: kafka_cluster(self._bootstrap), control_at(self._control))
        return self._http.answer(request)

    def metrics_text(self) -> str:
        return self._http.metrics_text() if self._http is not None else ""

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()


def _service(settings: Settings) -> tuple[Replica, Service]:
    def gauges() -> Gauges:
        return Gauges(service.in_flight, service.connections, _resident_bytes(), service.refused)

    replica = Replica(settings.identity, settings.home_format, time.time(), gauges)
    service = Service(replica.answer)
    return replica, service


def _where(listener: socket.socket, data: DataDir | None) -> dict[str, object]:
    host, port = listener.getsockname()[:2]
    where: dict[str, object] = {"address": f"[{host}]:{port}" if ":" in host else f"{host}:{port}"}
    if data is not None:
        where |= {"node_id": data.meta.node_id, "data_dir": str(data.path)}
    return where


def _resident_bytes() -> int:
    """This process's resident memory; 0 where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
