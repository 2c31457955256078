"""Heartbeats: one task asks every replica, on a new connection each time, and tells what it heard.

A new connection each time, because a replica whose accept queue is stuck is as dead as one that is gone. Who is due and
when a failure may be our own fault is decided by health.py; here are only the sockets.
"""

import asyncio
from collections.abc import Callable, Iterable

from loadbalancer.aio.resolver import Reach, Resolver, directly
from loadbalancer.health import BEAT_S, LagMeter, ProbeTarget, Schedule

ANSWER_BYTES = 1024  # the status line is all that counts

Heard = Callable[[ProbeTarget, str, bool], None]
"""(whom, "" or why its answer was bad, whether our own loop was late meanwhile)"""


async def heartbeat(target: ProbeTarget, path: str, timeout_s: float, reach: Reach = directly) -> str:
    """Ask once. Returns "" for a 2xx answer, else the reason why it is not one; raises CancelledError only."""

    async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(address, target.port, limit=ANSWER_BYTES)

    try:
        async with asyncio.timeout(timeout_s):
            return await _ask(*await reach(target.host, connect, timeout_s), target, path)
    except TimeoutError:
        return f"no answer to {path} within {timeout_s * 1000:.0f} ms"
    except ConnectionRefusedError:
        return "connection refused"
    except (OSError, ValueError) as error:
        return f"heartbeat failed: {error.__class__.__name__}: {error}"


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: ProbeTarget, path: str) -> str:
    try:
        host = f"[{target.host}]" if ":" in target.host else target.host
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{target.port}\r\nConnection: close\r\n"
            "User-Agent: carousel-heartbeat\r\n\r\n".encode("ascii")
        )
        return judge(await reader.readline(), path)
    finally:
        writer.transport.abort()


def judge(status_line: bytes, path: str) -> str:
    """ "" if this line says that all is well, else what it says."""
    if not status_line:
        return "connection closed without an answer"
    words = status_line.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        return f"the answer to {path} is not HTTP"
    return (
        "" if len(words[1]) == 3 and words[1].startswith(b"2") else f"{path} answered {words[1][:8].decode('latin-1')}"
    )


class Prober:
    """Asks `targets()` as health.Schedule says and reports each outcome to `heard`, all in the running loop.

    Names are resolved by `resolver`, beside the heartbeats: one whose name can't be resolved fails, and keeps no other
    waiting.
    """

    def __init__(
        self,
        targets: Callable[[], Iterable[ProbeTarget]],
        heard: Heard,
        path: str,
        interval_s: float,
        timeout_s: float,
        resolver: Resolver,
    ) -> None:
        self._targets = targets
        self._heard = heard
        self._path = path
        self._timeout_s = timeout_s
        self._resolver = resolver
        self._schedule = Schedule(interval_s)
        self._asking: set[asyncio.Task[None]] = set()
        self.lag_s = 0.0
        """How late the last beat of the loop was."""

    async def run(self) -> None:
        """Until cancelled; heartbeats under way are then dropped."""
        loop = asyncio.get_running_loop()
        lag = LagMeter(loop.time())
        try:
            while True:
                targets = list(self._targets())
                self._resolver.watch({target.host for target in targets}, loop.time())
                self._resolver.tick(loop.time())
                for target in self._schedule.due(targets, loop.time()):
                    task = loop.create_task(self._one(target, lag))
                    self._asking.add(task)
                    task.add_done_callback(self._asking.discard)
                due = loop.time() + BEAT_S
                await asyncio.sleep(BEAT_S)
                lag.beat(loop.time())
                self.lag_s = max(0.0, loop.time() - due)
        finally:
            for task in self._asking:
                task.cancel()
            await self._resolver.close()

    async def _one(self, target: ProbeTarget, lag: LagMeter) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        reason = await heartbeat(target, self._path, self._timeout_s, self._resolver.reach)
        now = loop.time()
        self._schedule.finished(target, now)
        self._heard(target, reason, lag.late(began, now))
