"""Redis Streams by redis-py with hiredis: a stream for each partition.

XADD in pipelines of a thousand, as librdkafka gathers messages too; XREAD without a group: nobody else commits either.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (redis-py types an answer as whatever any of its modes may give)

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import uvloop
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from analysis.queue_bench.asked import Ask, Load, shares
from analysis.queue_bench.pacing import late_s, latency, one_by_one, stamped, ticks, warmed

PIPELINE: Final = 1000
READ: Final = 10_000
"""Messages that one XREAD may bring, an equal share of each stream: all of a load in one answer would be 90 MB."""
BLOCK_MS: Final = 1000
PATIENCE_S: Final = 60.0
WARM: Final = 200
BODY: Final = b"m"


def _redis(address: str) -> Any:
    host, _, port = address.partition(":")
    return Redis(host=host, port=int(port))


def streams(topic: str, partitions: int) -> list[str]:
    return [f"{topic}-{number}" for number in range(partitions)]


def create(address: str, topic: str, partitions: int, synced: bool) -> None:
    """Nothing: the first message makes a stream, and the server decides about syncs."""
    del address, topic, partitions, synced


def delete(address: str, topic: str, partitions: int) -> None:
    with _redis(address) as redis:
        redis.unlink(*streams(topic, partitions))


def send_one(address: str, topic: str) -> None:
    """Raises redis.RedisError."""
    with _redis(address) as redis:
        redis.xadd(streams(topic, 1)[0], {BODY: b"first"})


def produce(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    names, value = streams(ask.topic, ask.partitions), b"x" * ask.size
    with _redis(ask.address) as redis:
        redis.ping()
        ready()
        for begun in range(0, ask.count, PIPELINE):
            pipeline = redis.pipeline(transaction=False)
            for place in range(begun, min(begun + PIPELINE, ask.count)):
                pipeline.xadd(names[place % ask.partitions], {BODY: value})
            pipeline.execute()
    return {}


def consume(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    after: dict[str, Any] = dict.fromkeys(streams(ask.topic, ask.partitions), "0")
    with _redis(ask.address) as redis:
        redis.ping()
        ready()
        seen, deadline = 0, time.monotonic() + PATIENCE_S
        while seen < ask.count:
            for name, messages in _items(redis.xread(after, count=READ // ask.partitions, block=BLOCK_MS)):
                after[name.decode()] = messages[-1][0]
                for _, fields in messages:
                    assert len(fields[BODY]) == ask.size
                seen += len(messages)
            _check(seen, ask.count, deadline)
    return {}


def _items(answer: Any) -> Sequence[tuple[bytes, Any]]:
    """RESP2 answers by pairs, RESP3 by a map with its messages in one more list."""
    if isinstance(answer, dict):
        return [(name, messages[0]) for name, messages in answer.items()]
    return answer or ()


def sync(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    name, message = streams(ask.topic, 1)[0], {BODY: b"x" * ask.size}
    took: list[float] = []
    with _redis(ask.address) as redis:
        for _ in range(WARM):
            redis.xadd(name, message)
        ready()
        for _ in range(ask.count):
            begun = time.perf_counter()
            redis.xadd(name, message)
            took.append(time.perf_counter() - begun)
    return one_by_one(took)


def waiting(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    return uvloop.run(_waiting(ask, ready))


async def _waiting(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    host, _, port = ask.address.partition(":")
    names, message = streams(ask.topic, ask.partitions), {BODY: b"x" * ask.size}
    clients: list[Any] = [AsyncRedis(host=host, port=int(port)) for _ in range(ask.clients)]
    for client in clients:
        await client.ping()
    took: list[float] = []

    async def one(client: Any, name: str, count: int) -> None:
        for _ in range(count):
            begun = time.perf_counter()
            await client.xadd(name, message)
            took.append(time.perf_counter() - begun)

    ready()
    dealt = enumerate(zip(clients, shares(ask.count, ask.clients), strict=True), ask.first)
    await asyncio.gather(*[one(client, names[number % len(names)], n) for number, (client, n) in dealt])
    for client in clients:
        await client.aclose()
    return latency(took)


def paced(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    """A pipeline for each burst."""
    name = streams(ask.topic, 1)[0]
    with _redis(ask.address) as redis:
        redis.xadd(name, {BODY: stamped(0, ask.size)})
        ready()
        for due_ns, many in ticks(time.perf_counter_ns(), ask.count, ask.rate):
            if (early_ns := due_ns - time.perf_counter_ns()) > 0:
                time.sleep(early_ns / 1e9)
            pipeline = redis.pipeline(transaction=False)
            for _ in range(many):
                pipeline.xadd(name, {BODY: stamped(due_ns, ask.size)})
            pipeline.execute()
    return {}


def receive(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    name, after = streams(ask.topic, 1)[0], "0"
    took: list[float] = []
    is_open, deadline = False, time.monotonic() + PATIENCE_S + ask.count / ask.rate
    with _redis(ask.address) as redis:
        while len(took) < ask.count:
            for _, messages in _items(redis.xread({name: after}, count=READ, block=BLOCK_MS)):
                now_ns, after = time.perf_counter_ns(), messages[-1][0]
                took += [late_s(fields[BODY], now_ns) for _, fields in messages]
            if took and not is_open:
                is_open = True
                took.clear()
                ready()
            _check(len(took), ask.count, deadline)
    return latency(warmed(took))


def _check(seen: int, count: int, deadline: float) -> None:
    if seen < count and time.monotonic() > deadline:
        raise TimeoutError(f"{seen} of {count} messages came in time")


LOADS: Final[Mapping[str, Load]] = {
    "produce": produce,
    "consume": consume,
    "sync": sync,
    "waiting": waiting,
    "paced": paced,
    "receive": receive,
}
