"""A replica that says any bytes to one request, and honest answers to all others."""

import asyncio
from collections.abc import Sequence

from support.fake_replicas import Visit

SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"
TURNS = 5
"""Turns of the loop between two pieces: enough for a front door to have read the first."""


class Teller:
    """`answer` is the Answerer of a FakeReplica."""

    def __init__(self) -> None:
        self._said: Sequence[bytes] | None = None
        self._closes = False

    def tell(self, said: Sequence[bytes], closes: bool) -> None:
        """What the next request gets, piece by piece, and whether the connection is closed behind it."""
        self._said, self._closes = said, closes

    async def answer(self, visit: Visit) -> None:
        said, self._said = self._said, None
        if said is None:
            visit.say(SECOND)
            return
        for piece in said:
            visit.say(piece)
            await visit.writer.drain()
            for _ in range(TURNS):
                await asyncio.sleep(0)
        if self._closes:
            visit.close()
