"""A data-path worker: `python -m loadbalancer.aio.worker --config PATH --slot K`, on listening sockets of the
supervisor.

The sockets come by systemd's convention (LISTEN_FDS, LISTEN_FDNAMES: main, second, admin, tls, queue, queue-0 …) and
live on in the supervisor: what is queued on them waits for the next worker of the slot. It runs without control, from
the kept snapshot. It prints nothing (unless the access log is to go there); once it listens it writes `ready` to the
descriptor in READY_FD. SIGTERM drains it: no new connections, `Connection: close` on every answer, and exit 0 when no
client is left, or after the drain time-out. SIGINT and SIGHUP are the supervisor's business.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

import uvloop

from loadbalancer.aio.access_writer import AccessLog
from loadbalancer.aio.door import TICK_S, Door
from loadbalancer.aio.feed import Feed
from loadbalancer.aio.introduced import client_factory
from loadbalancer.aio.limits import limits_for, raise_descriptors
from loadbalancer.aio.queue_door import Arrival, QueueDoor
from loadbalancer.aio.tls import Tls
from loadbalancer.disk.certificate import Certificate
from loadbalancer.disk.log_file import LogFile
from loadbalancer.door_settings import DoorSettings
from loadbalancer.logs import configure, get_logger
from loadbalancer.queue_ports import slot_of

log = get_logger("door")

FIRST_FD = 3
ADMIN_LISTENER = "admin"
TLS_LISTENER = "tls"


def inherited() -> list[tuple[str, socket.socket]]:
    """The listening sockets that were handed down, with their names (empty if none was given)."""
    count = int(os.environ.get("LISTEN_FDS", "0"))
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    names += [""] * (count - len(names))
    return [(names[i], socket.socket(fileno=FIRST_FD + i)) for i in range(count)]


async def serve(settings: DoorSettings, slot: int, listeners: Sequence[tuple[str, socket.socket]]) -> None:
    """Run a worker on these sockets until it is told to end and has drained."""
    loop = asyncio.get_running_loop()
    wanted = settings.queue_connections if any(slot_of(name) is not None for name, _ in listeners) else 0
    limits = limits_for(raise_descriptors(), settings.client_connections, wanted)
    door = Door(settings, slot, limits)
    door.access = _access_log(settings, door)
    tls = Tls(door, Certificate(settings.tls_cert, settings.tls_key), get_logger(f"door-{slot}"))
    await tls.open()
    queue = QueueDoor(door, limits.queue)
    feed = Feed(door)
    feed.load()
    ended, queue_ended = asyncio.Event(), asyncio.Event()
    door.on_empty, queue.on_empty = ended.set, queue_ended.set
    feeding = loop.create_task(feed.run())
    await feed.informed()
    servers = [await _listen(door, queue, tls, name, sock, _separate_admin(listeners)) for name, sock in listeners]
    ticking = loop.create_task(_tick(door, queue, tls))
    loop.add_signal_handler(signal.SIGTERM, _drain, door, queue, servers)
    gc.freeze()  # the modules and the ring's table stay: no collection needs to look at them
    _tell_ready()
    await ended.wait()
    await queue_ended.wait()
    for task in (ticking, feeding):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await queue.close()
    await door.close()
    if door.access is not None:
        door.access.close()


def _access_log(settings: DoorSettings, door: Door) -> AccessLog | None:
    if not settings.access_log:
        return None
    file, log = LogFile(settings.access_log), get_logger(f"door-{door.slot}")
    return AccessLog(file, settings.access_log_format, settings.access_log_sample, door.counters, log)


def _separate_admin(listeners: Sequence[tuple[str, socket.socket]]) -> bool:
    return any(name == ADMIN_LISTENER for name, _ in listeners)


async def _listen(
    door: Door, queue: QueueDoor, tls: Tls, name: str, sock: socket.socket, separate_admin: bool
) -> asyncio.AbstractServer:
    protocol = _protocol(door, queue, tls, name, separate_admin)
    return await asyncio.get_running_loop().create_server(protocol, sock=sock, backlog=door.limits.burst)


def _protocol(
    door: Door, queue: QueueDoor, tls: Tls, name: str, separate_admin: bool
) -> Callable[[], asyncio.Protocol]:
    """An own port for control's paths takes them off the others, and serves nothing else."""
    queue_slot = slot_of(name)
    if queue_slot is not None:
        return lambda: Arrival(queue, queue_slot)
    is_admin = name == ADMIN_LISTENER
    admin, proxy = is_admin or not separate_admin, not is_admin
    make_client = client_factory(door, admin, proxy)
    return (lambda: tls.gate(make_client)) if name == TLS_LISTENER else make_client


async def _tick(door: Door, queue: QueueDoor, tls: Tls) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        now = monotonic()
        try:
            door.tick(now)
            queue.tick(now)
            tls.tick(now)
        except Exception:  # a fault of ours; without ticks, nothing here would time out any more
            log.exception("tick failed")


def _drain(door: Door, queue: QueueDoor, servers: Sequence[asyncio.AbstractServer]) -> None:
    for server in servers:
        server.close()
    door.drain(monotonic())
    queue.drain(monotonic())


def _tell_ready() -> None:
    fd = os.environ.get("READY_FD")
    if fd is not None:
        with contextlib.suppress(OSError):
            os.write(int(fd), b"ready\n")
            os.close(int(fd))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadbalancer.aio.worker")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--slot", type=int, required=True)
    given = parser.parse_args()
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    settings = DoorSettings.load(given.config)
    configure(settings.log_format)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # uvloop's warnings about TLS are in the hand of any client
    uvloop.run(serve(settings, given.slot, inherited()))


if __name__ == "__main__":
    main()
