"""Control's end of the supervisor's socket: calls and their answers, events, and a connection made anew.

Answers and events are given on in the order in which they came, before anybody who waits runs again: so what
is kept from them is always what the supervisor said last, and an exit can't overtake the start that it ends.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from loadbalancer.orders import LINE_BYTES
from loadbalancer.spawn.base import RuntimeLost

ANSWER_BYTES = 1024 * 1024  # a listing of 256 children is 60 KB
CALL_TIMEOUT_S = 30.0  # it is milliseconds; at most 20 s while the supervisor reads new settings
RECONNECT_S = 0.1

Message = dict[str, Any]
Take = Callable[[Message], None]


class Link:
    """`on_hello` gets the listing on each new connection, `on_event` whatever was not asked for."""

    def __init__(self, path: Path, generation: int, on_hello: Take, on_event: Take) -> None:
        self._path = path
        self._generation = generation
        self._on_hello = on_hello
        self._on_event = on_event
        self._calls: dict[int, tuple[Take, asyncio.Future[Message]]] = {}
        self._last_id = 0
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and say hello. Raises RuntimeLost."""
        greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(greeted), name="supervisor link")
        try:
            await greeted
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def call(self, op: str, take: Take | None = None, /, **fields: Any) -> Message:
        """The answer: {"ok": true, …} or {"ok": false, "error"}. `take` gets it first, cancelled or not.

        Raises RuntimeLost if there is no connection, or it breaks before the answer.
        """
        if self._writer is None:
            raise RuntimeLost("the supervisor can't be reached")
        self._last_id += 1
        request = {"id": self._last_id, "op": op, "generation": self._generation, **fields}
        line = _line(request)
        if len(line) > LINE_BYTES:
            return {"ok": False, "error": f"the order is longer than {LINE_BYTES} bytes"}
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._calls[self._last_id] = take or _ignore, future
        self._writer.write(line)
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await future
        except TimeoutError:
            raise RuntimeLost("the supervisor does not answer") from None

    async def _run(self, greeted: asyncio.Future[None]) -> None:
        """Until cancelled, or until the first hello fails."""
        while True:
            try:
                await self._converse(greeted)
            except (OSError, ValueError) as error:
                self._forget(str(error) or type(error).__name__)
                if not greeted.done():
                    greeted.set_exception(RuntimeLost(f"supervisor: {error}"))
                    return
            finally:
                await self._hang_up()
            await asyncio.sleep(RECONNECT_S)

    async def _converse(self, greeted: asyncio.Future[None]) -> None:
        """One connection, to its end, which is an OSError or ValueError."""
        reader, self._writer = await asyncio.open_unix_connection(self._path, limit=ANSWER_BYTES)
        self._writer.write(_line({"id": 0, "op": "hello", "generation": self._generation}))
        hello = await _read(reader)
        if not hello["ok"]:
            raise ConnectionRefusedError(hello["error"])
        self._on_hello(hello)
        if not greeted.done():
            greeted.set_result(None)
        while True:
            self._hear(await _read(reader))

    def _hear(self, message: Message) -> None:
        if "event" in message:
            self._on_event(message)
            return
        take, future = self._calls.pop(message["id"])
        take(message)
        if not future.done():
            future.set_result(message)

    def _forget(self, reason: str) -> None:
        calls, self._calls = self._calls, {}
        for _, future in calls.values():
            if not future.done():
                future.set_exception(RuntimeLost(f"the supervisor's connection broke: {reason}"))

    async def _hang_up(self) -> None:
        writer, self._writer = self._writer, None
        self._forget("closed")
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _ignore(_message: Message) -> None:
    pass


def _line(message: Message) -> bytes:
    return json.dumps(message).encode() + b"\n"


async def _read(reader: asyncio.StreamReader) -> Message:
    """Raises OSError at the end, ValueError for what is no answer of a supervisor's."""
    line = await reader.readline()
    if not line:
        raise ConnectionResetError("the supervisor closed the connection")
    return cast(Message, json.loads(line))
