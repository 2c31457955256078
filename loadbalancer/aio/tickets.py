"""Long waits and event streams, served by control's loop, so that no Flask thread is held (loop.sock).

Flask submits a command and gets a ticket; the data path then asks here for `/wait/<ticket>` and passes the answer
on. `/stream?since=N` is a live stream of events. A caller that goes away leaves its command running.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

from loadbalancer.event_log import EventLog
from loadbalancer.rest.port import MAX_STREAMS, Busy
from wire.exchange import Request, Response, Stream, error_response, json_response

MAX_WAITING = 256  # commands under way; each holds some hundred bytes
KEPT_S = 60.0  # an answer that nobody has fetched
KEEP_ALIVE_S = 15.0  # a comment line, so that a dead reader is noticed
COME_AGAIN = (("Retry-After", "1"),)  # on every 503, as Flask's have it

Words = Callable[[int, Any], tuple[int, Any]]
"""From an answer's status and body to others."""


class Tickets:
    """Who waits for what. All methods are the loop's own."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._answers: dict[str, asyncio.Future[tuple[int, Any]]] = {}
        self._by_command: dict[int, str] = {}
        self._words: dict[int, Words] = {}
        self._next_command = 1
        self._news = asyncio.Event()
        self.streams = 0

    def open(self, words: Words | None = None) -> tuple[int, str]:
        """A new (command number, ticket). `words` say its answer otherwise than it is given. Raises Busy."""
        if len(self._by_command) >= MAX_WAITING:
            raise Busy(f"{MAX_WAITING} changes are under way")
        command, ticket = self._next_command, secrets.token_urlsafe(12)
        self._next_command += 1
        self._answers[ticket] = asyncio.get_running_loop().create_future()
        self._by_command[command] = ticket
        if words is not None:
            self._words[command] = words
        return command, ticket

    def answer(self, command: int, status: int, body: Any) -> None:
        """The end of a command, told to whoever waits or comes within KEPT_S."""
        ticket = self._by_command.pop(command)
        words = self._words.pop(command, None)
        self._answers[ticket].set_result((status, body) if words is None else words(status, body))
        asyncio.get_running_loop().call_later(KEPT_S, self._answers.pop, ticket, None)

    def wake_streams(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def handle(self, request: Request) -> Response | Stream:
        """The handler of loop.sock's service."""
        if request.path.startswith("/wait/"):
            return await self.wait(request.path.removeprefix("/wait/"))
        if request.path == "/stream":
            return self._stream(request.query)
        return error_response(404, f"{request.path!r} does not exist")

    async def wait(self, ticket: str) -> Response:
        """The answer that belongs to a ticket, when it is there."""
        answer = self._answers.get(ticket)
        if answer is None:
            return error_response(404, "there is no such ticket")
        status, body = await asyncio.shield(answer)
        return json_response(status, body, COME_AGAIN if status == 503 else ())

    def _stream(self, query: str) -> Response | Stream:
        if self.streams >= MAX_STREAMS:
            return error_response(503, f"{MAX_STREAMS} event streams are open", COME_AGAIN)
        since = query.removeprefix("since=")
        lines = self._lines(int(since) if since.isdecimal() else 0)
        return Stream(200, "text/event-stream", lines, (("Cache-Control", "no-cache"),), endless=True)

    async def _lines(self, since: int) -> AsyncIterator[bytes]:
        self.streams += 1
        try:
            yield b": carousel events\n\n"
            while True:
                news = self._news
                for event in self._events.since(since):
                    since = event.id
                    yield f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.to_json())}\n\n".encode()
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        await news.wait()
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self.streams -= 1
