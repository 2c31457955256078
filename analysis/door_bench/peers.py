"""The three backends, and the fronts: nginx, HAProxy and Carousel, each started as its users would, on its core.

The peers' configurations lie beside this file; @NAMES@ in them are filled in. Each front is started anew for every
measurement: so no other one runs meanwhile, and what a fresh start decides by chance (addresses, hash seeds) varies
over the rounds instead of colouring all of them (Mytkowicz et al. 2009, Producing Wrong Data).
"""

import contextlib
import grp
import http.client
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.door_bench.accounting import tree
from analysis.door_bench.pinning import pinned
from analysis.ports import free_ports
from analysis.running import descendants, running, wait_until
from loadbalancer.spawn.compiled import OFF

HERE = Path(__file__).parent
START_S = 10.0
END_S = 10.0
BACKENDS = 3
FILE_BYTES = 64 * 1024
PACKAGES = {"nginx": "nginx-light", "haproxy": "haproxy", "wrk": "wrk"}


@dataclass(frozen=True, slots=True)
class Backends:
    """The running backends: the ports of all, the process above them."""

    ports: tuple[int, ...]
    pid: int


@dataclass(frozen=True, slots=True)
class Front:
    """A running front. `pid` is the root of its processes, `data_pid` one that carries requests."""

    name: str
    port: int
    pid: int
    data_pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pids(self) -> list[int]:
        return tree(self.pid)


def lacking(*programs: str) -> str:
    """What these programs and a measurement with them still need here, as one line for the user; empty if nothing."""
    packages = [PACKAGES[program] for program in programs if program_path(program) is None]
    if packages:
        return f"missing, on Debian: apt-get install {' '.join(packages)}"
    return "" if len(os.sched_getaffinity(0)) > 1 else "missing: a second core; the front and its load need one each"


def program_path(program: str) -> str | None:
    """Debian keeps servers where only root's PATH leads."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))


def versions() -> dict[str, str]:
    """What was compared, as the programs call themselves."""
    return {
        program: _first_line(program, flag) for program, flag in (("nginx", "-v"), ("haproxy", "-v"), ("wrk", "-v"))
    }


def _first_line(program: str, flag: str) -> str:
    ended = subprocess.run([program_path(program) or program, flag], capture_output=True, text=True, check=False)
    words = (ended.stdout + ended.stderr).split("\n")[0].replace("nginx version: ", "").split()
    return " ".join(words[:3])


# Backends


@contextlib.contextmanager
def backends(core: int) -> Generator[Backends]:
    """Three static servers of one nginx on `core`."""
    with _directory() as directory:
        (directory / "64k.bin").write_bytes(bytes(range(256)) * (FILE_BYTES // 256))
        ports, config = free_ports(BACKENDS), directory / "backends.conf"
        config.write_text(filled("backends.conf", KIB="x" * 1024, FILES=directory, **_owner(), **_backends(ports)))
        with started(_nginx(directory, config), {core}, ports[-1]) as pid:
            yield Backends(tuple(ports), pid)


# Fronts


@contextlib.contextmanager
def nginx(ports: Sequence[int], workers: int, on: set[int]) -> Generator[Front]:
    with _directory() as directory:
        port, config = free_ports(1)[0], directory / "nginx.conf"
        config.write_text(filled("nginx.conf", PORT=port, WORKERS=workers, **_owner(), **_backends(ports)))
        with started(_nginx(directory, config), on, port) as pid:
            yield Front("nginx", port, pid, descendants(pid)[0])


@contextlib.contextmanager
def haproxy(ports: Sequence[int], workers: int, on: set[int]) -> Generator[Front]:
    with _directory() as directory:
        (port, second), config = free_ports(2), directory / "haproxy.cfg"
        config.write_text(filled("haproxy.cfg", PORT=port, SECOND_PORT=second, WORKERS=workers, **_backends(ports)))
        command = [program_path("haproxy") or "haproxy", "-db", "-f", str(config)]
        with started(command, on, port) as pid:
            yield Front("haproxy", port, pid, pid)


@contextlib.contextmanager
def carousel(ports: Sequence[int], workers: int, on: set[int], flags: Sequence[str] = ()) -> Generator[Front]:
    """As `carousel up` starts it; `flags` are further ones."""
    addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
    system_flags = ("--runtime", "static", "--backends", addresses, "--route-by", "header:X-Request-Id")
    with contextlib.ExitStack() as stack:
        with pinned(on):
            started_system = running(*system_flags, "--workers", str(workers), *flags, replicas=len(ports))
            system = stack.enter_context(started_system)
        yield Front("carousel", system.port, system.process.pid, system.children("worker")[0]["pid"])


@contextlib.contextmanager
def interpreted(ports: Sequence[int], workers: int, on: set[int]) -> Generator[Front]:
    """Carousel as it is without `make fast`."""
    os.environ[OFF] = "1"
    try:
        with carousel(ports, workers, on) as front:
            yield replace(front, name="interpreted")
    finally:
        del os.environ[OFF]


Start = Callable[[Sequence[int], int, set[int]], contextlib.AbstractContextManager[Front]]
"""(the backends' ports, workers, the cores to be on) -> the front while it runs."""

FRONTS: Mapping[str, Start] = {"nginx": nginx, "haproxy": haproxy, "carousel": carousel, "interpreted": interpreted}


# How they are started


def filled(template: str, **values: object) -> str:
    """A configuration with its @NAMES@ filled in."""
    text = (HERE / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def _backends(ports: Sequence[int]) -> dict[str, int]:
    return {f"BACKEND_{place + 1}": port for place, port in enumerate(ports)}


def _owner() -> dict[str, str]:
    """Who runs nginx's workers: us, as their files are in a directory of ours."""
    user = pwd.getpwuid(os.getuid())
    return {"USER": user.pw_name, "GROUP": grp.getgrgid(user.pw_gid).gr_name}


def _nginx(directory: Path, config: Path) -> list[str]:
    errors = str(directory / "start-error.log")
    return [
        program_path("nginx") or "nginx",
        "-p",
        str(directory),
        "-c",
        str(config),
        "-e",
        errors,
        "-g",
        "daemon off;",
    ]


@contextlib.contextmanager
def _directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="door-bench-", dir="/tmp") as name:
        yield Path(name)


@contextlib.contextmanager
def started(command: Sequence[str], on: set[int], port: int) -> Generator[int]:
    """Run a server on these cores; yields its pid once it answers. Raises RuntimeError with what it said if it ends."""
    with tempfile.TemporaryFile() as said:
        with pinned(on):
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            wait_until(lambda: process.poll() is not None or _answers(port), START_S, command[0])
            if process.poll() is not None:
                said.seek(0)
                raise RuntimeError(f"{command[0]} ended: {said.read().decode(errors='replace')[-2000:]}")
            yield process.pid
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/home")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
