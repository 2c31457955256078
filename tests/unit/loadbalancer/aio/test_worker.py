"""The worker as a real process: inherited sockets, no control, and a drain on SIGTERM."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from support.fake_replicas import Connection, FakeReplica

from loadbalancer.door_settings import DoorSettings
from loadbalancer.snapshot import Epoch, Member, Snapshot

ROOT = Path(__file__).resolve().parents[4]
START = """
import os, sys
fds = [int(fd) for fd in sys.argv[1:3]]
for place, fd in enumerate(fds):
    os.dup2(fd, 100 + place)
for place in range(len(fds)):
    os.dup2(100 + place, 3 + place)
os.execv(sys.executable, [sys.executable, "-m", "loadbalancer.aio.worker", *sys.argv[3:]])
"""


class Worker(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.replica = FakeReplica()
        await self.replica.start()
        self.addAsyncCleanup(self.replica.stop)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.config = self.directory / "door.json"
        names = ("control_socket", "loop_socket", "feed_socket", "snapshot_path")
        paths: dict[str, Any] = {name: str(self.directory / name) for name in names}
        settings = DoorSettings("test", **paths)
        self.config.write_text(settings.dump())
        member = Member(1, 1, "S1", "127.0.0.1", self.replica.port)
        Path(settings.snapshot_path).write_text(json.dumps(Snapshot(Epoch(1, 1), (member,)).to_json()))

    async def start(self) -> asyncio.subprocess.Process:
        ready, tell = os.pipe()
        env = os.environ | {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "main", "READY_FD": "4", "PYTHONPATH": str(ROOT)}
        argv = (str(self.listener.fileno()), str(tell), "--config", str(self.config), "--slot", "0")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", START, *argv, env=env, pass_fds=(self.listener.fileno(), tell), stdout=-1, stderr=-1
        )
        self.addAsyncCleanup(self.end, process)
        os.close(tell)
        line = await asyncio.get_running_loop().run_in_executor(None, os.read, ready, 16)
        os.close(ready)
        self.assertEqual(line, b"ready\n")
        return process

    async def end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.kill()
        await process.communicate()

    async def connect(self) -> Connection:
        connection = Connection(*await asyncio.open_connection(*self.listener.getsockname()))
        self.addAsyncCleanup(connection.close)
        return connection

    async def test_it_serves_without_control_and_drains(self) -> None:
        process = await self.start()
        client = await self.connect()
        self.assertEqual((await client.get())[0], 200)
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        late = await self.connect()  # waits in the listening socket, which lives on here
        late.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        while b"Connection: close" not in (await client.get())[1]:
            pass  # the signal has not come yet
        self.assertEqual(await process.wait(), 0)
        output, errors = await process.communicate()
        self.assertEqual((output, errors), (b"", b""))
        await self.start()
        self.assertEqual((await late.message())[0], 200)
