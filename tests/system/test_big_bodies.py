"""Bodies of gigabytes through the front door: nothing of them is kept, and nothing is lost.

Both ends are threads with plain sockets in this process, so they are as fast as the kernel; zlib sums without the
interpreter's lock.
"""

import contextlib
import os
import random
import re
import socket
import threading
import time
import unittest
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from analysis.running import Running, running

BLOCK = random.Random(5).randbytes(1 << 20)
GIB = 1024
"""Blocks."""
FULL_SPEED = 0.0
SLOW_S = 0.004
"""What a slow reader takes for each block more than its reading takes: 1 GiB lasts some 5 s, with megabytes always on
their way to it."""
STALL_S = 1.0
"""So long it reads nothing at all, at first: everything before it fills up."""
KEPT_LIMIT_KB = 16 * 1024
WELL_BELOW_A_MINUTE_S = 40.0


def sum_of(block: bytes, times: int) -> int:
    """The crc32 of `block` that many times: one more block is an affine map of the 32 bits so far."""
    zero = zlib.crc32(block)
    columns = [zlib.crc32(block, 1 << bit) ^ zero for bit in range(32)]
    crc = 0
    for _ in range(times):
        moved = zero
        for bit in range(32):
            if crc >> bit & 1:
                moved ^= columns[bit]
        crc = moved
    return crc


@dataclass(slots=True)
class Reader:
    """Reads what comes, at most at its pace, and sums it."""

    connection: socket.socket
    pause_s: float = FULL_SPEED
    crc: int = 0
    _buffer: bytearray = field(default_factory=lambda: bytearray(len(BLOCK)))

    def head(self) -> bytes:
        """All up to the blank line, byte by byte, so that none of the body is taken."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += self.connection.recv(1) or self._end()
        return data

    def parts(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes, as they come; each part is good until the next."""
        view, left, since = memoryview(self._buffer), size, 0
        time.sleep(STALL_S if self.pause_s else 0)
        while left:
            got = self.connection.recv_into(view[: min(left, len(view))])
            part = view[: got or self._end()]
            self.crc = zlib.crc32(part, self.crc)
            left, since = left - got, since + got
            if self.pause_s and since >= len(view):
                since = 0
                time.sleep(self.pause_s)
            yield part

    def read(self, size: int) -> int:
        """The sum of all that was read so far, with the next `size` bytes."""
        for _ in self.parts(size):
            pass
        return self.crc

    def _end(self) -> int:
        raise EOFError("ended within a message")


class Backend:
    """GET /down/BLOCKS sends them, PUT /up says their sum, PUT /mirror sends them back while they come.

    The bytes of a body, framing included, are as many as X-Bytes says. `pause_s` is how slowly it reads.
    """

    def __init__(self) -> None:
        self.pause_s = FULL_SPEED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.name = "{}:{}".format(*self._listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, EOFError):
            while True:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        head = Reader(connection).head()
        path = head.split(b" ")[1]
        size = int((re.search(rb"\r\nX-Bytes: (\d+)", head) or [b"", b"0"])[1])
        reader = Reader(connection, self.pause_s)
        if path.startswith(b"/down/"):
            blocks = int(path.rpartition(b"/")[2])
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (blocks * len(BLOCK)))
            for _ in range(blocks):
                connection.sendall(BLOCK)
        elif path == b"/mirror":
            framing = b"Transfer-Encoding: chunked" if b"chunked" in head else b"Content-Length: %d" % size
            connection.sendall(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing)
            for part in reader.parts(size):
                connection.sendall(part)
        else:
            said = b"%d" % (reader.read(size) if size else 0)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))


def memory_kb(pid: int, what: str) -> int:
    """VmRSS, or VmHWM: the most it has ever been."""
    return int((re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) or ["", "0"])[1])


@pytest.mark.system
@pytest.mark.slow
class BigBodiesTest(unittest.TestCase):
    backend: ClassVar[Backend]
    system: ClassVar[Running]

    @classmethod
    def setUpClass(cls) -> None:
        cls.backend = Backend()
        cls.addClassCleanup(cls.backend.close)
        flags = ("--runtime", "static", "--backends", cls.backend.name, "--workers", "1", "--health-timeout", "10")
        cls.system = cls.enterClassContext(running(*flags, replicas=1))

    def setUp(self) -> None:
        self.backend.pause_s = FULL_SPEED
        self.client = self.enterContext(socket.create_connection(("127.0.0.1", self.system.port)))

    @contextlib.contextmanager
    def nothing_kept(self) -> Iterator[None]:
        """The worker's memory never grows by more than KEPT_LIMIT_KB."""
        (worker,) = self.system.children("worker")
        Path(f"/proc/{worker['pid']}/clear_refs").write_text("5")  # its peak is what it is now
        before = memory_kb(worker["pid"], "VmRSS")
        yield
        grown = memory_kb(worker["pid"], "VmHWM") - before
        print(f"{self._testMethodName}: {before} KB and {grown} KB more at most")
        self.assertLess(grown, KEPT_LIMIT_KB)

    @contextlib.contextmanager
    def in_time(self, blocks: int) -> Iterator[None]:
        begun = time.monotonic()
        yield
        took_s = time.monotonic() - begun
        print(f"{self._testMethodName}: {took_s:.1f} s, {blocks / took_s:.0f} MiB/s")
        self.assertLess(took_s, WELL_BELOW_A_MINUTE_S)

    def request(self, path: str, piece: bytes, pieces: int, end: bytes, framing: str) -> threading.Thread:
        """Send a PUT in the background."""
        size = len(piece) * pieces + len(end)
        framing = framing or f"Content-Length: {size}"

        def send() -> None:
            self.client.sendall(f"PUT {path} HTTP/1.1\r\nHost: d\r\nX-Bytes: {size}\r\n{framing}\r\n\r\n".encode())
            for _ in range(pieces):
                self.client.sendall(piece)
            self.client.sendall(end)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        return sender

    def mirrored(self, pause_s: float, chunked: bool) -> None:
        """1 GiB up and the same GiB down, at once; `pause_s` is the client's."""
        piece = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK
        end = b"0\r\nX-Sum: 1\r\n\r\n" if chunked else b""
        reader = Reader(self.client, pause_s)
        with self.nothing_kept():
            sender = self.request("/mirror", piece, GIB, end, "Transfer-Encoding: chunked" if chunked else "")
            self.assertIn(b" 200 OK\r\n", reader.head())
            crc = reader.read(len(piece) * GIB + len(end))
            sender.join()
        self.assertEqual(crc, zlib.crc32(end, sum_of(piece, GIB)))

    def test_a_client_that_reads_slowly(self) -> None:
        self.mirrored(SLOW_S, chunked=False)

    def test_a_client_that_reads_slowly_chunked(self) -> None:
        self.mirrored(SLOW_S, chunked=True)

    def test_a_replica_that_reads_slowly(self) -> None:
        self.backend.pause_s = SLOW_S
        self.mirrored(FULL_SPEED, chunked=False)

    def test_a_replica_that_reads_slowly_chunked(self) -> None:
        self.backend.pause_s = SLOW_S
        self.mirrored(FULL_SPEED, chunked=True)

    def test_ten_clients_that_do_not_read(self) -> None:
        """What one of them costs: the transports' buffers on its way, megabytes of which are the kernel's."""
        with self.nothing_kept():
            clients = [self.enterContext(socket.create_connection(("127.0.0.1", self.system.port))) for _ in range(10)]
            for client in clients:
                client.sendall(b"GET /down/64 HTTP/1.1\r\nHost: d\r\n\r\n")
            time.sleep(STALL_S)
            for client in clients:
                reader = Reader(client)
                reader.head()
                self.assertEqual(reader.read(64 * len(BLOCK)), sum_of(BLOCK, 64))

    def test_five_gibibytes_down(self) -> None:
        reader = Reader(self.client)
        with self.in_time(5 * GIB), self.nothing_kept():
            self.client.sendall(b"GET /down/%d HTTP/1.1\r\nHost: d\r\n\r\n" % (5 * GIB))
            reader.head()
            self.assertEqual(reader.read(5 * GIB * len(BLOCK)), sum_of(BLOCK, 5 * GIB))

    def test_five_gibibytes_up(self) -> None:
        reader = Reader(self.client)
        with self.in_time(5 * GIB), self.nothing_kept():
            sender = self.request("/up", BLOCK, 5 * GIB, b"", "")
            length = re.search(rb"\r\nContent-Length: (\d+)\r\n", reader.head())
            assert length is not None
            self.assertEqual(int(self.client.recv(int(length[1]), socket.MSG_WAITALL)), sum_of(BLOCK, 5 * GIB))
            sender.join()


class SumTest(unittest.TestCase):
    def test_against_zlib(self) -> None:
        for block in (b"a", os.urandom(1000)):
            for times in (0, 1, 2, 17):
                self.assertEqual(sum_of(block, times), zlib.crc32(block * times))
