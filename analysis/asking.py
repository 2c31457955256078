"""Many asynchronous requests by aiohttp, counted by the replica that answered."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp

from analysis.load import judge
from analysis.workloads import KEY_HEADER

Advance = Callable[[int], None]
"""Told how many more requests are done, for a progress bar."""


@dataclass(slots=True)
class Tally:
    """Who answered how often; `failed` are wrong answers and none, and none of them is tried again."""

    by_name: Counter[str] = field(default_factory=Counter[str])
    failed: Counter[str] = field(default_factory=Counter[str])


async def ask_all(url: str, keys: Sequence[int | None], advance: Advance) -> Tally:
    """One GET for each key, which goes along as a header; None sends none, so that the front door draws its own id.

    All are started at once; aiohttp lets a hundred of them be under way.
    """
    tally = Tally()
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(_ask(session, url, key, tally, advance) for key in keys))
    return tally


async def _ask(session: aiohttp.ClientSession, url: str, key: int | None, tally: Tally, advance: Advance) -> None:
    headers = {} if key is None else {KEY_HEADER: str(key)}
    try:
        async with session.get(url, headers=headers) as response:
            reason, name = judge(response.status, await response.read())
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        reason, name = type(error).__name__, ""
    if reason:
        tally.failed[reason] += 1
    else:
        tally.by_name[name] += 1
    advance(1)
