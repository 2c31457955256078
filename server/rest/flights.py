"""Questions about the same thing, asked together: group commit for reads.

An answer counts only for who asked before it was sent. So while one question is under way the next ones wait, and are
then one question: a thousand callers a millisecond cost as much as one, and each has an answer that is fresh for it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")


def heard(asked: "asyncio.Future[Any]") -> None:
    """For its end: why it failed, as all who asked may have gone meanwhile."""
    if not asked.cancelled():
        asked.exception()


class Flights(Generic[Key, Item, Result]):
    """`ask(key, items)` answers all items; at most one for each key is under way."""

    def __init__(self, ask: Callable[[Key, frozenset[Item]], Awaitable[Mapping[Item, Result]]]) -> None:
        self._ask = ask
        self._waiting: dict[Key, tuple[set[Item], asyncio.Future[Mapping[Item, Result]]]] = {}
        self._under_way: dict[Key, asyncio.Task[None]] = {}

    async def get(self, key: Key, items: Iterable[Item]) -> Mapping[Item, Result]:
        """What `ask` answers, at least for `items`; what it raises. Cancelled, the others' question goes on."""
        if key not in self._waiting:
            self._waiting[key] = set(), asyncio.get_running_loop().create_future()
        wanted, done = self._waiting[key]
        wanted.update(items)
        if key not in self._under_way:
            self._under_way[key] = asyncio.create_task(self._fly(key))
        return await asyncio.shield(done)

    async def _fly(self, key: Key) -> None:
        try:
            while (waiting := self._waiting.pop(key, None)) is not None:
                await self._carry(key, *waiting)
        finally:
            del self._under_way[key]

    async def _carry(self, key: Key, items: set[Item], done: "asyncio.Future[Mapping[Item, Result]]") -> None:
        try:
            done.set_result(await self._ask(key, frozenset(items)))
        except Exception as error:
            done.set_exception(error)
            done.exception()  # all who asked may have gone meanwhile
        except asyncio.CancelledError:
            done.cancel()
            raise

    def close(self) -> None:
        for task in self._under_way.values():
            task.cancel()
