"""One connection of lines, as the supervisor's loop holds it: never blocking, always bounded."""

import contextlib
import json
import os
import socket
import struct
from collections.abc import Mapping

from loadbalancer.orders import LINE_BYTES

BACKLOG_BYTES = 1024 * 1024  # of unread answers and events; who reads so slowly has lost the thread anyway
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class Peer:
    """One connection. `hears` says whether it gets events (it is a control that said hello)."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.hears = False
        self._inbox = b""
        self._outbox = b""

    def trusted(self) -> bool:
        """By the kernel's word: the other end runs as this user, or as root."""
        raw = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return _CREDENTIALS.unpack(raw)[1] in (os.getuid(), 0)

    def receive(self) -> list[bytes]:
        """The whole lines that came, without their ends. Raises OSError at the end or on a long line."""
        try:
            data = self.sock.recv(LINE_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionResetError("closed by the peer")
        *lines, self._inbox = (self._inbox + data).split(b"\n")
        if len(self._inbox) > LINE_BYTES:
            raise ConnectionAbortedError(f"a line of more than {LINE_BYTES} bytes")
        return lines

    def send(self, message: Mapping[str, object]) -> None:
        """Raises OSError if the peer is gone or does not read."""
        self._outbox += json.dumps(message).encode() + b"\n"
        self.flush()
        if len(self._outbox) > BACKLOG_BYTES:
            raise ConnectionAbortedError("the peer does not read its answers")

    def flush(self) -> None:
        """Write what fits. Raises OSError if the peer is gone."""
        with contextlib.suppress(BlockingIOError):
            while self._outbox:
                self._outbox = self._outbox[self.sock.send(self._outbox) :]

    @property
    def has_unsent(self) -> bool:
        return bool(self._outbox)

    def close(self) -> None:
        self.sock.close()
