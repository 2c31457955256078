"""The command line's way to a running system: its HTTP interface, found by --url or by the state directory."""

import contextlib
import http.client
import json
import os
import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values

from loadbalancer.settings import Paths

TIMEOUT_S = 90.0  # above start and drain time-outs, after which the front door itself answers
ANSWER_BYTES = 64 << 20


def state_dir_of_env_file() -> Path:
    """Where `carousel up` would run here, as far as .env says it; without it, `var`."""
    return Path(dotenv_values(".env").get("CAROUSEL_STATE_DIR") or "var")


class RemoteError(Exception):
    """No answer, or one that says no; the text is for the person at the terminal."""


class NotRunning(RemoteError):
    """No system runs in that state directory."""


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
            return cls._at(url, token)
        return cls._find_in(Paths(state_dir), token)

    @classmethod
    def _at(cls, url: str, token: str) -> "Remote":
        try:
            parts = urlsplit(url if "//" in url else f"http://{url}")
            host, port = parts.hostname, parts.port or 80  # a property that raises
        except ValueError:
            parts, host, port = None, None, 0
        if parts is None or parts.scheme != "http" or not host:
            raise RemoteError(f"--url: {url!r} is not http://HOST:PORT")
        return cls(host, port, token)

    @classmethod
    def _find_in(cls, paths: Paths, token: str) -> "Remote":
        try:
            ports = json.loads(paths.ports.read_text())
            kept = json.loads(paths.settings.read_text())
        except (OSError, ValueError):
            raise NotRunning(
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
            for line in self._lines(response):
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _lines(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        """Until it ends, in whatever way: the system went, or its data path was reloaded."""
        try:
            yield from response
        except (OSError, http.client.HTTPException) as error:
            raise RemoteError(f"the stream of {self.host}:{self.port} was broken off: {error}") from error

    def _connect(self, timeout_s: float | None) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return {**headers, "Authorization": f"Bearer {self.token}"} if self.token else headers

    def _unreachable(self, error: Exception) -> RemoteError:
        return RemoteError(f"no answer from {self.host}:{self.port}: {error or error.__class__.__name__}")


def tell_supervisor(state_dir: Path, request: dict[str, Any], until_it_ends: bool = False) -> dict[str, Any]:
    """One question to the supervisor over its socket. Raises RemoteError, NotRunning.

    With `until_it_ends` it returns when the supervisor, and so every process of the system, is gone.
    """
    paths = Paths(state_dir)
    with contextlib.ExitStack() as held:
        try:
            connection = held.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(paths.supervisor_socket))
            pidfd = os.pidfd_open(_listener(connection))  # before it is asked: the pid can't be another's
            held.callback(os.close, pidfd)
            connection.sendall(json.dumps({"id": 1, **request}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline() or "{}")
        except (OSError, ValueError):
            raise NotRunning(f"no system runs in {paths.state}") from None
        if not answer.get("ok"):
            raise RemoteError(str(answer.get("error", "the supervisor went away")))
        if until_it_ends:
            select.select([pidfd], [], [])
    return answer


def _listener(connection: socket.socket) -> int:
    """The pid of who listens at the other end."""
    form = struct.Struct("iII")
    return form.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, form.size))[0]
