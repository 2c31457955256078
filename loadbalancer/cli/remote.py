"""The command line's way to a running system: its HTTP interface, found by --url or by the state directory."""

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadbalancer.settings import Paths

TIMEOUT_S = 90.0  # above start and drain time-outs, after which the front door itself answers
ANSWER_BYTES = 64 << 20


class RemoteError(Exception):
    """No answer, or one that says no; the text is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Remote:
    """One running system. `token` goes with every call when there is one."""

    host: str
    port: int
    token: str = ""

    @classmethod
    def find(cls, state_dir: Path, url: str | None, token: str) -> "Remote":
        """By `url` (http://HOST:PORT), else by what the system left in `state_dir`. Raises RemoteError."""
        if url is not None:
            parts = urlsplit(url if "//" in url else f"http://{url}")
            if parts.scheme != "http" or not parts.hostname:
                raise RemoteError(f"--url: {url!r} is not http://HOST:PORT")
            return cls(parts.hostname, parts.port or 80, token)
        return cls._find_in(Paths(state_dir), token)

    @classmethod
    def _find_in(cls, paths: Paths, token: str) -> "Remote":
        try:
            ports = json.loads(paths.ports.read_text())
            kept = json.loads(paths.settings.read_text())
        except (OSError, ValueError):
            raise RemoteError(
                f"no system runs in {paths.state} (start one with `carousel up`, or name one by --state-dir or --url)"
            ) from None
        host = kept["bind"] if kept["bind"] not in ("0.0.0.0", "::", "") else "127.0.0.1"
        return cls(host, ports.get("admin") or ports["main"], token or kept.get("admin_token", ""))

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The JSON answer. Raises RemoteError with the answer's own message when it isn't 200."""
        status, payload = self._exchange(method, path, body)
        try:
            answer = json.loads(payload)
        except ValueError:
            raise RemoteError(f"{self.host}:{self.port} answered {status} and no JSON: is that a front door?") from None
        if status != 200:
            raise RemoteError(str(answer.get("message", answer)))
        return answer

    def _exchange(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        connection = self._connect(TIMEOUT_S)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, self._headers())
            response = connection.getresponse()
            return response.status, response.read(ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def follow(self, path: str) -> Iterator[dict[str, Any]]:
        """The events of a text/event-stream, until it ends. Raises RemoteError."""
        connection = self._connect(None)
        try:
            connection.request("GET", path, headers={**self._headers(), "Accept": "text/event-stream"})
            response = connection.getresponse()
            if response.status != 200:
                raise RemoteError(f"{path} answered {response.status}: {response.read(400)!r}")
            for line in response:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _connect(self, timeout_s: float | None) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return {**headers, "Authorization": f"Bearer {self.token}"} if self.token else headers

    def _unreachable(self, error: Exception) -> RemoteError:
        return RemoteError(f"no answer from {self.host}:{self.port}: {error or error.__class__.__name__}")


def tell_supervisor(state_dir: Path, request: dict[str, Any]) -> dict[str, Any]:
    """One question to the supervisor over its socket. Raises RemoteError."""
    path = Paths(state_dir).supervisor_socket
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(json.dumps({"id": 1, **request}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline() or "{}")
    except (OSError, ValueError):
        raise RemoteError(f"no system runs in {path.parent.parent}") from None
    if not answer.get("ok"):
        raise RemoteError(str(answer.get("error", "the supervisor went away")))
    return answer
