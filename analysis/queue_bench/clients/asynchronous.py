"""The loads of a product whose Python client is asyncio's, over what its module says of publishing and subscribing."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol

import uvloop

from analysis.queue_bench.asked import Ask, Load, shares
from analysis.queue_bench.pacing import late_s, latency, one_by_one, stamped, ticks, warmed

PATIENCE_S: Final = 60.0
WARM: Final = 200
"""Synchronous sends before those that count."""


class Session(Protocol):
    """A connection. Every method raises its client library's exceptions."""

    async def create(self, name: str, synced: bool) -> None: ...

    async def delete(self, name: str) -> None: ...

    async def publish(self, name: str, body: bytes) -> None:
        """Until it is acknowledged."""
        ...

    async def send(self, name: str, body: bytes) -> None:
        """Without waiting for the ack, unless as many are under way as the client's users would allow."""
        ...

    async def settled(self, timeout_s: float) -> None:
        """Until all that was sent is acknowledged. Raises RuntimeError if something is not."""
        ...

    async def subscribe(self, name: str, came: Callable[[bytes], None]) -> None:
        """From the first message on, without acks."""
        ...

    async def close(self) -> None: ...


Open = Callable[[str], Coroutine[Any, Any, Session]]


def names(topic: str, partitions: int) -> list[str]:
    """Of the streams or queues that stand for a topic's partitions."""
    return [f"{topic}-{number}" for number in range(partitions)]


async def create(opened: Open, address: str, topic: str, partitions: int, synced: bool) -> None:
    session = await opened(address)
    for name in names(topic, partitions):
        await session.create(name, synced)
    await session.close()


async def delete(opened: Open, address: str, topic: str, partitions: int) -> None:
    session = await opened(address)
    for name in names(topic, partitions):
        await session.delete(name)
    await session.close()


async def send_one(opened: Open, address: str, topic: str) -> None:
    session = await opened(address)
    await session.publish(names(topic, 1)[0], b"first")
    await session.close()


# Loads

Ready = Callable[[], None]


async def _produce(ask: Ask, ready: Ready, session: Session) -> Mapping[str, float]:
    to, body = names(ask.topic, ask.partitions), b"x" * ask.size
    ready()
    for place in range(ask.count):
        await session.send(to[place % ask.partitions], body)
    await session.settled(PATIENCE_S)
    return {}


async def _consume(ask: Ask, ready: Ready, session: Session) -> Mapping[str, float]:
    seen, all_seen = 0, asyncio.Event()

    def came(body: bytes) -> None:
        nonlocal seen
        assert len(body) == ask.size
        seen += 1
        if seen == ask.count:
            all_seen.set()

    ready()
    for name in names(ask.topic, ask.partitions):
        await session.subscribe(name, came)
    await asyncio.wait_for(all_seen.wait(), PATIENCE_S)
    return {}


async def _sync(ask: Ask, ready: Ready, session: Session) -> Mapping[str, float]:
    await _one_by_one(ask, session, 0, WARM)
    ready()
    return one_by_one(await _one_by_one(ask, session, 0, ask.count))


async def _one_by_one(ask: Ask, session: Session, number: int, count: int) -> list[float]:
    name, body = names(ask.topic, ask.partitions)[number % ask.partitions], b"x" * ask.size
    took: list[float] = []
    for _ in range(count):
        begun = time.perf_counter()
        await session.publish(name, body)
        took.append(time.perf_counter() - begun)
    return took


async def _waiting(ask: Ask, ready: Ready, opened: Open) -> Mapping[str, float]:
    sessions = [await opened(ask.address) for _ in range(ask.clients)]
    ready()
    dealt = enumerate(zip(sessions, shares(ask.count, ask.clients), strict=True), ask.first)
    took = await asyncio.gather(*[_one_by_one(ask, session, number, count) for number, (session, count) in dealt])
    for session in sessions:
        await session.close()
    return latency([one for many in took for one in many])


async def _paced(ask: Ask, ready: Ready, session: Session) -> Mapping[str, float]:
    name = names(ask.topic, 1)[0]
    await session.publish(name, stamped(0, ask.size))
    ready()
    for due_ns, many in ticks(time.perf_counter_ns(), ask.count, ask.rate):
        await asyncio.sleep(max(0, due_ns - time.perf_counter_ns()) / 1e9)
        for _ in range(many):
            await session.send(name, stamped(due_ns, ask.size))
    await session.settled(PATIENCE_S)
    return {}


async def _receive(ask: Ask, ready: Ready, session: Session) -> Mapping[str, float]:
    """The first message is not counted: it shows that the way is open."""
    took: list[float] = []
    is_open, all_seen = asyncio.Event(), asyncio.Event()

    def came(body: bytes) -> None:
        took.append(late_s(body, time.perf_counter_ns()))
        is_open.set()
        if len(took) > ask.count:
            all_seen.set()

    await session.subscribe(names(ask.topic, 1)[0], came)
    await asyncio.wait_for(is_open.wait(), PATIENCE_S)
    ready()
    await asyncio.wait_for(all_seen.wait(), PATIENCE_S + ask.count / ask.rate)
    return latency(warmed(took[1:]))


def loads(opened: Open) -> Mapping[str, Load]:
    """All of them, each in an event loop of its own."""

    def with_one(work: Callable[[Ask, Ready, Session], Coroutine[Any, Any, Mapping[str, float]]]) -> Load:
        async def connected(ask: Ask, ready: Ready) -> Mapping[str, float]:
            session = await opened(ask.address)
            found = await work(ask, ready, session)
            await session.close()
            return found

        return lambda ask, ready: uvloop.run(connected(ask, ready))

    return {
        "produce": with_one(_produce),
        "consume": with_one(_consume),
        "sync": with_one(_sync),
        "waiting": lambda ask, ready: uvloop.run(_waiting(ask, ready, opened)),
        "paced": with_one(_paced),
        "receive": with_one(_receive),
    }
