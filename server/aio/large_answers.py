"""A large answer on its way to a client: what lies in a file goes from there to the socket, by the kernel's hand.

The problem: uvloop's transports can't send files, and a descriptor of theirs can't be watched beside them. But they
tell when a client that was choked takes more. So as much as the socket takes now is sent past the transport, which has
nothing of its own to send then; after that it gets a little of the file, and with that a reason to tell.

What holds: pieces go out in order, each byte once; what waits holds no memory but PROBE bytes and what was never in a
file. With TCP_CORK heads and records travel together, or each head would wake the client for itself.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from socket import IPPROTO_TCP, TCP_CORK
from typing import Final

from wire.pieces import Piece, Unread
from wire.primitives import Data

PROBE: Final = 64 * 1024
"""Bytes of a file that are read and given to the transport to learn when the client takes more."""


class LargeAnswer:
    """The pieces of one answer that haven't been given to `transport`. Its length is theirs, in bytes."""

    def __init__(self, transport: asyncio.Transport, pieces: Iterable[Piece]) -> None:
        self._transport = transport
        self._pieces = deque(pieces)
        self.in_memory = sum(len(piece) for piece in self._pieces if not isinstance(piece, Unread))
        """Bytes that it holds until its end."""

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def send(self) -> None:
        """As much as the client takes. Raises OSError: then the answer can't go on, and so can't its connection."""
        socket = self._transport.get_extra_info("socket")
        socket.setsockopt(IPPROTO_TCP, TCP_CORK, 1)
        try:
            self._send_to(socket.fileno())
        finally:
            socket.setsockopt(IPPROTO_TCP, TCP_CORK, 0)

    def _send_to(self, socket: int) -> None:
        transport, pieces = self._transport, self._pieces
        while pieces and not transport.get_write_buffer_size():
            piece = pieces[0]
            if not isinstance(piece, Unread):
                transport.writelines(self._up_to_a_file())
                continue
            piece.send(socket)
            if piece:
                transport.write(piece.take(PROBE))
            if not piece:
                pieces.popleft()

    def _up_to_a_file(self) -> list[Data]:
        """The pieces that come before the next one in a file; they are no longer here then."""
        pieces, found = self._pieces, list[Data]()
        while pieces and not isinstance(piece := pieces[0], Unread):
            found.append(piece)
            pieces.popleft()
        return found
