"""A Docker engine in memory, held to the same contract suite as the real one (tests/unit/spawn/test_docker.py)."""

import itertools
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from loadbalancer.containers import CLUSTER, NODE, ROLE, is_living
from loadbalancer.spawn.base import RuntimeLost
from loadbalancer.spawn.docker_engine import NameTaken, NoImage, Refused

IMAGES = ("carousel-server", "example/slow")
SIGNALS = {"SIGTERM": 143, "SIGKILL": 137}


class FakeEvents:
    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[tuple[str, str, Mapping[str, str]] | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[tuple[str, str, Mapping[str, str]]]:
        return iter(self.queue.get, None)

    def close(self) -> None:
        self.queue.put(None)


class FakeEngine:
    """`rows` is the engine's own; what other clients do to it are the methods at the end."""

    def __init__(self, cluster_id: str = "test") -> None:
        self.cluster_id = cluster_id
        self.lock = threading.RLock()
        self.rows: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, str]] = {}
        self.networks: set[str] = set()
        self.streams: list[FakeEvents] = []
        self.pulled: list[str] = []
        self.unpacked: dict[str, tuple[str, bytes]] = {}
        self.away = False
        self.stubborn: set[str] = set()
        """Names of containers whose removal is refused."""
        self.dies_at_start: str | None = None
        """An exit code."""
        self._ids = (f"{number:064x}" for number in itertools.count(1))

    def list(self) -> list[Mapping[str, Any]]:
        with self._reached():
            return [dict(row) for row in self.rows.values() if row["Labels"].get(CLUSTER) == self.cluster_id]

    def make_network(self, name: str) -> None:
        with self._reached():
            self.networks.add(name)

    def make_volume(self, name: str, labels: Mapping[str, str]) -> None:
        with self._reached():
            if self.volumes.setdefault(name, dict(labels)).get(CLUSTER) != self.cluster_id:
                raise Refused(f"the volume {name} is there and isn't ours")

    def remove_volume(self, name: str) -> None:
        with self._reached():
            volume = self.volumes.get(name, {})
            if volume.get(CLUSTER) != self.cluster_id:
                return
            if any(row["Labels"].get(NODE) == volume[NODE] for row in self.rows.values()):
                raise Refused(f"remove {name}: volume is in use")
            del self.volumes[name]

    def create(self, **keywords: Any) -> str:
        with self._reached():
            if keywords["image"] not in (*IMAGES, *self.pulled):
                raise NoImage(keywords["image"])
            if keywords["name"] in [row["Names"][0][1:] for row in self.rows.values()]:
                raise NameTaken(keywords["name"])
            network = keywords["network"]
            return self._add(keywords["name"], keywords["labels"], network, "created")

    def pull(self, image: str) -> None:
        if image.startswith("no/"):
            raise Refused(f"pull access denied for {image}")
        self.pulled.append(image)

    def unpack(self, container: str, path: str, archive: bytes) -> None:
        with self._reached():
            if self._row(container)["State"] != "created":
                raise Refused(f"{container} runs already")
            self.unpacked[container] = (path, archive)

    def start(self, container: str) -> None:
        with self._reached():
            self._row(container)["State"] = "running"
            if self.dies_at_start is not None:
                self.exit(container, self.dies_at_start)

    def words(self, container: str) -> str:
        return "last words"

    def signal(self, container: str, name: str) -> None:
        with self._reached():
            row = self.rows.get(container)
            if row is not None and row["State"] == "running":
                self.exit(container, str(SIGNALS[name]))

    def remove(self, container: str) -> None:
        with self._reached():
            row = self.rows.get(container)
            if row is None:
                return
            if row["Names"][0][1:] in self.stubborn:
                raise Refused("device or resource busy")
            if is_living(row):
                self.exit(container, "137")
            del self.rows[container]

    def events(self) -> FakeEvents:
        with self._reached():
            stream = FakeEvents()
            self.streams.append(stream)
            return stream

    def close(self) -> None:
        pass

    # What happens to it from outside

    def exit(self, container: str, code: str, out_of_memory: bool = False) -> None:
        with self.lock:
            self._row(container)["State"] = "exited"
            if out_of_memory:
                self.tell("oom", container)
            self.tell("die", container, exitCode=code)

    def pause(self, container: str) -> None:
        self._row(container)["State"] = "paused"

    def tell(self, action: str, container: str, **attributes: str) -> None:
        for stream in self.streams:
            stream.queue.put((action, container, attributes))

    def cut(self) -> None:
        """All event streams end; what happens until there are new ones is not repeated."""
        with self.lock:
            streams, self.streams = self.streams, []
        for stream in streams:
            stream.close()

    def add_stranger(self, name: str) -> str:
        return self._add(name, {}, "bridge", "running")

    def add_leftover(self, name: str, node_id: int, state: str) -> str:
        labels = {CLUSTER: self.cluster_id, ROLE: "replica", NODE: str(node_id), "carousel.index": "1"}
        return self._add(name, labels, "net1", state)

    def _add(self, name: str, labels: Mapping[str, str], network: str, state: str) -> str:
        container = next(self._ids)
        address = f"10.0.0.{int(container, 16)}"
        self.rows[container] = {
            "Id": container,
            "Names": [f"/{name}"],
            "State": state,
            "Status": state,
            "Labels": dict(labels),
            "NetworkSettings": {"Networks": {network: {"IPAddress": address}}},
        }
        return container

    def _row(self, container: str) -> dict[str, Any]:
        return self.rows[container]

    def _reached(self) -> threading.RLock:
        if self.away:
            raise RuntimeLost("Docker: no such socket")
        return self.lock
