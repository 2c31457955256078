"""A real supervisor with tiny children, in a process of its own, that a test can never leave behind.

`python supervising.py {json}` is that process: it dies with the test's, and its children with it.
"""

import asyncio
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from loadbalancer.spawn import forking, procfs  # noqa: E402
from loadbalancer.spawn.plan import SupervisorPlan  # noqa: E402
from loadbalancer.spawn.supervise import SupervisorError, run_supervisor  # noqa: E402

DEADLINE_S = 20.0  # generous: a test that needs it is broken, a busy machine is not

# A worker that accepts on its sockets and answers its pid; SIGTERM ends it, but not between the two.
WORKER = """
import os, select, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
socks = [socket.socket(fileno=fd) for fd in range(3, 3 + int(os.environ['LISTEN_FDS']))]
assert os.environ['LISTEN_PID'] == str(os.getpid())
if len(sys.argv) > 1 and sys.argv[1] == 'mute':
    signal.pause()
os.write(int(os.environ['READY_FD']), b'ready\\n')
while True:
    for sock in select.select(socks, [], [])[0]:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            peer = sock.accept()[0]
            peer.sendall(f"{os.getpid()} {os.environ['LISTEN_FDNAMES']}".encode()); peer.close()
        except BlockingIOError: pass
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
"""
SLEEPER = "import signal; signal.pause()"
# A replica that serves what a bundled one does, as far as a test needs it.
REPLICA = """
import os, socket
if 'LISTEN_FDS' in os.environ:
    sock = socket.socket(fileno=3)
    sock.listen()
else:
    sock = socket.create_server((os.environ['HOST'], int(os.environ['PORT'])))
head = b'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n'
body = os.environ.get('SERVER_ID', '').encode()
while True:
    peer = sock.accept()[0]
    peer.recv(65536)
    peer.sendall(head % len(body) + body)
    peer.close()
"""


def python(code: str, *arguments: str) -> list[str]:
    """An interpreter without site-packages starts in 10 ms."""
    return [sys.executable, "-I", "-S", "-c", code, *arguments]


def wait_until(what: Callable[[], Any], why: str) -> Any:
    """The first true value of `what`; looked at every 5 ms up to the deadline."""
    until = time.monotonic() + DEADLINE_S
    while not (value := what()):
        if time.monotonic() > until:
            raise AssertionError(f"never came true: {why}")
        select.select([], [], [], 0.005)
    return value


class Supervising:
    """A running supervisor; as a context manager it is ended, and all of its cluster proven gone."""

    def __init__(self, **overrides: Any) -> None:
        self.dir = Path(tempfile.mkdtemp(dir="/tmp", prefix="csl-"))
        self.cluster_id = self.dir.name
        self.settings: dict[str, Any] = {
            "state_dir": str(self.dir),
            "run_dir": str(self.dir / "run"),
            "cluster_id": self.cluster_id,
            "control_argv": python(SLEEPER),
            "worker": python(WORKER),
            "ports": {"main": 0, "second": 0},
            "workers": 2,
            "drain_timeout_s": 5.0,
            "reload": {},
            **overrides,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Supervising":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.end()
        shutil.rmtree(self.dir)

    @property
    def orders_path(self) -> str:
        return str(self.dir / "run" / "supervisor.sock")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, wait: bool = True) -> "Supervising":
        log = (self.dir / "log").open("ab")
        argv = [sys.executable, __file__, json.dumps(self.settings)]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        if wait:
            wait_until(self._up, "the supervisor is up")
        return self

    def _up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the supervisor ended: {self.log()}")
        if self.ports().get("pid") != self.process.pid:
            return False
        return len(self.of("worker")) == self.settings["workers"] and bool(self.of("control"))

    def log(self) -> str:
        return (self.dir / "log").read_text()

    def ports(self) -> dict[str, Any]:
        with contextlib.suppress(OSError):
            return json.loads((self.dir / "ports.json").read_text())
        return {}

    def order(self, op: str, **fields: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(DEADLINE_S)
            sock.connect(self.orders_path)
            return ask(sock, op, **fields)

    def children(self) -> list[dict[str, Any]]:
        return self.order("list")["children"]

    def of(self, role: str) -> dict[str, int]:
        """{name: pid} of the children of a role."""
        return {child["name"]: child["pid"] for child in self.children() if child["role"] == role}

    def processes(self) -> list[int]:
        """Everything that carries the cluster's mark and runs."""
        return procfs.members(self.cluster_id)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(DEADLINE_S)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        procfs.sweep(self.cluster_id)


def ask(sock: socket.socket, op: str, **fields: Any) -> dict[str, Any]:
    """One order and its answer; events that come between are dropped."""
    sock.sendall(json.dumps({"id": 1, "op": op, **fields}).encode() + b"\n")
    while "event" in (answer := read_line(sock)):
        pass
    return answer


def read_line(sock: socket.socket) -> dict[str, Any]:
    """Byte by byte, so nothing of the next line is lost."""
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            raise ConnectionResetError(f"closed after {line!r}")
        line += byte
    return json.loads(line)


def call(port: int) -> str:
    """What a WORKER says on that port."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as sock:
        return b"".join(iter(lambda: sock.recv(4096), b"")).decode()


async def fetch(host: str, port: int) -> bytes:
    """The whole answer to GET /home, on a connection of its own."""
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /home HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


def plan_of(settings: dict[str, Any]) -> SupervisorPlan:
    fields = dict(settings)
    worker, reload = fields.pop("worker"), fields.pop("reload")

    def refresh() -> SupervisorPlan:
        if reload.get("raises"):
            raise ValueError(reload["raises"])
        return plan_of({**settings, **reload})

    paths = {name: Path(fields.pop(name)) for name in ("state_dir", "run_dir")}
    return SupervisorPlan(**paths, **fields, worker_argv=lambda slot: worker_argv(worker, slot), refresh=refresh)


def worker_argv(worker: list[str], slot: int) -> list[str]:
    return [part.replace("{slot}", str(slot)) for part in worker]


def main() -> int:
    forking.die_with_parent(os.getppid())
    try:
        return run_supervisor(plan_of(json.loads(sys.argv[1])))
    except SupervisorError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
