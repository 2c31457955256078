"""The replica's listening socket: handed down by the supervisor (systemd's convention), or bound here."""

import socket
from collections.abc import Mapping
from typing import Final

BACKLOG: Final = 1024
"""Connections that wait to be accepted; the kernel lowers it to net.core.somaxconn."""
FIRST_FD: Final = 3
"""SD_LISTEN_FDS_START."""


def inherited_fds(environ: Mapping[str, str], pid: int) -> dict[str, int]:
    """The descriptors handed to process `pid`, by name ("fd3" … without one). Source: sd_listen_fds(3)."""
    if environ.get("LISTEN_PID") != str(pid) or not environ.get("LISTEN_FDS", "").isdigit():
        return {}
    given = environ.get("LISTEN_FDNAMES", "")
    names = given.split(":") if given else []
    count = int(environ["LISTEN_FDS"])
    return {(names[at] if at < len(names) else f"fd{FIRST_FD + at}"): FIRST_FD + at for at in range(count)}


def http_socket(environ: Mapping[str, str], pid: int, host: str, port: int) -> socket.socket:
    """The socket for HTTP: the inherited one called `http`, else the first one inherited, else a new one.

    It is bound, and may or may not listen yet. Raises OSError if the address can't be bound.
    """
    fds = inherited_fds(environ, pid)
    if fds:
        inherited = socket.socket(fileno=fds.get("http", FIRST_FD))
        inherited.set_inheritable(False)
        return inherited
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)
