"""Backends named by DNS: their names are resolved again and again, beside the requests and never for one of them.

A name that changes is followed within `--dns-refresh` seconds. While resolving fails, the last known addresses serve:
a dead DNS server then costs nothing but news (addresses.py). Literal addresses are never resolved.

Each resolution runs in a daemon thread of its own, at most one for each name: getaddrinfo can't be cancelled, and with
a DNS server that is silent it takes half a minute. In a pool of threads a few such names would keep the others waiting,
and everything else that uses the pool; and the process could not end before them.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import ip_address
from threading import Thread
from typing import Any, Protocol, TypeVar

from loadbalancer.addresses import Addresses

T = TypeVar("T")

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""A host name -> its addresses, the preferred first. Raises OSError or UnicodeError."""


class Reach(Protocol):
    """What `Resolver.reach` is, and `directly`."""

    async def __call__(self, host: str, attempt: Callable[[str], Awaitable[T]], patience_s: float) -> T: ...


@lru_cache(1024)
def is_literal(host: str) -> bool:
    """Whether a host is an address already."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def directly(host: str, attempt: Callable[[str], Awaitable[T]], patience_s: float) -> T:
    """`reach` for those who keep no names."""
    return await attempt(host)


class Resolver:
    """Keeps the names that it is told to `watch`; to be used from one loop.

    `on_change` is told a name and its addresses when some that it had are no more, `on_failure` of each resolution that
    failed.
    """

    def __init__(
        self,
        refresh_s: float,
        log: Any,
        on_change: Callable[[str, Sequence[str]], None] = lambda host, addresses: None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.resolve: Resolve = look_up
        self._refresh_s = refresh_s
        self._log = log
        self._on_change = on_change
        self._on_failure = on_failure
        self._hosts: frozenset[str] = frozenset()
        self._names: dict[str, Addresses] = {}
        self._tasks: dict[Addresses, asyncio.Task[None]] = {}

    def watch(self, hosts: Iterable[str], now: float) -> None:
        """Keep the names among these hosts from now on, and no others; new ones are resolved at once."""
        hosts = frozenset(hosts)
        if hosts == self._hosts:
            return
        self._hosts = hosts
        names = [host for host in hosts if not is_literal(host)]
        self._names = {name: self._names.get(name) or Addresses(self._refresh_s) for name in names}
        self.tick(now)

    def tick(self, now: float) -> None:
        """Start the resolutions that are due."""
        for name, addresses in self._names.items():
            if addresses.ask(now):
                task = asyncio.get_running_loop().create_task(self._ask(name, addresses))
                self._tasks[addresses] = task

    async def _ask(self, name: str, addresses: Addresses) -> None:
        try:
            found = await self.resolve(name)
        except (OSError, UnicodeError) as error:
            self._failed(name, addresses, error)
        else:
            self._answered(name, addresses, found)
        finally:
            del self._tasks[addresses]

    def _answered(self, name: str, addresses: Addresses, found: Sequence[str]) -> None:
        if addresses.failing:
            self._log.info("a backend's name is resolved again", host=name)
        if addresses.answered(found):
            self._log.info("a backend's addresses have changed", host=name, addresses=addresses.found)
            self._on_change(name, addresses.found)

    def _failed(self, name: str, addresses: Addresses, error: Exception) -> None:
        self._on_failure()
        if addresses.failed():
            self._log.warning("a backend's name can't be resolved", host=name, error=str(error), kept=addresses.found)

    async def reach(self, host: str, attempt: Callable[[str], Awaitable[T]], patience_s: float) -> T:
        """What `attempt` gives for an address of `host`: for the first in turn for which it does not raise OSError.

        A name that is resolved for the first time is waited for. Each of several addresses gets its part of what is
        left of `patience_s`. When all fail, the first one's error is raised; TimeoutError is one.
        """
        addresses = self._names.get(host)
        if addresses is None:
            return await attempt(host)
        if not addresses.found:
            await self._first(host, addresses)
        faults: list[OSError] = []
        order, time = addresses.order(), asyncio.get_running_loop().time
        end = time() + patience_s
        for address in order:
            try:
                async with asyncio.timeout((end - time()) / (len(order) - len(faults))):
                    return await attempt(address)
            except OSError as error:
                addresses.unreachable(address)
                faults.append(error)
        raise faults[0]

    async def _first(self, host: str, addresses: Addresses) -> None:
        """Wait for the first resolution, if one is under way."""
        if addresses in self._tasks:
            await asyncio.wait({self._tasks[addresses]})
        if not addresses.found:
            raise OSError(f"{host} can't be resolved")

    async def close(self) -> None:
        """Wait for nothing: a thread that is still asking ends with its answer or with the process."""
        for task in list(self._tasks.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def look_up(host: str) -> list[str]:
    """getaddrinfo in a thread of its own: the addresses for TCP in RFC 6724's order. Raises OSError or UnicodeError."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def tell(addresses: list[str], error: Exception | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def ask() -> None:
        addresses: list[str] = []
        fault: Exception | None = None
        try:
            addresses = [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            fault = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, addresses, fault)

    try:
        Thread(target=ask, name=f"resolve {host}", daemon=True).start()
    except RuntimeError as error:  # no more threads
        raise OSError(str(error)) from error
    return await found
