"""What a replica is to Docker: the labels that make it ours, how it is created, and how it is read back.

A container is ours by its labels alone, so the fleet is found again when everything else is lost, and whatever does
not carry them is a stranger that is never touched. The name is host name and network alias too. The data belongs
to the node and not to the container: a volume for each node id, which the replacement takes over.

Road not taken: Docker's own restart policy. A container that Docker starts again by itself would compete with its
replacement for the volume, and come back under a dead one's name.
"""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from loadbalancer.instances import Instance, ReplicaSpec

CLUSTER, ROLE, NODE, INDEX = "carousel.cluster", "carousel.role", "carousel.node", "carousel.index"
REPLICA = "replica"
BUNDLED_IMAGE = "carousel-server"
DATA_DIR = "/data"
LIVING = ("running", "paused", "restarting")
MAX_PIDS = 256  # a fork bomb stays in its container; the bundled server is one process with a few threads
LOG_LIMITS = {"max-size": "10m", "max-file": "2"}  # as much as the process runtime keeps
TMPFS = {"/tmp": "size=16m,mode=1777,noexec,nosuid,nodev"}  # noqa: S108 - the container's own
SHORT_ID = 12  # as `docker ps` shows it

Row = Mapping[str, Any]
"""A container as the engine lists it: Id, Names, State, Labels, NetworkSettings."""


@dataclass(frozen=True, slots=True)
class DockerOptions:
    """`server_command` empty: the image's own. `port` is the one that the image listens on. `env` is added."""

    cluster_id: str
    network: str = "net1"
    image: str = BUNDLED_IMAGE
    server_command: tuple[str, ...] = ()
    port: int = 5000
    memory_mb: int = 256
    cpus: float = 1.0
    home_format: str = "Hello from Server: {id}"
    id_kind: Literal["name", "index"] = "name"
    env: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def bundled(self) -> bool:
        """Ours runs without any right; another's may need some."""
        return is_bundled(self.image)


def is_bundled(image: str) -> bool:
    """Whatever its tag."""
    return image.partition(":")[0] == BUNDLED_IMAGE


def labels_of(cluster_id: str) -> dict[str, str]:
    """What every replica of this cluster carries."""
    return {CLUSTER: cluster_id, ROLE: REPLICA}


def volume_name(cluster_id: str, node_id: int) -> str:
    return f"carousel-{cluster_id}-node-{node_id}"


def creation(options: DockerOptions, spec: ReplicaSpec) -> dict[str, Any]:
    """The keywords of the SDK's `containers.create`."""
    sealed: dict[str, Any] = {"read_only": True, "tmpfs": TMPFS, "cap_drop": ["ALL"]} if options.bundled else {}
    return {
        "image": options.image,
        "command": list(options.server_command) or None,
        "name": spec.name,
        "hostname": spec.name,
        "network": options.network,
        "networking_config": {options.network: {"Aliases": [spec.name]}},
        "labels": {**labels_of(options.cluster_id), NODE: str(spec.node_id), INDEX: str(spec.index)},
        "environment": _environment(options, spec),
        "volumes": {volume_name(options.cluster_id, spec.node_id): {"bind": DATA_DIR, "mode": "rw"}},
        "mem_limit": f"{options.memory_mb}m",
        "memswap_limit": f"{options.memory_mb}m",  # no swap: a replica that swaps is dead, but slower to notice
        "nano_cpus": round(options.cpus * 1e9),
        "pids_limit": MAX_PIDS,
        "restart_policy": {"Name": "no"},
        "security_opt": ["no-new-privileges"],
        "log_config": {"type": "json-file", "config": LOG_LIMITS},
        **sealed,
    }


def _environment(options: DockerOptions, spec: ReplicaSpec) -> dict[str, str]:
    return {
        **options.env,
        "SERVER_ID": spec.name if options.id_kind == "name" else str(spec.index),
        "NODE_ID": str(spec.node_id),
        "DATA_DIR": DATA_DIR,
        "HOME_FORMAT": options.home_format,
        "CAROUSEL_CLUSTER": options.cluster_id,
        "HOST": "0.0.0.0",
        "PORT": str(options.port),
    }


def name_of(row: Row) -> str:
    return row["Names"][0].removeprefix("/") if row["Names"] else ""


def node_of(row: Row) -> int | None:
    """The node id that its labels name; None if there is none that could be one of ours."""
    text = row["Labels"].get(NODE, "")
    return int(text) if text.isascii() and text.isdigit() else None


def is_living(row: Row) -> bool:
    """A paused one lives: it holds its volume, and may be let go on."""
    return row["State"] in LIVING


def instance_of(row: Row, network: str, port: int) -> Instance | None:
    """The replica that a listed container is, or None if it was not made by a runtime like this one.

    Its address is "" if it is not on `network` any more: no request reaches it, and its heartbeats fail.
    """
    node_id, index = node_of(row), row["Labels"].get(INDEX, "")
    if node_id is None or not (index.isascii() and index.isdigit()) or not row["Names"]:
        return None
    endpoint: dict[str, Any] = row["NetworkSettings"]["Networks"].get(network) or {}
    return Instance(
        name=name_of(row),
        node_id=node_id,
        index=int(index),
        host=endpoint.get("IPAddress", ""),
        port=port,
        handle=row["Id"],
        container=row["Id"][:SHORT_ID],
    )


def end_reason(exit_code: str, out_of_memory: bool) -> str:
    """For people, in the words of the process runtime: "exit 1", "SIGKILL", "out of memory".

    >>> end_reason("143", False)
    'SIGTERM'
    """
    if out_of_memory:
        return "out of memory"
    code = int(exit_code) if exit_code.isascii() and exit_code.isdigit() else 0
    try:
        return signal.Signals(code - 128).name
    except ValueError:
        return f"exit {exit_code}"
