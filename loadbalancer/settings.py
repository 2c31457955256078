"""The one definition of every setting: flags, variables, the README's table and the checks come from it.

Flag > CAROUSEL_… variable > .env > default. RING_HASH, RING_PROBE and HOME_FORMAT work without the prefix too,
because the clients of the field's teaching systems set them so, and QUEUE_BOOTSTRAP, which more than us read.
"""

import os
import re
import secrets
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from loadbalancer.containers import BUNDLED_IMAGE, is_bundled
from loadbalancer.door_settings import DoorSettings
from loadbalancer.hashes import byte_hash
from loadbalancer.queue_ports import QUEUE, queue_name
from loadbalancer.selection import POLICIES, policy

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]

ROUTE_BY = re.compile(r"random|path|client|(header|query|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
USER_OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
BROKER = re.compile(r"(?P<host>[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|\[[0-9a-fA-F:.]{2,45}\]):(?P<port>\d{1,5})")
BACKEND = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})(\*(?P<weight>\d{1,3}))?")
HEDGE_AFTER = re.compile(r"p[1-9]\d?(\.\d)?|\d{1,3}(\.\d{1,3})?")
RATE_LIMIT = re.compile(r"(?P<rate>\d{1,7}(\.\d{1,3})?)(\+(?P<burst>\d{1,7}))?")
MAX_PORT = 65535
MAX_BROKERS = 64
"""Of another cluster, to begin at: clients learn the rest from any one of them, and three are usual."""
SERVER_PORTS = 16
"""Of containers, when nobody says how many: what the compose file publishes, and each costs Docker a process."""
COURSE_HASHES = ("spec", "alt", "linear")
COURSE_MAX_REPLICAS = 56  # 512 slots / 9 virtual servers each
SOCKET_PATH_BYTES = 107  # sun_path holds 108 with its closing NUL


class BadSetting(Exception):
    """A setting that can't be used; the text names it and fits on one line. Whose fault: the operator's."""


def _look_where_one_stands() -> None:
    """Import from the working directory too, as the workers do: they run by `python -m`."""
    if "" not in sys.path:
        sys.path.append("")


def _alias(name: str) -> AliasChoices:
    return AliasChoices(f"CAROUSEL_{name}", name)


class Settings(BaseSettings):
    """All settings of a running system."""

    model_config = SettingsConfigDict(
        env_prefix="CAROUSEL_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    runtime: Literal["process", "docker", "static", "fake"] = Field(
        "process",
        description="Where replicas run: processes, containers, static backends, or (for tests) inside control",
    )
    replicas: int = Field(3, ge=0, le=64, description="Replicas at the first start; later /add and /rm decide")
    max_replicas: int = Field(64, ge=1, le=64, description="The most that /add may reach (56 with a course preset)")
    port: Port = Field(5000, description="The front door")
    second_port: Port = Field(5001, description="Answers the same")
    admin_port: Port | None = Field(None, description="Moves /rep /add /rm /admin /metrics to a port of their own")
    queue_port: Port = Field(
        9092,
        description="Where Kafka clients begin: leads to any healthy server (0: none). The bundled server's; when the "
        "default is taken, the system runs without",
    )
    queue_server_ports: int | None = Field(
        None,
        ge=0,
        le=64,
        description="Ports behind that one, each leading to one server, for clients that can't reach the servers "
        "themselves (default: 16 with docker, else 0)",
    )
    queue_advertised_host: str = Field(
        "localhost",
        min_length=1,
        description="The name by which Kafka clients outside of the containers' network reach those ports",
    )
    bind: str = Field("127.0.0.1", description="The address that the ports are bound to")
    workers: int = Field(0, ge=0, le=64, description="Data-path processes; 0: one for each core")
    state_dir: Path = Field(Path("var"), description="Everything that must survive a restart")
    cluster_id: str = Field(
        "", pattern=r"[A-Za-z0-9_-]{0,64}", description="Default: made once, kept in the state directory"
    )
    backends: Annotated[tuple[str, ...], NoDecode] = Field((), description="HOST:PORT*WEIGHT,… for --runtime static")
    server_command: str = Field("", description="Any HTTP server that listens on $PORT, instead of the bundled one")
    name_prefix: str = Field(
        "server", pattern=r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}", description="Generated names are this and a number"
    )
    image: str = Field(BUNDLED_IMAGE, min_length=1, description="What --runtime docker starts")
    network: str = Field(
        "net1", pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]*", description="The containers' network, made if it is not there"
    )
    replica_port: int = Field(5000, ge=1, le=65535, description="The port that the image listens on")
    replica_memory_mb: int = Field(256, ge=6, description="A container's memory; above it, it is killed and replaced")
    replica_cpus: float = Field(1.0, ge=0.01, description="A container's share of the cores")
    health_path: str = Field("/heartbeat", pattern=r"/[\x21-\x7e]*", description="Answers 2xx while a replica is well")
    health_interval: Seconds = Field(0.5, description="Seconds between two heartbeats to a replica")
    health_timeout: Seconds = Field(0.3, description="Seconds until an unanswered heartbeat has failed")
    health_fall: int = Field(
        2,
        ge=1,
        le=100,
        description="Failures in a row until a replica gets no more requests; it is replaced then, or with the queue "
        "after 2 s of silence (10 s if it still talks to control)",
    )
    health_rise: int = Field(1, ge=1, le=100, description="Good heartbeats in a row until a newcomer serves")
    start_timeout: Seconds = Field(30, description="Seconds that a newcomer has for its first good heartbeat")
    unknown_path: Literal["course", "pass"] | None = Field(
        None,
        description="course: a replica's 404 to a GET becomes the 400 of the field; pass: left alone "
        "(default: course for the bundled server, else pass)",
    )
    home_format: str = Field(
        "Hello from Server: {id}", validation_alias=_alias("HOME_FORMAT"), description="The text of /home"
    )
    id_kind: Literal["name", "index"] = Field("name", description="What {id} is in that text")
    ring_hash: str = Field(
        "mmh3", validation_alias=_alias("RING_HASH"), description="mmh3, spec, alt, linear or module:function"
    )
    ring_probe: Literal["linear", "quadratic"] = Field(
        "linear", validation_alias=_alias("RING_PROBE"), description="How the course presets probe"
    )
    policy: str = Field("ring", description=f"Who gets a request: {', '.join(POLICIES)} or module:Class")
    route_by: str = Field("random", description="random, header:NAME, path, query:NAME, cookie:NAME or client")
    slow_start: float = Field(
        10,
        ge=0,
        le=3600,
        description="Seconds in which a newcomer's share grows from a tenth to all of its keys; 0: at once",
    )
    hedge_after: str = Field(
        "", description="p95, p99 … or seconds: a GET, HEAD or OPTIONS this slow is sent to a second replica too"
    )
    dns_refresh: Seconds = Field(10, description="Seconds after which a backend's name is resolved again")
    drain_timeout: Seconds = Field(30, description="Seconds that a leaver has to finish its requests")
    connect_timeout: Seconds = Field(1, description="Seconds that connecting to a replica may take")
    upstream_timeout: Seconds = Field(60, description="Seconds without a byte from a replica until 504")
    upstream_connections: int = Field(256, ge=1, le=65536, description="To each replica, from each worker")
    upstream_queue: int = Field(8192, ge=0, le=65536, description="Requests that wait for one of them; past it: 503")
    client_connections: int = Field(8192, ge=1, le=1 << 20, description="Of each worker; past it: 503 and closed")
    queue_connections: int = Field(4096, ge=1, le=1 << 20, description="Of each worker, at the queue's ports")
    client_timeout: Seconds = Field(75, description="Seconds that an idle client, or one that stalls, may stay")
    head_timeout: Seconds = Field(10, description="Seconds from the first byte of a request's head to its last: 408")
    body_limit: int = Field(0, ge=0, description="Bytes of a request's body; past it: 413 (0: no limit)")
    rate_limit: str = Field(
        "",
        description="Requests a second for each client or key, and a burst (default: one second's): 100 or 100+200; "
        "past it: 429. Each worker grants its part of both",
    )
    rate_limit_by: Literal["client", "key"] = Field("client", description="Whose requests are counted together")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Networks (10.0.0.0/8, …) whose X-Forwarded-…, Forwarded and PROXY headers are believed"
    )
    accept_proxy_protocol: bool = Field(
        False,
        description="Every connection must begin with a PROXY header (v1 or v2), as HAProxy's send-proxy writes it; "
        "the carousel command then needs --admin-port",
    )
    tls_cert: str = Field("", description="A certificate chain in PEM: turns TLS on, at --tls-port")
    tls_key: str = Field("", description="Its key in PEM; both are read again when they change")
    tls_port: Port = Field(5443, description="The front door by TLS 1.2 or later")
    access_log: str = Field("", description="A file for one line for each answer; -: standard output")
    access_log_format: Literal["json", "common"] = Field("json", description="common: NCSA's, with the time taken")
    access_log_sample: float = Field(1, gt=0, le=1, description="The share of answers that is logged; failures all are")
    queue: bool = Field(
        True, description="Replicas hold a queue that speaks the Kafka protocol (the bundled server only)"
    )
    queue_bootstrap: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias=_alias("QUEUE_BOOTSTRAP"),
        description="HOST:PORT,… of an existing Kafka cluster: it is the queue, and the replicas hold none",
    )
    queue_fsync: Literal["always", "interval", "never"] = Field(
        "always",
        description="When a message is synced: before its acknowledgement, once a second, or as the kernel likes",
    )
    num_partitions: int = Field(4, ge=1, le=10_000, description="Partitions of a topic that nobody gave a number")
    replication_factor: int = Field(1, ge=1, le=64, description="Replicas of a partition, as far as there are servers")
    auto_create_topics: bool = Field(True, description="A topic that is asked for and isn't there is made")
    offsets_partitions: int = Field(50, ge=1, le=10_000, description="Partitions of __consumer_offsets, once made")
    group_initial_rebalance_delay: float = Field(
        3, ge=0, le=3600, description="Seconds that a new consumer group waits for more members"
    )
    group_min_session_timeout: Seconds = Field(6, description="The shortest session that a group's member may have")
    group_max_session_timeout: float = Field(1800, gt=0, le=86_400, description="The longest")
    cleaner_backoff: Seconds = Field(15, description="Seconds between two looks for logs to compact")
    queue_busy_poll: int = Field(
        150,
        ge=0,
        le=10_000,
        description="Microseconds that a server looks for the next request of a lone client that asks again at once, "
        "instead of sleeping (0: never)",
    )
    queue_moves: int = Field(8, ge=1, le=1000, description="Partitions that move at once, at /add and /rm")
    leave_timeout: Seconds = Field(300, description="Seconds that /rm waits for a leaver's partitions to be elsewhere")
    link_host: str = Field(
        "",
        description="Where containers find control's link (default: this container's name, or the machine that the "
        "engine runs on)",
    )
    link_port: Port = Field(5010, description="Its port, for --runtime docker")
    panic_threshold: float = Field(0.5, ge=0, le=1, description="With a smaller share healthy, requests go to all")
    on_exit: Literal["remove", "leave"] = Field("remove", description="What becomes of containers at the end")
    admin_token: str = Field(
        "", max_length=256, repr=False, description="Changing calls then need Authorization: Bearer"
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Further names by which changing calls may address the front door"
    )
    log_format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal")

    @field_validator("backends", "allowed_hosts", "trusted_proxies", "queue_bootstrap", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("backends")
    @classmethod
    def _check_backends(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            match = BACKEND.fullmatch(item)
            if match is None or not 0 < int(match["port"]) < 65536 or not 0 < int(match["weight"] or 1) <= 100:
                raise ValueError(f"{item!r} is not HOST:PORT or HOST:PORT*WEIGHT")
        return value

    @field_validator("queue_bootstrap")
    @classmethod
    def _check_brokers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > MAX_BROKERS:
            raise ValueError(f"at most {MAX_BROKERS} addresses, not {len(value)}")
        for item in value:
            match = BROKER.fullmatch(item)
            if match is None or not 0 < int(match["port"]) <= MAX_PORT:
                raise ValueError(f"{item[:80]!r} is not HOST:PORT")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            ip_network(item)
        return value

    @field_validator("hedge_after")
    @classmethod
    def _check_hedge_after(cls, value: str) -> str:
        if value and not HEDGE_AFTER.fullmatch(value):
            raise ValueError(f"{value!r} is neither p1 … p99.9 nor a number of seconds")
        return value

    @field_validator("rate_limit")
    @classmethod
    def _check_rate_limit(cls, value: str) -> str:
        match = RATE_LIMIT.fullmatch(value)
        if value and (match is None or not float(match["rate"])):
            raise ValueError(f"{value!r} is neither RATE nor RATE+BURST, in requests a second")
        return value

    @field_validator("route_by")
    @classmethod
    def _check_route_by(cls, value: str) -> str:
        if not ROUTE_BY.fullmatch(value):
            raise ValueError(f"{value!r} is none of random, path, client, header:NAME, query:NAME, cookie:NAME")
        return value

    @field_validator("policy")
    @classmethod
    def _check_policy(cls, value: str) -> str:
        if value in POLICIES:
            return value
        if not USER_OBJECT.fullmatch(value):
            raise ValueError(f"{value!r} is none of {', '.join(POLICIES)}, module:Class")
        _look_where_one_stands()
        policy(value)
        return value

    @field_validator("ring_hash")
    @classmethod
    def _check_ring_hash(cls, value: str) -> str:
        if value not in ("mmh3", *COURSE_HASHES) and not USER_OBJECT.fullmatch(value):
            raise ValueError(f"{value!r} is none of mmh3, spec, alt, linear, module:function")
        if value not in COURSE_HASHES:
            _look_where_one_stands()
            byte_hash(value)
        return value

    @field_validator("home_format")
    @classmethod
    def _check_home_format(cls, value: str) -> str:
        if "{id}" not in value or len(value) > 256:
            raise ValueError("must contain {id} and be at most 256 characters")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> "Settings":
        if self.runtime == "static" and not self.backends:
            raise ValueError("--runtime static needs --backends")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("--tls-cert and --tls-key need each other")
        if self.tls_cert and self.accept_proxy_protocol:
            raise ValueError(
                "--accept-proxy-protocol does not go with --tls-cert: the PROXY header comes before the handshake, "
                "where asyncio's TLS can't read it; let the proxy end TLS, or give up one of them"
            )
        if self.runtime != "static" and self.backends:
            raise ValueError("--backends needs --runtime static")
        if self.queue_port + self.server_ports > MAX_PORT:
            raise ValueError(f"--queue-port {self.queue_port} leaves no room for {self.server_ports} ports behind it")
        if self.group_max_session_timeout < self.group_min_session_timeout:
            raise ValueError("--group-max-session-timeout is smaller than --group-min-session-timeout")
        if self.replicas > self.replica_limit:
            raise ValueError(f"--replicas {self.replicas} is more than {self.replica_limit}")
        return self

    @property
    def replica_limit(self) -> int:
        """The most replicas: --max-replicas, and no more than a course preset's table holds."""
        return min(self.max_replicas, COURSE_MAX_REPLICAS) if self.ring_hash in COURSE_HASHES else self.max_replicas

    @property
    def bundled(self) -> bool:
        """Whether replicas are the bundled server."""
        return self.runtime != "static" and not self.server_command and is_bundled(self.image)

    @property
    def has_queue(self) -> bool:
        """Whether replicas that can hold the queue hold it."""
        return self.queue and self._can_have_queue and not self.queue_bootstrap

    @property
    def _can_have_queue(self) -> bool:
        return self.bundled and self.runtime in ("process", "docker")

    @property
    def outside_queue(self) -> str:
        """Where another cluster is the queue, as Kafka's clients want it; "": none is."""
        return ",".join(self.queue_bootstrap) if self.queue else ""

    @property
    def has_queue_http(self) -> bool:
        """Whether the queue's HTTP interface is there: the bundled servers speak it, over either engine."""
        return self._can_have_queue and (self.has_queue or bool(self.outside_queue))

    @property
    def chosen_unknown_path(self) -> str:
        """`course` turns only the bundled server's answers, unless told otherwise."""
        return self.unknown_path or ("course" if self.bundled else "pass")

    @property
    def queue_ports(self) -> dict[str, int]:
        """The queue's ports by name, the bootstrap port first; empty: none. By default only for who speaks Kafka."""
        wanted = self.queue_port_asked or self.has_queue
        if not self.queue_port or not wanted or self.outside_queue:
            return {}
        behind = {queue_name(slot): self.queue_port + 1 + slot for slot in range(self.server_ports)}
        return {QUEUE: self.queue_port, **behind}

    @property
    def queue_port_asked(self) -> bool:
        """Whether somebody has asked for this very port: then it must be had."""
        return "queue_port" in self.model_fields_set

    @property
    def server_ports(self) -> int:
        """How many ports lead to one server each."""
        default = SERVER_PORTS if self.runtime == "docker" else 0
        return default if self.queue_server_ports is None else self.queue_server_ports

    @property
    def queue_slots(self) -> int:
        """How many servers have such a port of their own."""
        return self.server_ports if self.has_queue and self.queue_port else 0


def load_settings(**overrides: Any) -> Settings:
    """The settings with `overrides` (flags) on top. Raises BadSetting."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        where = "_".join(str(part) for part in first["loc"]).lower().removeprefix("carousel_")
        text = first["msg"].removeprefix("Value error, ")
        raise BadSetting(f"--{where.replace('_', '-')}: {text}" if where else text) from error


class Paths:
    """Where things lie in a state directory; the directory is absolute."""

    def __init__(self, state_dir: Path) -> None:
        self.state = state_dir.resolve()
        self.run = self.state / "run"
        self.nodes = self.state / "nodes"
        self.logs = self.state / "logs"
        self.cluster_id = self.state / "cluster.id"
        self.database = self.state / "state.sqlite"
        self.control_lock = self.state / "control.lock"
        self.snapshot = self.run / "snapshot.json"
        self.ports = self.state / "ports.json"
        self.supervisor_socket = self.run / "supervisor.sock"
        self.control_socket = self.run / "control.sock"
        self.loop_socket = self.run / "loop.sock"
        self.feed_socket = self.run / "feed.sock"
        self.queue_socket = self.run / "queue.sock"
        self.secret = self.state / "cluster.secret"
        self.settings = self.run / "settings.json"
        self.door = self.run / "door.json"

    def make(self) -> None:
        """Create the directories, for their owner only. Raises BadSetting when that can't be done."""
        if len(str(self.supervisor_socket).encode()) > SOCKET_PATH_BYTES:
            raise BadSetting(f"--state-dir: {self.state} is too long a path for the Unix sockets in it")
        try:
            for directory in (self.state, self.run, self.nodes, self.logs):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.run.chmod(0o700)
        except OSError as error:
            raise BadSetting(f"--state-dir: {error.strerror}: {error.filename}") from error


def cluster_id(settings: Settings, paths: Paths) -> str:
    """The cluster's id: the setting, else the one kept in the state directory, else a new one (kept from then on).

    Raises BadSetting if the setting contradicts the state directory, whose replicas carry the kept one.
    """
    kept = paths.cluster_id.read_text().strip() if paths.cluster_id.exists() else ""
    if kept and settings.cluster_id not in ("", kept):
        raise BadSetting(f"--cluster-id: {paths.state} belongs to the cluster {kept}")
    if not kept:
        kept = settings.cluster_id or secrets.token_hex(8)
        paths.cluster_id.write_text(kept + "\n")
    return kept


def worker_count(settings: Settings) -> int:
    """How many data-path workers there are."""
    return settings.workers or len(os.sched_getaffinity(0))


def door_settings(settings: Settings, paths: Paths, cluster: str) -> DoorSettings:
    """What a data-path worker needs of them."""
    return DoorSettings(
        cluster_id=cluster,
        control_socket=str(paths.control_socket),
        loop_socket=str(paths.loop_socket),
        feed_socket=str(paths.feed_socket),
        snapshot_path=str(paths.snapshot),
        ring_hash=settings.ring_hash,
        ring_probe=settings.ring_probe,
        policy=settings.policy,
        route_by=settings.route_by,
        unknown_path=settings.chosen_unknown_path,
        health_path=settings.health_path,
        panic_threshold=settings.panic_threshold,
        drain_timeout_s=settings.drain_timeout,
        slow_start_s=settings.slow_start,
        hedge_after=settings.hedge_after,
        dns_refresh_s=settings.dns_refresh,
        upstream_timeout_s=settings.upstream_timeout,
        upstream_connect_timeout_s=settings.connect_timeout,
        upstream_connections=settings.upstream_connections,
        upstream_queue=settings.upstream_queue,
        client_connections=settings.client_connections,
        queue_connections=settings.queue_connections,
        client_timeout_s=settings.client_timeout,
        head_timeout_s=settings.head_timeout,
        body_limit_bytes=settings.body_limit,
        rate_limit=settings.rate_limit,
        rate_limit_by=settings.rate_limit_by,
        trusted_proxies=",".join(settings.trusted_proxies),
        accept_proxy_protocol=settings.accept_proxy_protocol,
        tls_cert=settings.tls_cert and str(Path(settings.tls_cert).resolve()),
        tls_key=settings.tls_key and str(Path(settings.tls_key).resolve()),
        access_log=settings.access_log
        if settings.access_log in ("", "-")
        else str(Path(settings.access_log).resolve()),
        access_log_format=settings.access_log_format,
        access_log_sample=settings.access_log_sample,
        workers=worker_count(settings),
        queue_http=settings.has_queue_http,
        log_format=settings.log_format,
    )
