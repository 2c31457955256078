"""The compose system under test, as a user runs it, under a project, network, ports and names of its own.

A running demo is never met, and nothing of it is left: what it made is known by its project.
"""

import contextlib
import http.client
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Generator
from typing import Any, cast

import docker
import docker.errors

from analysis.ports import free_ports, free_range
from analysis.provenance import ROOT
from analysis.served import Served

PATIENCE_S = 60.0
COMMAND_TIMEOUT_S = 180.0
POLL_S = 0.02
FRONT_IMAGE = "carousel:latest"
REPLICAS = 3
QUEUE_PORTS = 9
"""The bootstrap port and eight servers': each costs the engine a process, and a test has five servers at most."""


def commands() -> list[list[str]]:
    """Every Compose on this machine: v2 as a plugin, and 1.29."""
    if shutil.which("docker") is None:
        return []
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    found = [["docker", "compose"]] if plugin else []
    return found + ([["docker-compose"]] if shutil.which("docker-compose") else [])


class Composed(Served):
    """One project; `client` is the SDK's, for what happens from outside."""

    def __init__(self, client: Any, command: list[str], **settings: str) -> None:
        self.client = client
        self.project = f"carousel-test-{secrets.token_hex(3)}"
        self.network = f"{self.project}-net"
        self.port, self.second_port = free_ports(2)
        self.queue_port = free_range(QUEUE_PORTS)
        self._command = command
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CAROUSEL_")}
        self.environment = {
            **kept,
            "COMPOSE_PROJECT_NAME": self.project,
            "CAROUSEL_NETWORK": self.network,
            "CAROUSEL_NAME_PREFIX": f"{self.project}-",
            "CAROUSEL_PORT": str(self.port),
            "CAROUSEL_SECOND_PORT": str(self.second_port),
            "CAROUSEL_QUEUE_PORT": str(self.queue_port),
            "CAROUSEL_QUEUE_PORTS": f"{self.queue_port}-{self.queue_port + QUEUE_PORTS - 1}",
            "CAROUSEL_QUEUE_SERVER_PORTS": str(QUEUE_PORTS - 1),
            **settings,
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True,
            timeout=COMMAND_TIMEOUT_S, check=False,
        )  # fmt: skip

    def up(self) -> None:
        """Raises RuntimeError with what Compose said."""
        ended = self.run("up", "-d")
        if ended.returncode != 0:
            raise RuntimeError(ended.stderr)
        self.until_healthy(REPLICAS)

    def until_healthy(self, count: int, without_name: str = "") -> float:
        """Seconds until so many replicas serve, none of them called `without_name`. Raises TimeoutError."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_S:
            healthy = self.healthy()
            if len(healthy) == count and without_name not in healthy:
                return time.monotonic() - begun
            time.sleep(POLL_S)
        raise TimeoutError(f"not {count} healthy replicas in {PATIENCE_S} s:\n{self.run('logs').stdout[-4000:]}")

    def healthy(self) -> list[str]:
        """Names; none while the front door does not answer."""
        try:
            status, answer = self.call("GET", "/admin/cluster", timeout_s=5)
        except (OSError, ValueError, http.client.HTTPException):
            return []
        replicas: list[dict[str, Any]] = answer["replicas"] if status == 200 else []
        return [replica["name"] for replica in replicas if replica["state"] == "healthy"]

    def replicas(self) -> dict[str, Any]:
        """By name, the dead ones too."""
        ours = {"label": f"carousel.cluster={self.project}"}
        found: list[Any] = self.client.containers.list(all=True, ignore_removed=True, filters=ours)
        return {container.name: container for container in found}

    def ids(self) -> dict[str, str]:
        return {name: container.id for name, container in self.replicas().items()}

    def front(self) -> Any:
        ours = {"label": f"com.docker.compose.project={self.project}"}
        return self.client.containers.list(all=True, ignore_removed=True, filters=ours)[0]

    def volumes(self) -> list[Any]:
        return self.client.volumes.list(filters={"label": f"carousel.cluster={self.project}"})

    def networks(self) -> list[Any]:
        return self.client.networks.list(names=[f"^{self.network}$"])

    def clear(self) -> None:
        self.run("kill")
        for container in self.replicas().values():
            with contextlib.suppress(docker.errors.NotFound):
                container.remove(force=True)
        self.run("down", "--volumes")
        for volume in self.volumes():
            volume.remove(force=True)
        self.client.close()


@contextlib.contextmanager
def composed(**settings: str) -> Generator[Composed]:
    """Bring one up, yield it when all its replicas serve, and leave nothing. Raises RuntimeError without Docker."""
    found = commands()
    if not found:
        raise RuntimeError("no docker compose on this machine")
    system = Composed(cast(Any, docker).from_env(timeout=60), found[0], **settings)
    try:
        system.up()
        yield system
    finally:
        system.clear()
