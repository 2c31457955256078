"""What a server is told of the queue, by its environment (server/queue_settings.py says what it makes of it).

With our own engine: where control's link is, and how topics, groups and logs are to be. With another cluster
(--queue-bootstrap) nothing of that, so it holds no shards. With both, for the queue's HTTP interface:

    QUEUE_CLIENT_BOOTSTRAP   where it finds the Kafka protocol: what stays right when servers come and go. Unset: at its
                             own listener, which is there whenever it is
    CONTROL_HTTP             where POST /topics/add is answered: unix:PATH or http://HOST:PORT
"""

import json
import socket
from pathlib import Path
from typing import Any, cast

from loadbalancer.containers import CLIENT_PORT, HOST_ALIAS, queue_alias
from loadbalancer.disk.secret import cluster_secret
from loadbalancer.settings import Paths, Settings
from loadbalancer.spawn.container_self import is_beside_replicas


def queue_env(settings: Settings, paths: Paths) -> dict[str, str]:
    """Raises OSError, if the secret can't be kept."""
    return {**_engine(settings, paths), **_http(settings, paths)}


def _engine(settings: Settings, paths: Paths) -> dict[str, str]:
    if not settings.has_queue:
        return {}
    common = {
        "CAROUSEL_CLUSTER": settings.cluster_id,
        "FSYNC": settings.queue_fsync,
        "NUM_PARTITIONS": str(settings.num_partitions),
        "DEFAULT_REPLICATION_FACTOR": str(settings.replication_factor),
        "AUTO_CREATE_TOPICS": "true" if settings.auto_create_topics else "false",
        "OFFSETS_PARTITIONS": str(settings.offsets_partitions),
        "GROUP_INITIAL_REBALANCE_DELAY_MS": _ms(settings.group_initial_rebalance_delay),
        "GROUP_MIN_SESSION_TIMEOUT_MS": _ms(settings.group_min_session_timeout),
        "GROUP_MAX_SESSION_TIMEOUT_MS": _ms(settings.group_max_session_timeout),
        "LOG_CLEANER_BACKOFF_MS": _ms(settings.cleaner_backoff),
        "BUSY_POLL_US": str(settings.queue_busy_poll),
    }
    if settings.runtime == "docker":
        return {**common, "CONTROL": f"{control_host(settings)}:{settings.link_port}"}
    cluster_secret(paths.secret)
    return {**common, "CONTROL": f"unix:{paths.queue_socket}", "CLUSTER_SECRET_FILE": str(paths.secret)}


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))


def control_host(settings: Settings) -> str:
    """The name by which containers find control."""
    return settings.link_host or (socket.gethostname() if is_beside_replicas() else HOST_ALIAS)


def _http(settings: Settings, paths: Paths) -> dict[str, str]:
    if not settings.has_queue_http:
        return {}
    begin = settings.outside_queue or _own_engine(settings, paths)
    told = {"CONTROL_HTTP": _control_http(settings, paths)}
    return {**told, "QUEUE_CLIENT_BOOTSTRAP": begin} if begin else told


def _own_engine(settings: Settings, paths: Paths) -> str:
    """In a containers' network the name that all servers have together: the front door's ports lead to listeners
    that tell addresses for clients outside. Else the front door's port; "" without one."""
    if settings.runtime == "docker":
        return f"{queue_alias(settings.cluster_id)}:{CLIENT_PORT}"
    return front_door(paths.ports) or ""


def _control_http(settings: Settings, paths: Paths) -> str:
    """The socket of control's loop, where no thread of Flask's waits; for containers, the front door."""
    if settings.runtime != "docker":
        return f"unix:{paths.loop_socket}"
    found = _ports(paths.ports)
    port = found.get("admin") or found.get("main") or settings.admin_port or settings.port
    return f"http://{control_host(settings)}:{port}"


def told_to_clients(settings: Settings, paths: Paths) -> str | None:
    """The same, as clients outside are told it (GET /admin/cluster): where containers' ports have been opened to other
    machines, by the name by which the servers behind it tell theirs."""
    found, host = front_door(paths.ports), settings.queue_advertised_host
    if found is None or settings.runtime != "docker" or host == Settings.model_fields["queue_advertised_host"].default:
        return found
    return f"{host}:{found.rpartition(':')[2]}"


def front_door(ports: Path) -> str | None:
    """HOST:PORT of the port for the queue, as the supervisor has bound it; None: there is none."""
    found = _ports(ports)
    try:
        host, _, _ = found["url"].removeprefix("http://").rpartition(":")
        return f"{host}:{found['queue']}" if found["queue"] else None
    except KeyError:
        return None


def _ports(path: Path) -> dict[str, Any]:
    """What the supervisor has published; nothing where there is no supervisor."""
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
