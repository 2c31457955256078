"""`carousel up`: settle the settings, then become the supervisor.

The supervisor lives as long as the system and is the parent of everything, so it should be small: this process reads
the settings with pydantic and everything else, writes down what came out (a `Startup`), and replaces itself by a fresh
interpreter that knows nothing of them. For a reload the supervisor runs this module again, as a child.
"""

import json
import os
import sys
from typing import NoReturn

from loadbalancer.disk.certificate import BadPair, make_context
from loadbalancer.disk.log_file import check
from loadbalancer.settings import BadSetting, Paths, Settings, cluster_id, door_settings, load_settings, worker_count
from loadbalancer.spawn.startup import Startup, python


def settle(flags: dict[str, str]) -> Startup:
    """What the supervisor needs for these flags. Makes the state directory. Raises BadSetting."""
    settings = load_settings(**flags)
    _check_files(settings)
    paths = Paths(settings.state_dir)
    paths.make()
    if settings.runtime == "docker" and not settings.cluster_id:
        settings = settings.model_copy(update={"cluster_id": own_project()})
    cluster = cluster_id(settings, paths)
    return Startup(
        state_dir=str(paths.state),
        run_dir=str(paths.run),
        cluster_id=cluster,
        bind=settings.bind,
        ports=_ports(settings),
        optional_ports={} if settings.queue_port_asked else settings.queue_ports,
        workers=worker_count(settings),
        drain_timeout_s=settings.drain_timeout,
        flags=flags,
        files={
            paths.settings.name: json.dumps(_kept(settings, paths, cluster)),
            paths.door.name: door_settings(settings, paths, cluster).dump(),
        },
        log_format=settings.log_format,
        queue=settings.outside_queue,
        warnings=_warnings(settings),
        farewell=_farewell(settings, cluster),
    )


def own_project() -> str:
    from loadbalancer.spawn.container_self import compose_project  # the SDK takes 0.2 s, for those who use it

    return compose_project()


def _farewell(settings: Settings, cluster: str) -> tuple[str, ...]:
    """How the containers end with the system."""
    if settings.runtime != "docker" or settings.on_exit == "leave":
        return ()
    return (*python("loadbalancer.spawn.docker_sweep", "--cluster", cluster, "--network", settings.network),)


def _check_files(settings: Settings) -> None:
    """What would else fail in each worker, after the start. Raises BadSetting."""
    try:
        if settings.tls_cert:
            make_context(settings.tls_cert, settings.tls_key)
        if settings.access_log:
            check(settings.access_log)
    except BadPair as error:
        raise BadSetting(str(error)) from None
    except OSError as error:
        raise BadSetting(f"--access-log: {error.strerror}: {settings.access_log}") from None


def _ports(settings: Settings) -> dict[str, int]:
    ports: dict[str, int | None] = {
        "main": settings.port,
        "second": settings.second_port,
        "admin": settings.admin_port,
        "tls": settings.tls_port if settings.tls_cert else None,
    }
    queue = settings.queue_ports if settings.queue_port_asked else {}
    return {**{name: port for name, port in ports.items() if port is not None}, **queue}


def _kept(settings: Settings, paths: Paths, cluster: str) -> dict[str, object]:
    """The settings as control and the command line read them: absolute, and with the cluster's real id.

    `replicas` is kept as asked for only if somebody asked: at a later start the kept fleet decides otherwise.
    """
    kept = settings.model_dump(mode="json")
    asked = "replicas" in settings.model_fields_set
    found = {"replicas_asked": asked, "queue_http": settings.has_queue_http}
    return {**kept, "state_dir": str(paths.state), "cluster_id": cluster, **found}


def _warnings(settings: Settings) -> tuple[str, ...]:
    told = [_deaf(settings)] if settings.runtime == "docker" and settings.has_queue_http else []
    if not _is_loopback(settings.bind) and not settings.admin_token:
        told.append(f"--bind {settings.bind} is beyond loopback and there is no --admin-token: "
                    "changing calls are taken from loopback only")  # fmt: skip
    return tuple(filter(None, told))


def _is_loopback(address: str) -> bool:
    return address in ("localhost", "::1") or address.startswith("127.")


def _deaf(settings: Settings) -> str:
    """Why control does not hear servers in containers, which ask it by HTTP to make topics; "" if it does."""
    if _is_loopback(settings.bind):
        why = f"--bind {settings.bind} is out of the containers' reach"
    elif settings.accept_proxy_protocol and settings.admin_port is None:
        why = "--accept-proxy-protocol without --admin-port shuts the servers out, too"
    else:
        return ""
    return f"{why}: a producer that registers over HTTP can't have its topic or partition made"


def run(flags: dict[str, str]) -> NoReturn:
    """Become the supervisor. Raises BadSetting."""
    startup = settle(flags)
    handed = os.memfd_create("carousel-startup", 0)
    os.write(handed, startup.dump().encode())
    os.lseek(handed, 0, os.SEEK_SET)
    sys.stdout.flush()
    os.execv(sys.executable, python("loadbalancer.spawn.main", str(handed)))  # noqa: S606 - an argv, no shell


if __name__ == "__main__":
    try:
        print(settle(json.load(sys.stdin)).dump())
    except BadSetting as error:
        print(error, file=sys.stderr)
        sys.exit(2)
