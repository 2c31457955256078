"""One connection to control: questions out, answers in by their correlation ids. It ends with its socket, or by the
first frame that makes no sense; every question that waits is then told so.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from wire.frames import BufferPool, FrameReader, read_response_head
from wire.primitives import WireError

Told = Callable[[memoryview | None], None]
"""Gets an answer's frame without its length; None: the connection ended before it came."""

Make = Callable[[int], bytes]
"""A whole request frame with this correlation id."""


class ControlWire(asyncio.BufferedProtocol):
    """See the module. `closed` is done when the connection has ended, with its error, or None."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._frames = FrameReader(BufferPool())
        self._waiting: dict[int, Told] = {}
        self._last_id = 0
        self._fault: Exception | None = None
        self._transport: asyncio.Transport | None = None

    def send(self, make: Make, told: Told) -> int:
        """Ask. `told` is called once, never from within. Returns the correlation id, for `forget`."""
        self._last_id = self._last_id % (2**31 - 1) + 1
        self._waiting[self._last_id] = told
        if self._transport is not None:
            self._transport.write(make(self._last_id))
        return self._last_id

    def forget(self, correlation_id: int) -> None:
        """Nobody waits for that answer any more; it is dropped when it comes."""
        if correlation_id in self._waiting:
            self._waiting[correlation_id] = _ignore

    async def ask(self, make: Make, timeout_s: float) -> memoryview:
        """The same, waited for. Raises ConnectionError, TimeoutError (the connection is of no more use then)."""
        answer: asyncio.Future[memoryview] = asyncio.get_running_loop().create_future()

        def told(frame: memoryview | None) -> None:
            if answer.done():
                return
            if frame is None:
                answer.set_exception(ConnectionResetError("control has closed the connection"))
            else:
                answer.set_result(frame)

        if self.closed.done():
            raise ConnectionResetError("control has closed the connection")
        self.send(make, told)
        async with asyncio.timeout(timeout_s):
            return await answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- what the transport says ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._frames.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self._frames.received(nbytes)
        try:
            while (frame := self._frames.next()) is not None:
                self._answered(frame)
        except WireError as fault:
            self._fault = fault
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._frames.close()
        waiting, self._waiting = self._waiting, {}
        for told in waiting.values():
            told(None)
        if not self.closed.done():
            self.closed.set_result(self._fault or exc)

    def _answered(self, frame: memoryview) -> None:
        correlation_id, _ = read_response_head(frame, 0)
        told = self._waiting.pop(correlation_id, None)
        if told is None:
            raise WireError(f"an answer to a question {correlation_id} that wasn't asked")
        told(frame)


def _ignore(frame: memoryview | None) -> None:
    pass
