"""An open-loop load: requests leave at a steady rate whether or not earlier ones were answered.

A closed loop would wait for a stalled server and so hide its stall (coordinated omission). A request counts as failed
when its status is not 200, its body is wrong, or it takes more than 3 s, the wait for a free connection included;
nothing is tried again by the client.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp

from analysis.measures import percentile

TOO_SLOW_S = 3.0
TICK_S = 0.002


@dataclass(slots=True)
class Result:
    """What a load saw. `first_seen` maps a replica's name to the time (monotonic) of its first answer."""

    sent: int = 0
    failed: int = 0
    worst_s: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter[str])
    by_name: Counter[str] = field(default_factory=Counter[str])
    first_seen: dict[str, float] = field(default_factory=dict[str, float])
    latencies_s: list[float] = field(default_factory=list[float])

    def percentile(self, share: float) -> float:
        """Of all latencies, in seconds; 0 when there are none."""
        return percentile(sorted(self.latencies_s), share)


async def one(session: aiohttp.ClientSession, url: str, result: Result, start: float) -> None:
    """One request, judged and counted."""
    try:
        async with session.get(url) as response:
            body = await response.read()
            reason, name = judge(response.status, body)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        reason, name = error.__class__.__name__, ""
    now = time.monotonic()
    if not reason and now - start > TOO_SLOW_S:
        reason = "too slow"
    result.worst_s = max(result.worst_s, now - start)
    result.latencies_s.append(now - start)
    if reason:
        result.failed += 1
        result.reasons[reason] += 1
    else:
        result.by_name[name] += 1
        result.first_seen.setdefault(name, now)


def judge(status: int, body: bytes) -> tuple[str, str]:
    """("" or why this answer of /home is wrong, the replica's name)."""
    if status != 200:
        return f"status {status}", ""
    try:
        words = json.loads(body)["message"].split()
    except (ValueError, KeyError, AttributeError, TypeError):
        return "wrong body", ""
    return ("", words[-1]) if words[:3] == ["Hello", "from", "Server:"] else ("wrong body", "")


async def due_times(rate: float, count: int) -> AsyncIterator[float]:
    """When (monotonic) each of `count` requests is due, at `rate` a second; given out then, or a little later."""
    begin, given = time.monotonic(), 0
    while given < count:
        due = min(count, int((time.monotonic() - begin) * rate) + 1)
        for number in range(given, due):
            yield begin + number / rate
        given = due
        await asyncio.sleep(TICK_S)


async def open_loop(url: str, rate: float, count: int, result: Result) -> None:
    """`count` requests at `rate` a second; returns when the last is answered or has failed."""
    timeout = aiohttp.ClientTimeout(total=TOO_SLOW_S + 1)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        tasks: set[asyncio.Task[None]] = set()
        async for due in due_times(rate, count):
            task = asyncio.create_task(one(session, url, result, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            result.sent += 1
        await asyncio.gather(*tasks)


async def burst(url: str, count: int, result: Result) -> None:
    """`count` asynchronous requests started at once, each with a time limit of its own only by aiohttp's defaults."""
    async with aiohttp.ClientSession() as session:
        start = time.monotonic()
        result.sent = count
        await asyncio.gather(*(one(session, url, result, start) for _ in range(count)))
