"""RabbitMQ by aio-pika: a durable queue for each partition, persistent messages, publisher confirms.

A task for each message that is under way: aio-pika's way to not wait for each confirm. Consumed without acks
(RabbitMQ's fastest), as nobody else commits either; what is consumed is gone.
"""

# pyright: reportUnknownMemberType=false

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import aio_pika
import uvloop
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from analysis.queue_bench.asked import Load
from analysis.queue_bench.clients import asynchronous

UNDER_WAY: Final = 1000
"""Messages without a confirm."""
KINDS: Final[Mapping[bool, dict[str, Any]]] = {
    False: {"x-queue-type": "classic", "x-queue-version": 2},
    True: {"x-queue-type": "quorum"},
}
"""By `synced`. A classic queue of version 2 confirms what it has written; a quorum queue's log is synced first."""


class Session:
    """A channel on a connection of its own, see asynchronous.Session."""

    def __init__(self, connection: AbstractConnection, channel: AbstractChannel) -> None:
        self._connection = connection
        self._channel = channel
        self._free = asyncio.Semaphore(UNDER_WAY)
        self._under_way: set[asyncio.Task[None]] = set()
        self._failed: list[str] = []

    async def create(self, name: str, synced: bool) -> None:
        await self._channel.declare_queue(name, durable=True, arguments=KINDS[synced])

    async def delete(self, name: str) -> None:
        await self._channel.queue_delete(name)

    async def publish(self, name: str, body: bytes) -> None:
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self._channel.default_exchange.publish(message, routing_key=name)

    async def send(self, name: str, body: bytes) -> None:
        await self._free.acquire()
        task = asyncio.create_task(self.publish(name, body))
        self._under_way.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._free.release()
        self._under_way.discard(task)
        if task.cancelled() or task.exception() is not None:
            self._failed.append("cancelled" if task.cancelled() else str(task.exception()))

    async def settled(self, timeout_s: float) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=timeout_s)
        if self._under_way or self._failed:
            raise RuntimeError(f"{len(self._under_way)} messages without a confirm, {self._failed[:1]}")

    async def subscribe(self, name: str, came: Callable[[bytes], None]) -> None:
        async def called(message: AbstractIncomingMessage) -> None:
            came(message.body)

        queue = await self._channel.get_queue(name, ensure=False)
        await queue.consume(called, no_ack=True)

    async def close(self) -> None:
        await self._connection.close()


async def opened(address: str) -> Session:
    connection = await aio_pika.connect(f"amqp://guest:guest@{address}/")
    return Session(connection, await connection.channel(publisher_confirms=True))


def create(address: str, topic: str, partitions: int, synced: bool) -> None:
    """Raises aio_pika's exceptions."""
    uvloop.run(asynchronous.create(opened, address, topic, partitions, synced))


def delete(address: str, topic: str, partitions: int) -> None:
    """Raises aio_pika's exceptions."""
    uvloop.run(asynchronous.delete(opened, address, topic, partitions))


def send_one(address: str, topic: str) -> None:
    """Raises aio_pika's exceptions."""
    uvloop.run(asynchronous.send_one(opened, address, topic))


LOADS: Final[Mapping[str, Load]] = asynchronous.loads(opened)
