"""`python -m loadbalancer.cli.healthy`: the image's health check. It exits with 0 if the front door serves, else 1.

It asks the data path, at the admin port if there is one, else at the main port. Where that demands a PROXY header, it
asks control by its own socket: only a trusted proxy may write that header, and this process is none.

The road not taken: `carousel status`, which needs half a second of imports, every ten seconds.
"""

import http.client
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 2.0  # the image grants three


class _Socket(http.client.HTTPConnection):
    """By a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def whom_to_ask(state_dir: Path) -> tuple[http.client.HTTPConnection, str]:
    """The connection, not yet made, and the path. Raises OSError or ValueError before there is a front door."""
    ports: dict[str, Any] = json.loads((state_dir / "ports.json").read_text())
    door: dict[str, Any] = json.loads((state_dir / "run" / "door.json").read_text())
    if door["accept_proxy_protocol"] and not ports["admin"]:
        return _Socket(state_dir / "run" / "control.sock"), "/rep"
    host: str = urlsplit(str(ports["url"])).hostname or ""
    port: int = ports["admin"] or ports["main"]
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S), "/admin/ready"


def is_healthy(state_dir: Path) -> bool:
    try:
        connection, path = whom_to_ask(state_dir)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        finally:
            connection.close()
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(not is_healthy(Path(os.environ.get("CAROUSEL_STATE_DIR", "var"))))
