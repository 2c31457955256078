"""A server's one question to control: make this topic, or this partition of it (`POST /topics/add`).

One connection for each: a registration that has to make something is rare. Where control listens is told at the start
(CONTROL_HTTP): `unix:PATH` or `http://HOST:PORT`.
"""

import asyncio
import json
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit

from server.http_calls import BadCall
from server.rest.cluster import Away
from wire.bodies import response_body
from wire.http1 import HttpError, parse_response
from wire.http_queue import topic_exists

CONTROL_S: Final = 15.0
"""How long control may take: a topic's creation waits until its leaders serve."""
MAX_ANSWER_BYTES: Final = 64 * 1024
"""Far more than a message."""


class Control(Protocol):
    async def add_topic(self, topic: str, part: str) -> None:
        """Return when it exists, whoever has made it. Raises BadCall."""
        ...


class NoControl:
    """Where nobody has said where control is."""

    async def add_topic(self, topic: str, part: str) -> None:
        raise BadCall(503, f"{topic}:{part} does not exist, and nobody is known who could make it (CONTROL_HTTP)")


class ControlHttp:
    """`address` as in the module."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def add_topic(self, topic: str, part: str) -> None:
        try:
            async with asyncio.timeout(CONTROL_S):
                status, message = await self._ask(json.dumps({"topic": topic, "part": part}).encode())
        except (OSError, EOFError, TimeoutError, HttpError) as error:
            raise Away(f"control can't make {topic}:{part} ({error or type(error).__name__})") from None
        if status != 200 and message != topic_exists(topic, part):
            raise BadCall(status if status in (400, 503) else 503, message)

    async def _ask(self, body: bytes) -> tuple[int, str]:
        host, reader, writer = await self._connect()
        try:
            lines = ("POST /topics/add HTTP/1.1", f"Host: {host}", "Connection: close", f"Content-Length: {len(body)}")
            writer.write("\r\n".join((*lines, "Content-Type: application/json", "", "")).encode() + body)
            return read_answer(await _all(reader))
        finally:
            writer.close()

    async def _connect(self) -> tuple[str, asyncio.StreamReader, asyncio.StreamWriter]:
        if self._address.startswith("unix:"):
            return "localhost", *await asyncio.open_unix_connection(self._address.removeprefix("unix:"))
        parts = urlsplit(self._address)
        return parts.netloc, *await asyncio.open_connection(parts.hostname, parts.port or 80)


async def _all(reader: asyncio.StreamReader) -> bytes:
    """Everything up to the connection's end. Raises EOFError if that is too much."""
    told = bytearray()
    while chunk := await reader.read(MAX_ANSWER_BYTES):
        told += chunk
        if len(told) > MAX_ANSWER_BYTES:
            raise EOFError("its answer is too long")
    return bytes(told)


def read_answer(told: bytes) -> tuple[int, str]:
    """The status and the message. Raises EOFError, HttpError."""
    parsed = parse_response(told)
    if parsed is None:
        raise EOFError("its answer is cut off")
    head, at = parsed
    body = response_body(head, b"POST")
    payload, _ = body.take(told[at:])
    if not body.done and not body.eof():
        raise EOFError("its answer is cut off")
    try:
        answer: Any = json.loads(payload)
    except ValueError:
        answer = None
    message = cast("dict[str, Any]", answer).get("message") if isinstance(answer, dict) else None
    return head.status, message if isinstance(message, str) else f"control answered {head.status}"
