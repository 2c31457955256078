"""A thread that listens to the engine, since the SDK's streams block; it tells the loop, and decides nothing.

A stream that breaks is opened anew. What happened in between is not repeated for certain, so whoever listens is told of
each new stream, and then compares the engine's list with its own.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping

from loadbalancer.spawn.base import RuntimeLost
from loadbalancer.spawn.docker_engine import Engine, Events, Refused

RECONNECT_S = 0.5
JOIN_S = 5.0

OnEvent = Callable[[str, str, Mapping[str, str]], None]


class EventThread:
    """`on_open` and `on_event` are called in the loop, in order."""

    def __init__(self, engine: Engine, on_open: Callable[[], None], on_event: OnEvent) -> None:
        self._engine = engine
        self._on_open = on_open
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._closed = threading.Event()
        self._stream: Events | None = None
        self._thread = threading.Thread(target=self._run, name="docker events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """From a thread that may wait: until the listening one has ended."""
        self._closed.set()
        if self._stream is not None:
            self._stream.close()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(RuntimeLost, Refused):
                self._listen()
            self._closed.wait(RECONNECT_S)

    def _listen(self) -> None:
        """One stream, to its end."""
        self._stream = stream = self._engine.events()
        self._tell(self._on_open)
        if self._closed.is_set():  # before there was a stream to close
            stream.close()
        for action, container, attributes in stream:
            self._tell(self._on_event, action, container, attributes)

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed under a late event
            self._loop.call_soon_threadsafe(callback, *arguments)
