"""The queue's ports with a real supervisor and real workers, before echo servers in the place of the queue's listeners.

Control is a few lines that publish what the test says, so that it can die as control does.
"""

import contextlib
import json
import os
import signal
import socket
import socketserver
import sys
import threading
import unittest
from collections.abc import Iterable
from typing import Any

import pytest
from support.supervising import DEADLINE_S, ROOT, Supervising, python, wait_until

from loadbalancer.door_settings import DoorSettings
from loadbalancer.snapshot import Epoch, Member, Snapshot

# Tells each worker the snapshot that lies in a file, with a generation of its own.
CONTROL = """
import json, os, socket, sys, time
sock = socket.socket(socket.AF_UNIX)
if os.path.exists(sys.argv[1]):
    os.unlink(sys.argv[1])
sock.bind(sys.argv[1])
sock.listen()
generation, peers = time.time_ns(), []
while True:
    peers.append(sock.accept()[0])
    snapshot = json.load(open(sys.argv[2]))
    peers[-1].sendall(json.dumps({**snapshot, 'type': 'snapshot', 'epoch': [generation, 1]}).encode() + b'\\n')
"""
CROWD = 24
"""Of so many connections all go to the same of two workers once in eight million times."""


class EchoServer(socketserver.ThreadingTCPServer):
    """Says its name, then what it hears, but for `hush`: that has no answer, and is noted."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, name: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.name = name
        self.hushed: list[socket.socket] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, EchoServer)
        with contextlib.suppress(OSError):
            self.request.sendall(self.server.name)
            while data := self.request.recv(4096):
                if data == b"hush":
                    self.server.hushed.append(self.request)
                else:
                    self.request.sendall(data)


@pytest.mark.system
class QueuePorts(unittest.TestCase):
    def setUp(self) -> None:
        self.servers = [EchoServer(name) for name in (b"A", b"B")]
        for server in self.servers:
            self.addCleanup(server.close)
        self.up = Supervising()
        self.addCleanup(self.up.__exit__)
        run = self.up.dir / "run"
        published = self.up.dir / "published.json"
        published.write_text(json.dumps(self.snapshot().to_json()))
        names = ("control_socket", "loop_socket", "snapshot_path")
        paths: dict[str, Any] = {name: str(run / name) for name in names}
        settings = DoorSettings("test", feed_socket=str(run / "feed.sock"), drain_timeout_s=2.0, **paths)
        self.up.settings |= {
            "control_argv": python(CONTROL, settings.feed_socket, str(published)),
            "worker": [
                sys.executable,
                "-m",
                "loadbalancer.aio.worker",
                "--config",
                str(run / "door.json"),
                "--slot",
                "{slot}",
            ],
            "files": {"door.json": settings.dump()},
            "env": {"PYTHONPATH": str(ROOT)},
            "ports": {"main": 0, "queue": 0},
        }
        self.up.start()

    def snapshot(self) -> Snapshot:
        members = [
            Member(i, i, f"S{i}", "127.0.0.1", 1, queue=server.server_address, queue_slot=i - 1)  # type: ignore[arg-type]
            for i, server in enumerate(self.servers, 1)
        ]
        return Snapshot(Epoch(1, 1), tuple(members))

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.up.ports()["queue"]), timeout=DEADLINE_S)
        self.addCleanup(sock.close)
        return sock

    def crowd(self) -> list[socket.socket]:
        """Connections that have been led to a server."""
        crowd = [self.connect() for _ in range(CROWD)]
        self.assertEqual({sock.recv(1) for sock in crowd}, {b"A", b"B"})
        return crowd

    def echoes(self, sock: socket.socket) -> bool:
        try:
            sock.sendall(b"x")
            return sock.recv(1) == b"x"
        except ConnectionError:
            return False

    def kept(self, crowd: Iterable[socket.socket]) -> list[socket.socket]:
        return [sock for sock in crowd if self.echoes(sock)]

    def kill(self, role: str) -> None:
        """Kill -9 the first of that role, and wait for its successor."""
        name, pid = sorted(self.up.of(role).items())[0]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.up.of(role).get(name) not in (None, pid), "a successor")

    def test_a_death_of_control_is_not_felt(self) -> None:
        crowd = self.crowd()
        self.kill("control")
        self.assertEqual(self.kept(crowd), crowd)
        self.crowd()
        self.assertEqual(self.kept(crowd), crowd)

    def test_a_death_of_a_worker_takes_its_own_connections_and_no_others(self) -> None:
        crowd = self.crowd()
        self.kill("worker")
        kept = self.kept(crowd)
        self.assertTrue(0 < len(kept) < CROWD, len(kept))
        self.crowd()  # the port was never closed
        self.assertEqual(self.kept(kept), kept)

    def test_a_reload_ends_the_quiet_ones_and_cuts_the_others(self) -> None:
        quiet, busy = self.crowd(), self.crowd()
        for sock in busy:
            sock.sendall(b"hush")
        wait_until(lambda: sum(len(server.hushed) for server in self.servers) == CROWD, "all have come")
        workers = self.up.of("worker")
        self.assertTrue(self.up.order("reload")["ok"])
        wait_until(lambda: not set(self.up.of("worker").values()) & set(workers.values()), "new workers")
        self.assertEqual({sock.recv(1) for sock in quiet}, {b""})
        for sock in busy:
            with self.assertRaises(ConnectionResetError):
                sock.recv(1)
        self.crowd()

    def test_a_dead_server_is_passed_over(self) -> None:
        self.servers[1].close()
        self.assertEqual({self.connect().recv(1) for _ in range(CROWD)}, {b"A"})


if __name__ == "__main__":
    unittest.main()
