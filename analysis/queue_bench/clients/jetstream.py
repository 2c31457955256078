"""NATS JetStream by nats-py: a stream in files for each partition.

Published with publish_async, the client's own way to have many under way; read by an ordered consumer, which acks
nothing, as nobody else commits either.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import nats
import uvloop
from nats.js.api import StorageType, StreamConfig

from analysis.queue_bench.asked import Load
from analysis.queue_bench.clients import asynchronous

UNDER_WAY: Final = 4000
"""Nats-py's own limit of messages without an ack."""
REQUEST_S: Final = 30.0
CONNECT_S: Final = 5


class Session:
    """A connection, see asynchronous.Session."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._js: Any = connection.jetstream(timeout=REQUEST_S, publish_async_max_pending=UNDER_WAY)
        self._under_way: set[asyncio.Future[Any]] = set()
        self._failed: list[str] = []

    async def create(self, name: str, synced: bool) -> None:
        del synced  # a setting of the server's
        await self._js.add_stream(StreamConfig(name=name, subjects=[name], storage=StorageType.FILE, num_replicas=1))

    async def delete(self, name: str) -> None:
        await self._js.delete_stream(name)

    async def publish(self, name: str, body: bytes) -> None:
        await self._js.publish(name, body)

    async def send(self, name: str, body: bytes) -> None:
        acked: asyncio.Future[Any] = await self._js.publish_async(name, body)
        self._under_way.add(acked)
        acked.add_done_callback(self._done)

    def _done(self, acked: asyncio.Future[Any]) -> None:
        self._under_way.discard(acked)
        if acked.cancelled() or acked.exception() is not None:
            self._failed.append("cancelled" if acked.cancelled() else str(acked.exception()))

    async def settled(self, timeout_s: float) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=timeout_s)
        if self._under_way or self._failed:
            raise RuntimeError(f"{len(self._under_way)} messages without an ack, {self._failed[:1]}")

    async def subscribe(self, name: str, came: Callable[[bytes], None]) -> None:
        async def called(message: Any) -> None:
            came(message.data)

        await self._js.subscribe(name, stream=name, ordered_consumer=True, cb=called)

    async def close(self) -> None:
        await self._connection.close()


async def opened(address: str) -> Session:
    return Session(await nats.connect(f"nats://{address}", connect_timeout=CONNECT_S, allow_reconnect=False))


def create(address: str, topic: str, partitions: int, synced: bool) -> None:
    """Raises nats.errors.Error."""
    uvloop.run(asynchronous.create(opened, address, topic, partitions, synced))


def delete(address: str, topic: str, partitions: int) -> None:
    """Raises nats.errors.Error."""
    uvloop.run(asynchronous.delete(opened, address, topic, partitions))


def send_one(address: str, topic: str) -> None:
    """Raises nats.errors.Error."""
    uvloop.run(asynchronous.send_one(opened, address, topic))


LOADS: Final[Mapping[str, Load]] = asynchronous.loads(opened)
