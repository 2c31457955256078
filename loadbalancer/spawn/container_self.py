"""What the front door knows of itself when it runs in a container."""

import socket
from pathlib import Path
from typing import Any

PROJECT = "com.docker.compose.project"
IN_CONTAINER = Path("/.dockerenv")
ROUTES = Path("/proc/net/route")
LOOK_TIMEOUT_S = 10


def compose_project() -> str:
    """The Compose project that this container belongs to: the cluster's id if nobody set one, so that losing the
    state directory orphans nothing. "" outside Compose, or when the engine doesn't say."""
    found = _look()
    labels: dict[str, str] = (found["Config"]["Labels"] or {}) if found else {}
    return labels.get(PROJECT, "")


def is_beside_replicas() -> bool:
    """Whether this is a container of the engine that runs the replicas, so that they find it by its name: a container
    may also be the machine that an engine of its own runs on."""
    return _look() is not None


def _look() -> dict[str, Any] | None:
    """This container as the engine knows it; None outside of containers, or when the engine doesn't say."""
    if not IN_CONTAINER.exists():
        return None
    import docker.errors  # 0.2 s, and only the Docker runtime needs it
    import requests

    try:
        client: Any = docker.from_env(timeout=LOOK_TIMEOUT_S)
        try:
            return client.api.inspect_container(socket.gethostname())
        finally:
            client.close()
    except (docker.errors.DockerException, requests.RequestException, OSError):
        return None


def gateway() -> str | None:
    """Where calls to the published ports seem to come from when they are made on the host: the gateway of this
    container's network. None outside a container, where that would be some router."""
    if not IN_CONTAINER.exists():
        return None
    try:
        return default_gateway(ROUTES.read_text())
    except OSError:
        return None


def default_gateway(routes: str) -> str | None:
    """From the text of /proc/net/route: interface, destination and gateway, as hexadecimal in host byte order.

    >>> default_gateway("Iface Destination Gateway\\neth0 00000000 010012AC 0003")
    '172.18.0.1'
    """
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 2 and fields[1] == "00000000" and fields[2] != "00000000":
            return socket.inet_ntoa(bytes.fromhex(fields[2])[::-1])
    return None
