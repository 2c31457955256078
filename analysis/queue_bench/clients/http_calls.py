"""Calls of the queue's plain HTTP interface through the front door, over connections that are kept: calls a second.

A client here is a connection with a producer or consumer of its own, one call after another. Raw asyncio: what an HTTP
library would take is more than the call.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop

from analysis.queue_bench.asked import Ask, Load, shares
from analysis.queue_bench.clients.kafka import Acks
from analysis.queue_bench.pacing import latency

CALL_S: Final = 30.0


class Connection:
    """One to the front door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def call(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        """The answer's JSON. Raises RuntimeError unless it is a 200; OSError and asyncio.IncompleteReadError."""
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answered = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        said = await self._reader.readexactly(content_length(answered))
        if not answered.startswith("HTTP/1.1 200 "):
            raise RuntimeError(f"{method} {path}: {answered.splitlines()[0]} {said[:500]!r}")
        return json.loads(said)

    def close(self) -> None:
        self._writer.close()


def content_length(head: str) -> int:
    """Raises ValueError without one: this interface's answers all have it."""
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    raise ValueError(f"no length in {head!r}")


async def _connections(ask: Ask) -> list[Connection]:
    url = urlsplit(ask.url)
    return [Connection(*await asyncio.open_connection(url.hostname, url.port)) for _ in range(ask.clients)]


async def _registered(connection: Connection, kind: str, topic: str) -> int:
    answer = await connection.call("POST", f"/{kind}/register", json.dumps({"topic": topic}).encode())
    return int(answer["message"])


Call = Callable[[Connection, int], Any]


async def _calls(ask: Ask, ready: Callable[[], None], kind: str, call: Call, fill: Callable[[], None]) -> list[float]:
    """Seconds of each call, of all clients at once, after they have registered and `fill` was called."""
    connections = await _connections(ask)
    ids = [await _registered(connection, kind, ask.topic) for connection in connections]
    fill()
    took: list[float] = []

    async def one(connection: Connection, number: int, count: int) -> None:
        for _ in range(count):
            begun = time.perf_counter()
            await asyncio.wait_for(call(connection, number), CALL_S)
            took.append(time.perf_counter() - begun)

    ready()
    dealt = zip(connections, ids, shares(ask.count, ask.clients), strict=True)
    await asyncio.gather(*[one(*each) for each in dealt])
    for connection in connections:
        connection.close()
    return took


def produce(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    message = "x" * ask.size

    async def call(connection: Connection, number: int) -> None:
        body = json.dumps({"producer_id": number, "message": message}).encode()
        await connection.call("POST", "/producer/produce", body)

    return latency(uvloop.run(_calls(ask, ready, "producer", call, lambda: None)))


def consume(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    """Each consumer reads every message, so there are as many as one makes calls; they come by the Kafka protocol."""

    async def call(connection: Connection, number: int) -> None:
        answer = await connection.call("GET", f"/consumer/consume?consumer_id={number}")
        assert len(answer["message"]) == ask.size

    def fill() -> None:
        acks = Acks()
        producer = acks.producer(ask.address)
        for _ in range(max(shares(ask.count, ask.clients))):
            acks.send(producer, ask.topic, b"x" * ask.size)
        acks.flush(producer)

    return latency(uvloop.run(_calls(ask, ready, "consumer", call, fill)))


LOADS: Final[Mapping[str, Load]] = {"produce": produce, "consume": consume}
