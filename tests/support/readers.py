"""Independent readers of HTTP/1.1 requests: what replicas are made of, each asked what one connection's bytes say.

A reader takes all bytes of a connection, ended by the peer, and returns a Reading. Ours is `as_carousel_reads`.
They are others' code throughout: h11 (hypercorn, uvicorn), llhttp (Node; here aiohttp's copy), gunicorn's
parser, and http.server with Werkzeug's framing on top of it.
"""

import asyncio
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import h11
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from werkzeug.exceptions import ClientDisconnected
from werkzeug.serving import WSGIRequestHandler
from werkzeug.wsgi import get_input_stream

from wire.bodies import request_body
from wire.http1 import HttpError, parse_request

LIMIT: Final = 1 << 20
"""No reader's own limit of sizes shall decide: Carousel's are the smaller ones, and tested elsewhere."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One whole request. `target` as its reader understands it, `body` without its framing."""

    method: bytes
    target: bytes
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method.decode()} {self.target.decode('latin-1')} {self.body!r}"


@dataclass(frozen=True, slots=True)
class Reading:
    """The whole messages in order; `rest`: bytes begun but not whole; `refused`: why the reader went no further."""

    messages: tuple[Any, ...]
    rest: bool = False
    refused: str = ""

    def __str__(self) -> str:
        parts = [str(message) for message in self.messages]
        parts += ["a part"] if self.rest else []
        parts += [f"refused: {self.refused}"] if self.refused else []
        return " + ".join(parts) or "nothing"


Reader = Callable[[bytes], Reading]


def as_carousel_reads(data: bytes) -> Reading:
    """Strictly: wire.http1 and wire.bodies."""
    seen: list[Seen] = []
    while data:
        try:
            parsed = parse_request(data)
            if parsed is None:
                return Reading(tuple(seen), rest=True)
            head, end = parsed
            body = request_body(head)
            payload, size = body.take(data[end:])
        except HttpError as error:
            return Reading(tuple(seen), refused=f"{error.status} {error.reason}")
        if not body.done:
            return Reading(tuple(seen), rest=True)
        seen.append(Seen(head.method, head.target, payload))
        data = data[end + size :]
    return Reading(tuple(seen))


def as_h11_reads(data: bytes) -> Reading:
    seen: list[Seen] = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMIT)
    connection.receive_data(data)
    connection.receive_data(b"")
    method, target, body = b"", b"", b""
    try:
        while True:
            match connection.next_event():
                case h11.Request() as event:
                    method, target, body = event.method, event.target, b""
                case h11.Data() as event:
                    body += bytes(event.data)
                case h11.EndOfMessage():
                    seen.append(Seen(method, target, body))
                    _answer(connection)
                case h11.ConnectionClosed() | h11.PAUSED:
                    return Reading(tuple(seen), rest=bool(connection.trailing_data[0]))
                case _:
                    return Reading(tuple(seen), rest=True)
    except h11.RemoteProtocolError as error:
        if "incomplete" in str(error) or "peer unexpectedly closed" in str(error) or "without sending" in str(error):
            return Reading(tuple(seen), rest=True)
        return Reading(tuple(seen), refused=str(error))


def _answer(connection: h11.Connection) -> None:
    connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())
    if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
        connection.start_next_cycle()


class IdleProtocol:
    """What aiohttp's parser wants of a connection; nothing is ever paused."""

    _reading_paused = False

    def pause_reading(self) -> None: ...

    def resume_reading(self, **_: object) -> None: ...


closed_loop = asyncio.new_event_loop()
closed_loop.close()  # aiohttp's streams want one to belong to; nothing is ever scheduled on it


def as_llhttp_reads(data: bytes) -> Reading:
    try:
        return _llhttp_reads((data,))
    except HttpProcessingError:  # and what is before the fault is told only piece by piece
        return _llhttp_reads(data[at : at + 1] for at in range(len(data)))


def _llhttp_reads(pieces: Iterable[bytes]) -> Reading:
    """Raises HttpProcessingError if a piece of several bytes is refused."""
    parser: Any = HttpRequestParser(
        IdleProtocol(), closed_loop, LIMIT, max_line_size=LIMIT, max_field_size=LIMIT, max_headers=LIMIT
    )  # type: ignore[arg-type]
    found: list[Any] = []
    refused = ""
    for piece in pieces:
        try:
            found += parser.feed_data(piece)[0]
        except HttpProcessingError as error:
            if len(piece) > 1:
                raise
            refused = error.message.split("\n")[0]
            break
    whole = [pair for pair in found if pair[1].is_eof() and pair[1].exception() is None]
    seen = [Seen(head.method.encode(), _raw(head.path), payload.read_nowait()) for head, payload in whole]
    rest = not refused and (len(whole) < len(found) or _begun(parser))
    return Reading(tuple(seen), rest, refused)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _begun(parser: Any) -> bool:
    """Whether a head has begun that is not whole: the parser refuses to be ended there."""
    try:
        return parser.feed_eof() is not None
    except HttpProcessingError:
        return True


_gunicorn = Config()
_gunicorn.set("limit_request_line", 0)
_gunicorn.set("limit_request_fields", 32768)
_gunicorn.set("limit_request_field_size", 1 << 16)


def as_gunicorn_reads(data: bytes) -> Reading:
    parser = RequestParser(_gunicorn, iter([data]), ("127.0.0.1", 1))
    seen: list[Seen] = []
    try:
        for message in parser:
            body = message.body.read()
            wanted = dict(message.headers).get("CONTENT-LENGTH")
            if wanted is not None and len(body) < int(wanted):
                return Reading(tuple(seen), rest=True)
            seen.append(Seen(message.method.encode(), message.uri.encode("latin-1"), body))
            if message.should_close():
                break
    except (ParseException, OSError) as error:
        if type(error).__name__ in ("NoMoreData", "ChunkMissingTerminator"):
            return Reading(tuple(seen), rest=True)
        return Reading(tuple(seen), refused=f"{type(error).__name__} {error}")
    return Reading(tuple(seen), rest=bool(parser.unreader.read()))


class _Stream(io.BufferedReader):
    """Werkzeug's own reader of chunks asks on and on at the end of a connection, each time for more memory, and takes
    the first half of a line's end there for a whole one."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data and size is not None and size > 0:
            raise ClientDisconnected
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if line and not line.endswith(b"\n") and size is not None and len(line) < size:
            raise ClientDisconnected
        return line


class _Handler(WSGIRequestHandler):
    """One connection, read from memory."""

    def __init__(self, data: bytes) -> None:
        self.rfile = _Stream(io.BytesIO(data))  # type: ignore[arg-type]
        self.wfile = io.BytesIO()  # type: ignore[assignment]
        self.client_address = ("127.0.0.1", 1)
        self.close_connection = False
        self.connection = None  # type: ignore[assignment]
        self.server = _Server()  # type: ignore[assignment]
        self.error = ""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.error = f"{code} {message}"

    def next(self) -> Seen | None:
        """None: there is no more, or `error` says why it is none."""
        self.raw_requestline = self.rfile.readline(LIMIT)
        if not self.raw_requestline.strip(b"\r\n") or not self.parse_request():
            return None
        environ = self.make_environ()
        body = get_input_stream(environ, safe_fallback=False).read()
        return Seen(self.command.encode("latin-1"), self.path.encode("latin-1"), body)


class _Server:
    ssl_context = None
    multithread = multiprocess = False
    server_address = ("127.0.0.1", 80)
    _server_version = ""


def as_werkzeug_reads(data: bytes) -> Reading:
    handler = _Handler(data)
    seen: list[Seen] = []
    try:
        while (message := handler.next()) is not None:
            seen.append(message)
    except ClientDisconnected:
        return Reading(tuple(seen), rest=True)
    except OSError as error:
        return Reading(tuple(seen), refused=str(error))
    return Reading(tuple(seen), rest=bool(handler.rfile.read()) and not handler.error, refused=handler.error)


READERS: Final[dict[str, Reader]] = {
    "h11": as_h11_reads,
    "llhttp": as_llhttp_reads,
    "gunicorn": as_gunicorn_reads,
    "werkzeug": as_werkzeug_reads,
}
