"""Kafka's requests by hand, for clients that no library plays: idle ones by the thousand, and ones that never read.

Requests have header v1, which ApiVersions v0 and Fetch v4 take; Apache Kafka 4 serves both.
"""

import contextlib
import socket
import struct
from typing import Final

API_VERSIONS: Final = 18
FETCH: Final = 1
PATIENCE_S: Final = 10.0
SMALL_WINDOW: Final = 4096
"""Of a reader that does not read: nearly all of what it asked for stays with the server."""


def request(key: int, version: int, body: bytes) -> bytes:
    """A frame with its length; correlation id 1."""
    client = b"drill"
    head = struct.pack(">hhih", key, version, 1, len(client)) + client
    return struct.pack(">i", len(head) + len(body)) + head + body


def fetch(topic: str, partition: int, offset: int, max_bytes: int, wait_ms: int, min_bytes: int) -> bytes:
    """Fetch v4, of one partition."""
    name = topic.encode()
    body = struct.pack(">iiiib", -1, wait_ms, min_bytes, max_bytes, 0)
    body += struct.pack(">ih", 1, len(name)) + name
    return request(FETCH, 4, body + struct.pack(">iiqi", 1, partition, offset, max_bytes))


def connect(address: str, window: int = 0) -> socket.socket:
    """`window`: receive buffer in bytes, 0 for the system's choice. Raises OSError."""
    host, _, port = address.rpartition(":")
    found = socket.socket()
    try:
        if window:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        found.settimeout(PATIENCE_S)
        found.connect((host, int(port)))
    except OSError:
        found.close()
        raise
    return found


def greet(connection: socket.socket) -> None:
    """ApiVersions and its whole answer. Raises OSError."""
    connection.sendall(request(API_VERSIONS, 0, b""))
    (size,) = struct.unpack(">i", _exactly(connection, 4))
    _exactly(connection, size)


def has_answer(connection: socket.socket) -> bool:
    """Whether bytes of an answer wait to be read. Raises ConnectionError if the server has closed."""
    connection.setblocking(False)
    try:
        if not connection.recv(1, socket.MSG_PEEK):
            raise ConnectionError("closed by the server")
    except BlockingIOError:
        return False
    return True


def speaks(address: str) -> bool:
    """Whether a server answers there."""
    with contextlib.suppress(OSError), contextlib.closing(connect(address)) as connection:
        greet(connection)
        return True
    return False


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("closed within an answer")
        data += more
    return data
