"""Writes of one turn of the loop, made together at its end.

uvloop writes at once, and each write wakes the peer that sleeps on the other end: between two requests of one
turn that peer has read its bytes and gone back to sleep, so every write pays for a wake-up, half of what a
request costs here. Made one after the other, the first write wakes a peer and the others find it awake.

What holds: the order of the writes is the order of `write`. Nothing large waits (LARGE_BYTES): in one turn
libuv reads all that the kernel holds for a connection, megabytes, and backpressure only begins with a write.
Whoever closes a transport flushes first (`flush`). A peer that left in this very turn takes nobody else's bytes
along: uvloop raises at a write to a handle that is closed.
"""

import asyncio

LARGE_BYTES = 16 * 1024
"""Data of this size is written at once: libuv reads up to 32 times in a turn, so less than half a megabyte can wait
for one connection, and waking its peer is no longer what such a write costs."""


class Outbox:
    """To be used from one loop's callbacks only."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.WriteTransport, bytes]] = []

    def write(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write when this turn ends, or now if `data` is large."""
        if len(data) >= LARGE_BYTES:
            self._waiting.append((transport, data))
            self.flush()
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append((transport, data))

    def flush(self) -> None:
        """Write what waits, now."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            try:
                transport.write(data)
            except RuntimeError:  # closed meanwhile; its protocol hears of it by connection_lost
                continue
