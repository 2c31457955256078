"""What a replica is to Docker: the labels that make it ours, how it is created, and how it is read back.

A container is ours by its labels alone, so the fleet is found again when everything else is lost, and whatever does
not carry them is a stranger that is never touched. The name is host name and network alias too. The data belongs
to the node and not to the container: a volume for each node id, which the replacement takes over.

The queue's secret is a file in that volume, put there before the start. In the environment `docker inspect` would show
it, and with it whatever collects what containers are; no other container sees a node's volume.

Road not taken: Docker's own restart policy. A container that Docker starts again by itself would compete with its
replacement for the volume, and come back under a dead one's name.
"""

import io
import signal
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from loadbalancer.instances import Instance, ReplicaSpec

CLUSTER, ROLE, NODE, INDEX = "carousel.cluster", "carousel.role", "carousel.node", "carousel.index"
SLOT = "carousel.slot"
REPLICA = "replica"
BUNDLED_IMAGE = "carousel-server"
DATA_DIR = "/data"
SECRET = "cluster.secret"  # noqa: S105 - its file
USER_ID = 10001  # the bundled image's
CLIENT_PORT, INTERNAL_PORT, EXTERNAL_PORT = 9092, 9093, 9094
"""The queue's listeners. In a network of their own they can be the same everywhere."""
HOST_ALIAS = "host.docker.internal"
"""The machine that the engine runs on, as Docker Desktop calls it everywhere."""
LIVING = ("running", "paused", "restarting")
MAX_PIDS = 256  # a fork bomb stays in its container; the bundled server is one process with a few threads
LOG_LIMITS = {"max-size": "10m", "max-file": "2"}  # as much as the process runtime keeps
TMPFS = {"/tmp": "size=16m,mode=1777,noexec,nosuid,nodev"}  # noqa: S108 - the container's own
SHORT_ID = 12  # as `docker ps` shows it

Row = Mapping[str, Any]
"""A container as the engine lists it: Id, Names, State, Labels, NetworkSettings."""


@dataclass(frozen=True, slots=True)
class DockerOptions:
    """`server_command` empty: the image's own. `port` is the one that the image listens on. `env` is added.

    `secret` is the queue's, "" without one. `advertised` says where the queue's clients outside of the network reach
    the place with slot 0; the other places have the ports behind it.
    """

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
    secret: str = field(default="", repr=False)
    advertised: tuple[str, int] | None = None

    @property
    def control_host(self) -> str:
        """Where its servers look for control: by its link, or over another cluster's queue by HTTP alone."""
        told = self.env.get("CONTROL") or self.env.get("CONTROL_HTTP", "").removeprefix("http://")
        return told.rpartition(":")[0]

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


def queue_alias(cluster_id: str) -> str:
    """The name by which clients in the network find all servers of the queue at once: where they begin."""
    return f"{cluster_id}-queue"


def creation(options: DockerOptions, spec: ReplicaSpec) -> dict[str, Any]:
    """The keywords of the SDK's `containers.create`."""
    sealed: dict[str, Any] = {"read_only": True, "tmpfs": TMPFS, "cap_drop": ["ALL"]} if options.bundled else {}
    return {
        "image": options.image,
        "command": list(options.server_command) or None,
        "name": spec.name,
        "hostname": spec.name,
        "network": options.network,
        "networking_config": {options.network: {"Aliases": _aliases(options, spec)}},
        "extra_hosts": {HOST_ALIAS: "host-gateway"} if options.control_host == HOST_ALIAS else {},
        "labels": {
            **labels_of(options.cluster_id),
            NODE: str(spec.node_id),
            INDEX: str(spec.index),
            SLOT: str(spec.slot),
        },
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


def _aliases(options: DockerOptions, spec: ReplicaSpec) -> list[str]:
    return [spec.name, queue_alias(options.cluster_id)] if options.secret else [spec.name]


def secret_archive(secret: str) -> bytes:
    """The secret's file as a tar archive for DATA_DIR, readable for the bundled server alone."""
    text = secret.encode() + b"\n"
    entry = tarfile.TarInfo(SECRET)
    entry.size, entry.mode, entry.uid, entry.gid = len(text), 0o400, USER_ID, USER_ID
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


def _queue_environment(options: DockerOptions, spec: ReplicaSpec) -> dict[str, str]:
    if not options.secret:
        return {}
    inside = {
        "CLUSTER_SECRET_FILE": f"{DATA_DIR}/{SECRET}",
        "KAFKA_HOST": "0.0.0.0",
        "KAFKA_PORT": str(CLIENT_PORT),
        "INTERNAL_PORT": str(INTERNAL_PORT),
    }
    if options.advertised is None or spec.slot < 0:
        return inside
    host, first_port = options.advertised
    outside = {"ADVERTISED_HOST": host, "ADVERTISED_PORT": str(first_port + spec.slot)}
    return {**inside, **outside, "EXTERNAL_PORT": str(EXTERNAL_PORT)}


def _environment(options: DockerOptions, spec: ReplicaSpec) -> dict[str, str]:
    return {
        **options.env,
        **_queue_environment(options, spec),
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
    node_id, index, slot = node_of(row), row["Labels"].get(INDEX, ""), row["Labels"].get(SLOT, "")
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
        slot=int(slot) if slot.isascii() and slot.isdigit() else -1,
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
