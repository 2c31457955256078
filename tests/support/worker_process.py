"""A real data-path worker in a process of its own, with the test in control's place: it hears the worker's counters."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from analysis.running import open_files, pss_bytes
from loadbalancer.door_settings import DoorSettings
from loadbalancer.snapshot import Epoch, Member, Snapshot

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
START = """
import os, sys
fds = [int(fd) for fd in sys.argv[1:3]]
for place, fd in enumerate(fds):
    os.dup2(fd, 100 + place)
for place in range(len(fds)):
    os.dup2(100 + place, 3 + place)
os.execv(sys.executable, [sys.executable, "-m", "loadbalancer.aio.worker", *sys.argv[3:]])
"""


class WorkerProcess:
    """`start` it on a listening socket, before replicas at these ports; `stop` ends it, however it is."""

    def __init__(self, directory: Path, ports: list[int], **settings: Any) -> None:
        directory.mkdir(exist_ok=True)
        names = ("control_socket", "loop_socket", "feed_socket", "snapshot_path")
        paths = {name: str(directory / name) for name in names}
        self.settings = DoorSettings(**{"cluster_id": "test", "unknown_path": "pass", **paths, **settings})
        self.errors = directory / "errors.log"
        self._config = directory / "door.json"
        self._config.write_text(self.settings.dump())
        members = tuple(Member(i, i, f"S{i}", "127.0.0.1", port) for i, port in enumerate(ports, 1))
        Path(self.settings.snapshot_path).write_text(json.dumps(Snapshot(Epoch(1, 1), members).to_json()))
        self._reports: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def start(self, listener: socket.socket) -> None:
        self._feed = await asyncio.start_unix_server(self._hear, self.settings.feed_socket, limit=1 << 20)
        ready, tell = os.pipe()
        env = os.environ | {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "main", "READY_FD": "4", "PYTHONPATH": str(ROOT)}
        argv = (str(listener.fileno()), str(tell), "--config", str(self._config), "--slot", "0")
        with self.errors.open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", START, *argv,
                env=env, pass_fds=(listener.fileno(), tell), stdin=asyncio.subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
        os.close(tell)
        line = await asyncio.get_running_loop().run_in_executor(None, os.read, ready, 16)
        os.close(ready)
        assert line == b"ready\n", self.errors.read_text()

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._feed.close()
        await self._feed.wait_closed()

    @property
    def pid(self) -> int:
        return self._process.pid

    def open_files(self) -> int:
        return open_files(self.pid)

    def memory_bytes(self) -> int:
        return pss_bytes(self.pid)

    def log(self) -> list[dict[str, Any]]:
        """What it logged; a line that is no JSON (a traceback) fails."""
        return [json.loads(line) for line in self.errors.read_text().splitlines()]

    async def counters(self) -> dict[str, Any]:
        """Its next report (twice a second), made after this call."""
        while not self._reports.empty():
            self._reports.get_nowait()
        async with asyncio.timeout(PATIENCE_S):
            return await self._reports.get()

    async def quiet(self, clients: int = 0) -> dict[str, Any]:
        """Wait until nothing is under way and only so many clients are left; its report then."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                report = await self.counters()
                if report["client_connections"] == clients and not any(report["in_flight"].values()):
                    return report

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if message["type"] == "counters":
                    self._reports.put_nowait(message)
        finally:
            writer.close()
