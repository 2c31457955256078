"""All that one data-path worker needs to know, as a plain value.

The supervisor derives it from the settings and leaves it as a file, so that a worker starts without pydantic
(a quarter of its memory and half of its start-up) and a reloaded one sees what the newest settings say.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """Paths are absolute. Time-outs are in seconds. The defaults are those of settings.py."""

    cluster_id: str
    control_socket: str  # Flask under gunicorn: HTTP over a Unix socket
    loop_socket: str  # the controller's loop: HTTP, for long waits and event streams
    feed_socket: str  # the controller's loop: snapshots down, counters up, one JSON object a line
    snapshot_path: str  # the last snapshot, read at start
    ring_hash: str = "mmh3"
    ring_probe: str = "linear"
    policy: str = "ring"
    route_by: str = "random"
    unknown_path: str = "course"
    panic_threshold: float = 0.5
    drain_timeout_s: float = 30.0
    slow_start_s: float = 10.0  # a newcomer's share grows for so long; 0: it has all at once
    hedge_after: str = ""  # "p95" or seconds; empty: no hedging
    dns_refresh_s: float = 10.0
    upstream_timeout_s: float = 60.0  # without a byte from the replica: 504
    upstream_connect_timeout_s: float = 1.0
    upstream_connections: int = 256  # to each replica, from each worker
    upstream_queue: int = 8192  # requests that wait for one of these, for each replica: one for each client
    client_connections: int = 8192  # of each worker; past it: 503 and closed
    client_timeout_s: float = 75.0  # an idle keep-alive connection; a head that does not end gets 10 s
    head_timeout_s: float = 10.0  # from a head's first byte to its last; slower is slowloris: 408
    body_limit_bytes: int = 0  # 0: none
    rate_limit: str = ""  # "RATE" or "RATE+BURST", requests a second, over all workers together
    rate_limit_by: str = "client"  # or "key"
    trusted_proxies: str = ""  # networks, with commas between them
    accept_proxy_protocol: bool = False
    tls_cert: str = ""
    tls_key: str = ""
    access_log: str = ""  # a path, "-" or empty
    access_log_format: str = "json"
    access_log_sample: float = 1.0
    workers: int = 1  # how many there are: what is limited over all of them is divided by it
    queue_http: bool = False  # whether the queue's HTTP interface is there: then its paths are no application's
    queue_connections: int = 4096  # of each worker, at the queue's ports; past it: reset
    health_path: str = "/heartbeat"
    log_format: str = "json"

    def dump(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def load(cls, path: Path) -> "DoorSettings":
        """Raises OSError, ValueError or TypeError if the file is not what `dump` wrote."""
        return cls(**json.loads(path.read_text()))
