"""`carousel up`, once the settings are read: locks, sweeps, binds, runs the loop, leaves nothing behind."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from functools import partial
from pathlib import Path
from types import FrameType

from loadbalancer.queue_ports import QUEUE, slot_of
from loadbalancer.spawn import forking, listeners, procfs
from loadbalancer.spawn.listeners import BindError
from loadbalancer.spawn.plan import SupervisorPlan, write_private
from loadbalancer.spawn.shell import Shell

__all__ = ["SupervisorError", "SupervisorPlan", "run_supervisor"]

LOCK, PORTS = "supervisor.lock", "ports.json"
ORDERS_SOCKET, CONTROL_SOCKET = "supervisor.sock", "control.sock"
CONTROL_BACKLOG = 1024  # requests that wait while control restarts; gunicorn would ask for 2048
FAREWELL_TIMEOUT_S = 12.0  # a dozen containers take 2 s
HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)


class SupervisorError(Exception):
    """It can't start here; the text is one line for the operator. Nothing was started or changed."""


def run_supervisor(plan: SupervisorPlan) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP; returns 0 when every process of ours has ended.

    Must be called in the main thread of a process with no other threads, and as its last act: afterwards the
    signals that it heard are ignored. Raises SupervisorError.
    """
    with contextlib.ExitStack() as held:
        signals = held.enter_context(_hear())
        try:
            _own_directories(plan)
            held.enter_context(_lock(plan.state_dir / LOCK))
            _sweep(plan)
            _clear(plan.run_dir)
            shell = _prepare(plan, held)
        except (OSError, BindError) as error:
            raise SupervisorError(str(error)) from error
        forking.become_subreaper()
        held.callback(_sweep_at_end, plan)
        shell.run(signals)
        _say_farewell(plan)
        plan.log.info("ended")
    _forget_closed_terminal()
    return 0


def _own_directories(plan: SupervisorPlan) -> None:
    for path in (plan.state_dir, plan.run_dir):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)


@contextlib.contextmanager
def _lock(path: Path) -> Generator[None]:
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise SupervisorError(f"already running, pid {file.read().strip() or 'unknown'}") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _clear(run_dir: Path) -> None:
    """What an earlier run left: a data-path worker must not trust its snapshot, whose ports may be strangers' now."""
    for path in run_dir.iterdir():
        if not path.is_dir():
            path.unlink()


def _sweep(plan: SupervisorPlan) -> None:
    if pids := procfs.sweep(plan.cluster_id):
        plan.log.warning("killed leftovers", pids=pids)


def _sweep_at_end(plan: SupervisorPlan) -> None:
    """Whoever made itself a session of its own is not in a group of ours; after an error, everybody."""
    try:
        _sweep(plan)
    except OSError as error:
        plan.log.error("leftovers", reason=str(error))


def _say_farewell(plan: SupervisorPlan) -> None:
    if not plan.farewell:
        return
    try:
        subprocess.run(plan.farewell, timeout=FAREWELL_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        plan.log.error("not all has been removed", reason=str(error))


def _prepare(plan: SupervisorPlan, held: contextlib.ExitStack) -> Shell:
    slots, lacking = _bind(plan)
    for slot in slots:
        for sock in slot.values():
            held.callback(sock.close)
    control = _listen(plan.run_dir / CONTROL_SOCKET, CONTROL_BACKLOG, held)
    orders = _listen(plan.run_dir / ORDERS_SOCKET, 16, held)
    chosen = {name: sock.getsockname()[1] for name, sock in slots[0].items()}
    plan.write_files()
    _publish(plan, chosen)
    held.callback((plan.state_dir / PORTS).unlink, missing_ok=True)
    return Shell(plan, slots, control, orders, partial(ready_line, plan, chosen, lacking))


def _bind(plan: SupervisorPlan) -> tuple[list[dict[str, socket.socket]], str]:
    """The sockets of each slot, and why there is no queue port if its default can't be had."""
    slots = listeners.bind_ports(plan.bind, plan.ports, plan.workers)
    try:
        more = listeners.bind_ports(plan.bind, plan.optional_ports, plan.workers)
    except BindError as error:
        plan.log.warning("no queue port; --queue-port chooses another", reason=str(error))
        return slots, str(error)
    return [{**slot, **others} for slot, others in zip(slots, more, strict=True)], ""


def _listen(path: Path, backlog: int, held: contextlib.ExitStack) -> socket.socket:
    sock = listeners.listen_unix(str(path), backlog)
    held.callback(path.unlink, missing_ok=True)
    held.callback(sock.close)
    return sock


def _publish(plan: SupervisorPlan, chosen: Mapping[str, int]) -> None:
    """ports.json, whole or not at all."""
    places = {name: chosen.get(name) for name in ("main", "second", "admin", "tls", QUEUE)}
    found = {**places, "pid": os.getpid(), "url": url(plan.bind, chosen)}
    write_private(plan.state_dir / PORTS, json.dumps(found) + "\n")


def url(host: str, chosen: Mapping[str, int]) -> str:
    """Where the front door can be reached from this machine."""
    return f"http://{_reachable(host)}:{chosen.get('main') or next(iter(chosen.values()))}"


def _reachable(host: str) -> str:
    local = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}
    return local.get(host, f"[{host}]" if ":" in host else host)


def ready_line(plan: SupervisorPlan, chosen: Mapping[str, int], lacking: str, replicas: int) -> str:
    """What is said when everyone serves. `lacking`: why there is no port for the queue, "" if none is missed."""
    others = [f"{name} port {port}" for name, port in chosen.items() if name != "main" and slot_of(name) is None]
    queue = [f"queue {plan.queue}"] if plan.queue else _queue_words(plan.bind, chosen, lacking)
    start = f"Carousel is ready: {url(plan.bind, chosen)}"
    return ", ".join([start, *others, *queue, f"{replicas} replicas", f"pid {os.getpid()}"])


def _queue_words(host: str, chosen: Mapping[str, int], lacking: str) -> list[str]:
    """Where Kafka clients begin."""
    if QUEUE not in chosen:
        return [f"no queue port ({lacking})"] if lacking else []
    behind = [port for name, port in chosen.items() if name.startswith(f"{QUEUE}-")]
    more = f" (servers {behind[0]} to {behind[-1]})" if behind else ""
    return [f"queue {_reachable(host)}:{chosen[QUEUE]}{more}"]


@contextlib.contextmanager
def _hear() -> Generator[socket.socket]:
    """Signals as bytes on a socket. An ignored SIGHUP (nohup) stays ignored.

    Afterwards all are: one Ctrl-C more, while the last files are removed, must not spoil a clean end.
    """
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    heard = [number for number in HEARD if signal.getsignal(number) != signal.SIG_IGN or number == signal.SIGCHLD]
    for number in heard:
        signal.signal(number, _noted)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        reader.close()
        writer.close()


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The byte in the socket is all that is needed; a handler must exist for it to be written."""


def _forget_closed_terminal() -> None:
    """Python exits with 120 if it can't flush its streams at the end; a closed terminal is no failure."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
