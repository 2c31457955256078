"""Conversations on a bench, held in two ways: each request and answer whole, or each in two pieces.

What comes whole and has come before may go the short way (known_head.py, Exchange.answer_known). What comes in pieces
never does, so the one conversation says what must come of the other.
"""

import re
from itertools import count
from typing import Any

from loadbalancer.aio.client import Client
from loadbalancer.aio.introduced import client_factory
from support.bench import OK, Bench, Line, Wire

FIRST_BYTES = 5
"""Where messages are cut in two: within the first line, so neither piece says what it is."""


class Side(Wire):
    """A client's transport; its own end of writing is noted, not carried out."""

    said_end = False

    def write_eof(self) -> None:
        self.said_end = True


class Ledger:
    """An access log's place: what the data path tells it."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def ended(self, exchange: Any, whole: bool, now: float) -> None:
        head, client = exchange.head, exchange.client
        pool = exchange.pool or exchange.left
        who = (client.address, head.method, head.target, exchange.request_id, None if pool is None else pool.node_id)
        self._note(client, *who, exchange.status, len(exchange.tried), whole)

    def answered(self, client: Client, head: Any, status: int, request_id: bytes) -> None:
        self._note(client, client.address, head and head.target, request_id, status)

    def _note(self, client: Client, *said: Any) -> None:
        sent, client.logged = client.sent - client.logged, client.sent
        self.lines.append((*said, sent))

    def tick(self) -> None: ...


class Talk:
    """Clients and replicas of one bench."""

    def __init__(self, ground: Bench, pieces: bool = False) -> None:
        self.ground = ground
        self.door = ground.door
        self.door.date_line = b"Date: today\r\n"
        self.door._ids = count(1 << 20)  # pyright: ignore[reportPrivateUsage]  # fresh ids of one length
        self.ledger = Ledger()
        self.door.access = self.ledger  # type: ignore[assignment]  # it has the methods
        self.sides: list[Side] = []
        self._pieces = pieces
        self._make = client_factory(self.door, True, True)

    def come(self, peer: str = "127.0.0.1") -> Side:
        """A new client's connection."""
        client = self._make()
        side = Side(client, peer)
        client.connection_made(side)
        self.sides.append(side)
        return side

    def _give(self, taker: Any, data: bytes) -> None:
        if self._pieces:
            taker.data_received(data[:FIRST_BYTES])
            data = data[FIRST_BYTES:]
        taker.data_received(data)

    async def ask(self, side: Side, request: bytes) -> None:
        self._give(side.protocol, request)
        await self.ground.settle()

    def busy(self) -> list[Line]:
        return [line for line in self.ground.lines if line.busy]

    async def answer(self, data: bytes = OK, last: bool = False) -> None:
        """All replicas that were asked answer; `last`: and end their connections."""
        for line in self.busy():
            self._give(line.upstream, data)
            if last and not line.wire.ended:
                line.wire.abort()
        await self.ground.settle()

    async def reset(self) -> None:
        """All replicas that were asked reset their connections."""
        for line in self.busy():
            line.reset()
        await self.ground.settle()

    async def get(self, side: Side, request: bytes, answer: bytes = OK) -> bytes:
        """What the client gets for this request."""
        before = len(side.written)
        await self.ask(side, request)
        await self.answer(answer)
        return side.written[before:]

    def _plain(self, data: bytes) -> bytes:
        """Without what the door makes anew for each request."""
        start = self.door._id_start  # pyright: ignore[reportPrivateUsage]
        return re.sub(re.escape(start) + b"[0-9a-f]+", b"FRESH", data)

    @property
    def story(self) -> dict[str, Any]:
        """All that anybody saw of it."""
        return {
            "clients": [(self._plain(side.written), side.ended, side.said_end) for side in self.sides],
            "replicas": [(line.node, self._plain(line.wire.written), line.wire.ended) for line in self.ground.lines],
            "counters": self.door.counters.to_json(),
            "log": [tuple([self._plain(x) if isinstance(x, bytes) else x for x in line]) for line in self.ledger.lines],
        }
