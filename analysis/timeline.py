"""An open-loop load that remembers when each request was due, how long it took and who answered it.

As in load.py requests leave at a steady rate whatever happened to earlier ones, latencies count from the moment when a
request was due, and nothing is tried again by the client.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from analysis.asking import Advance
from analysis.load import TICK_S, TOO_SLOW_S, judge


@dataclass(frozen=True, slots=True)
class Sample:
    """`due` and `end` are seconds since the epoch; `reason` is "" for a good answer."""

    due: float
    end: float
    name: str
    reason: str


@dataclass(slots=True)
class Load:
    """Which load, and what it saw. `harm` runs in a thread, once, when `harm_at` of the requests were sent."""

    url: str
    rate: float
    count: int
    harm: Callable[[], None]
    harm_at: float = 0.3
    samples: list[Sample] = field(default_factory=list[Sample])


async def apply(load: Load, advance: Advance) -> None:
    """Returns when the last request is answered or has failed, and the harm is done."""
    timeout = aiohttp.ClientTimeout(total=TOO_SLOW_S + 1)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        begin, sent = time.time(), 0
        harming = asyncio.create_task(_harm_after(load.harm_at * load.count / load.rate, load.harm))
        asking: list[asyncio.Task[None]] = []
        while sent < load.count:
            due = min(load.count, int((time.time() - begin) * load.rate) + 1)
            asking += (asyncio.create_task(_one(session, load, begin + i / load.rate)) for i in range(sent, due))
            advance(due - sent)
            sent = due
            await asyncio.sleep(TICK_S)
        await asyncio.gather(harming, *asking)


async def _harm_after(delay_s: float, harm: Callable[[], None]) -> None:
    await asyncio.sleep(delay_s)
    await asyncio.to_thread(harm)


async def _one(session: aiohttp.ClientSession, load: Load, due: float) -> None:
    try:
        async with session.get(load.url) as response:
            reason, name = judge(response.status, await response.read())
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        reason, name = type(error).__name__, ""
    end = time.time()
    load.samples.append(Sample(due, end, name, reason or ("too slow" if end - due > TOO_SLOW_S else "")))
