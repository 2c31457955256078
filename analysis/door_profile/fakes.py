"""A loop whose connections lead nowhere: what a protocol writes is caught, and what it reads is handed to it.

The loop is uvloop's own, as the workers', so that `call_soon` costs what it costs there. Only connecting is replaced.
A write is one C call, so that no time of ours is counted as the front door's.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import uvloop


class FakeTransport(asyncio.Transport):
    """`sent` holds what was written and not yet taken; `deliver` hands bytes to the protocol, as a loop would."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "socket": None})
        self.protocol = protocol
        self.sent: deque[bytes] = deque()
        cast(Any, self).write = self.sent.append
        cast(Any, self).writelines = self.sent.extend
        self.deliver = _receiver(protocol)
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Nobody reads it."""

    def pause_reading(self) -> None:
        """What is handed over is handed over."""

    def resume_reading(self) -> None:
        """See pause_reading."""

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is always room."""


def _receiver(protocol: asyncio.BaseProtocol) -> Callable[[bytes], None]:
    if not isinstance(protocol, asyncio.BufferedProtocol):
        return cast(asyncio.Protocol, protocol).data_received

    def fill(data: bytes) -> None:
        memoryview(cast(Any, protocol.get_buffer(len(data))))[: len(data)] = data
        protocol.buffer_updated(len(data))

    return fill


class FakeLoop(uvloop.Loop):
    """`upstreams` are the connections that were opened to replicas."""

    def __init__(self) -> None:
        super().__init__()
        self.upstreams: list[FakeTransport] = []

    async def create_connection(self, protocol_factory: Callable[[], Any], *args: Any, **keywords: Any) -> Any:
        """Connected at once, to nobody."""
        transport = connected(protocol_factory())
        self.upstreams.append(transport)
        return transport, transport.protocol


def connected(protocol: asyncio.BaseProtocol) -> FakeTransport:
    transport = FakeTransport(protocol)
    protocol.connection_made(transport)
    return transport
