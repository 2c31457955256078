"""One thread beside a loop, for calls that block: carried out one after another, so it owns what they use.

It is a daemon, which an executor's thread is not: a Kafka cluster that does not answer holds up no end of a process.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")

IDLE_S: Final = 60.0
"""Then what the calls have opened can be closed."""


@dataclass(frozen=True, slots=True)
class _Call:
    function: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"


class Helper:
    """`on_idle` is called in the thread when nothing has been asked for a while."""

    def __init__(self, name: str, on_idle: Callable[[], None] = lambda: None, idle_s: float = IDLE_S) -> None:
        self._name = name
        self._on_idle = on_idle
        self._idle_s = idle_s
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, function: Callable[[], T]) -> T:
        """What `function` returns or raises, called in the thread in its turn. Cancelled: it is called all the same."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._calls.put(_Call(function, loop, future))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return cast("T", await future)

    def _run(self) -> None:
        used = False
        while True:
            try:
                call = self._calls.get(timeout=self._idle_s if used else None)
            except queue.Empty:
                self._on_idle()
                used = False
                continue
            used = True
            self._answer(call)

    def _answer(self, call: _Call) -> None:
        try:
            result, error = call.function(), None
        except Exception as fault:  # the caller's business
            result, error = None, fault

        def settle() -> None:
            if call.future.done():
                return
            if error is None:
                call.future.set_result(result)
            else:
                call.future.set_exception(error)

        with contextlib.suppress(RuntimeError):  # the loop has ended
            call.loop.call_soon_threadsafe(settle)
