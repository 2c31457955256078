"""The Docker engine as the runtime sees it: a few blocking calls, each bounded, in words of its own.

Threads share one `Engine`. Every call raises RuntimeLost when the engine can't be reached or does not answer, and
Refused when it answers that it won't; that something is gone already is an answer, not an error.
"""

import contextlib
import json
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Protocol, Self, cast

import docker
import docker.errors
import requests

from loadbalancer.containers import CLUSTER, Row, labels_of
from loadbalancer.spawn.base import RuntimeLost

CALL_TIMEOUT_S = 60  # a create or a kill takes 0.1 to 1 s; on a disk that is busy with a build, tens of them
REMOVAL_POLL_S = 0.05
REMOVAL_TIMEOUT_S = 20.0
CONFLICT, NOT_MODIFIED = 409, 304


class Refused(Exception):
    """The engine said no; the text is its reason. Trying again may help."""


class NameTaken(Refused):
    """A container of that name is there, ours or a stranger's."""


class NoImage(Refused):
    """The image is not on this machine."""


class Events(Protocol):
    """What happens to our containers, as it happens: (action, id, attributes). Ends when closed or cut off."""

    def __iter__(self) -> Iterator[tuple[str, str, Mapping[str, str]]]: ...
    def close(self) -> None: ...


class Engine(Protocol):
    """What the runtime needs of Docker. Another one is in tests/support/fake_engine.py."""

    def list(self) -> list[Row]:
        """All containers of this cluster, whatever their state."""
        ...

    def make_network(self, name: str) -> None:
        """Join it if it is there, else make it, labelled as ours."""
        ...

    def make_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Take it if it is there and ours, else make it. Raises Refused for a stranger's."""
        ...

    def remove_volume(self, name: str) -> None:
        """If it is there and ours. Raises Refused while a container has it."""
        ...

    def create(self, **keywords: Any) -> str:
        """The id. Raises NameTaken, NoImage, Refused."""
        ...

    def pull(self, image: str) -> None: ...

    def unpack(self, container: str, path: str, archive: bytes) -> None:
        """Put a tar archive's files below `path`, which must be a volume's where the root is read-only."""
        ...

    def start(self, container: str) -> None:
        """Raises Refused, with the engine's reason (no such command …)."""
        ...

    def words(self, container: str) -> str:
        """The last line that it wrote, or ""."""
        ...

    def signal(self, container: str, name: str) -> None:
        """Also to a paused one, which hears it. One that does not run is left alone."""
        ...

    def remove(self, container: str) -> None:
        """SIGKILL, and returns when it is gone: process, container, name and endpoint. Volumes with a name stay."""
        ...

    def events(self) -> Events: ...
    def close(self) -> None: ...


class DockerEngine:
    """The real one, by the environment's DOCKER_HOST or the usual socket."""

    def __init__(self, client: docker.DockerClient, cluster_id: str) -> None:
        self._client: Any = client  # the SDK has no types
        self._cluster_id = cluster_id
        self._filter = [f"{label}={value}" for label, value in labels_of(cluster_id).items()]

    @classmethod
    def connect(cls, cluster_id: str, threads: int) -> Self:
        """Raises RuntimeLost."""
        with _answers():
            return cls(docker.from_env(timeout=CALL_TIMEOUT_S, max_pool_size=threads), cluster_id)

    def list(self) -> list[Row]:
        with _answers():
            return self._client.api.containers(all=True, filters={"label": self._filter})

    def make_network(self, name: str) -> None:
        with _answers():
            if not self._client.api.networks(names=[f"^{name}$"]):
                ours = {CLUSTER: self._cluster_id}
                self._client.api.create_network(name, driver="bridge", check_duplicate=True, labels=ours)

    def make_volume(self, name: str, labels: Mapping[str, str]) -> None:
        with _answers():
            volume: dict[str, Any] = self._client.api.create_volume(name, labels=dict(labels))
        found: dict[str, str] = volume["Labels"] or {}
        if found.get(CLUSTER) != self._cluster_id:
            raise Refused(f"the volume {name} is there and isn't ours")

    def remove_volume(self, name: str) -> None:
        with _answers(), _passing():
            volume: dict[str, Any] = self._client.api.inspect_volume(name)
            found: dict[str, str] = volume["Labels"] or {}
            if found.get(CLUSTER) == self._cluster_id:
                self._client.api.remove_volume(name)

    def create(self, **keywords: Any) -> str:
        with _answers():
            try:
                return self._client.containers.create(**keywords).id
            except docker.errors.ImageNotFound as error:
                raise NoImage(str(error.explanation)) from error
            except docker.errors.APIError as error:
                if _status(error) == CONFLICT:
                    raise NameTaken(str(error.explanation)) from error
                raise

    def pull(self, image: str) -> None:
        with _answers():
            self._client.images.pull(image)

    def unpack(self, container: str, path: str, archive: bytes) -> None:
        with _answers():
            self._client.api.put_archive(container, path, archive)

    def start(self, container: str) -> None:
        with _answers():
            self._client.api.start(container)

    def words(self, container: str) -> str:
        with _answers(), contextlib.suppress(docker.errors.NotFound):
            written: bytes = self._client.api.logs(container, tail=1)
            return written.decode(errors="replace").strip()
        return ""

    def signal(self, container: str, name: str) -> None:
        with _answers(), _passing(CONFLICT):
            self._client.api.kill(container, signal=name)

    def remove(self, container: str) -> None:
        with _answers():
            with _passing(CONFLICT):  # somebody else is removing it
                self._client.api.remove_container(container, force=True, v=True)
            self._wait_until_removed(container)

    def _wait_until_removed(self, container: str) -> None:
        deadline = time.monotonic() + REMOVAL_TIMEOUT_S
        with contextlib.suppress(docker.errors.NotFound):
            while time.monotonic() < deadline:
                self._client.api.inspect_container(container)
                time.sleep(REMOVAL_POLL_S)
            raise RuntimeLost(f"{container[:12]} is being removed, but does not go")

    def events(self) -> Events:
        since = int(time.time()) - 1  # the engine subscribes after it has answered: what came in between is repeated
        wanted = {"type": "container", "event": ["die", "oom"], "label": self._filter}
        with _answers():
            return _Events(self._client.api.events(since=since, filters=wanted))

    def close(self) -> None:
        self._client.close()

    # For the end of the system, and for `make clean`

    def remove_network(self, name: str) -> None:
        """If it is ours and nobody is on it."""
        with _answers(), _passing(403, CONFLICT):
            ours = f"{CLUSTER}={self._cluster_id}"
            for network in self._client.api.networks(names=[f"^{name}$"], filters={"label": ours}):
                self._client.api.remove_network(network["Id"])

    def remove_volumes(self) -> None:
        """All of ours that no container holds."""
        with _answers(), _passing(CONFLICT):
            found: dict[str, Any] = self._client.api.volumes(filters={"label": self._filter})
            volumes: list[dict[str, Any]] = found["Volumes"] or []
            for volume in volumes:
                self._client.api.remove_volume(volume["Name"])


class _Events:
    """The SDK's stream of bytes, taken apart; whatever breaks it ends it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[tuple[str, str, Mapping[str, str]]]:
        buffer = b""
        with contextlib.suppress(OSError, ValueError, requests.RequestException):
            for chunk in self._stream:
                *lines, buffer = (buffer + cast(bytes, chunk)).split(b"\n")
                for event in map(json.loads, filter(None, lines)):
                    yield event["Action"], event["Actor"]["ID"], event["Actor"]["Attributes"]

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # the SDK's close fails on a stream at its end
            self._stream.close()


@contextlib.contextmanager
def _answers() -> Generator[None]:
    """The SDK's exceptions in our words."""
    try:
        yield
    except docker.errors.APIError as error:
        raise Refused(str(error.explanation or error)) from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        if isinstance(error, RuntimeLost):
            raise
        raise RuntimeLost(f"Docker: {error}") from error


@contextlib.contextmanager
def _passing(*statuses: int) -> Generator[None]:
    """Not there any more, or one of these answers: nothing to do."""
    try:
        yield
    except docker.errors.APIError as error:
        if _status(error) not in (404, NOT_MODIFIED, *statuses):
            raise


def _status(error: Any) -> int:
    return error.response.status_code if error.response is not None else 0
