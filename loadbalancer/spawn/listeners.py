"""Binding: TCP ports for the worker slots, the private Unix sockets, and loopback sockets for replicas.

A port is first bound alone, which shows that nobody else has it, and only then opened to our other slots
(SO_REUSEPORT set after bind counts from then on), so there is no moment between the check and the use. That
first socket is slot 0's own. SO_REUSEADDR on Linux only steps over TIME_WAIT; it hides nobody's listener.

The road not taken: one socket shared by all workers. With epoll the kernel then mostly wakes the same worker,
which is busy while the other one sleeps.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

BACKLOG = 4096  # the kernel's own somaxconn since 5.4; it cuts this down where it is smaller
LOOPBACK = "127.0.0.1"
_UNUSABLE = {
    errno.EADDRINUSE: "is in use",
    errno.EACCES: "needs privileges",
    errno.EADDRNOTAVAIL: "can't be bound: no interface has that address",
}


class BindError(Exception):
    """A port or path can't be had. The text is one line for the operator, whose fault or choice it is."""


def bind_ports(host: str, ports: Mapping[str, int], slots: int) -> list[dict[str, socket.socket]]:
    """For each slot {name of the port: its listening socket}. Port 0: one is chosen, the same for all slots.

    Raises BindError, with nothing left open.
    """
    with contextlib.ExitStack() as opened:
        columns = {name: _bind_shared(host, port, slots, opened) for name, port in ports.items()}
        opened.pop_all()
    return [{name: column[slot] for name, column in columns.items()} for slot in range(slots)]


def _bind_shared(host: str, port: int, slots: int, opened: contextlib.ExitStack) -> list[socket.socket]:
    try:
        family, address = _resolve(host, port)
        first = opened.enter_context(_socket(family))
        first.bind(address)
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sockets = [first]
        for _ in range(slots - 1):
            sockets.append(opened.enter_context(_socket(family)))
            sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sockets[-1].bind(first.getsockname())
        for sock in sockets:
            sock.listen(BACKLOG)
    except OSError as error:
        why = _UNUSABLE.get(error.errno or 0, f"can't be bound: {error.strerror or error}")
        where = "" if error.errno in (errno.EADDRINUSE, errno.EACCES) else f" of {host}"
        raise BindError(f"port {port}{where} {why}") from error
    return sockets


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return family, address  # pyright: ignore[reportReturnType]  (TCP families have no bytes addresses)


def _socket(family: socket.AddressFamily) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setblocking(False)  # a property of the open file: the workers get it as it is
    return sock


def listen_unix(path: str, backlog: int) -> socket.socket:
    """A listening Unix socket that only this user may open. A file in its place is taken for a dead one's.

    Raises BindError. Only for the holder of the lock on the directory.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with contextlib.suppress(FileNotFoundError):
            Path(path).unlink()
        sock.bind(path)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise BindError(f"{path} can't be bound: {error.strerror or error}") from error
    finally:
        os.umask(mask)
    return sock


def bind_loopback() -> socket.socket:
    """A bound socket that does not listen: connecting is refused until the replica itself accepts."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.bind((LOOPBACK, 0))
    except OSError:
        sock.close()
        raise
    return sock


def free_port() -> int:
    """A loopback port that was free a moment ago, for a command that binds by itself ($PORT).

    Somebody may take it before the command does; then the command fails, is seen as dead, and its successor
    gets another one.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, 0))
        return sock.getsockname()[1]


def names_and_fds(slot: Mapping[str, socket.socket]) -> Sequence[tuple[str, int]]:
    """For LISTEN_FDNAMES: [(name, fd)], in the order of the ports."""
    return [(name, sock.fileno()) for name, sock in slot.items()]
