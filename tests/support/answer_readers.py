"""Independent readers of HTTP/1.1 answers: what clients are made of, each asked what one connection's bytes say.

A reader takes all that came, the methods that were asked, and whether the connection ended by a reset. They are
others' code: h11, http.client (urllib3, requests), and llhttp as aiohttp's client runs it, that is, leniently.
"""

import http.client
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import h11
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpResponseParser

from support.readers import LIMIT, IdleProtocol, Reading, closed_loop


@dataclass(frozen=True, slots=True)
class Told:
    """One whole answer."""

    status: int
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.status} {self.body!r}"


AnswerReader = Callable[[bytes, Sequence[bytes], bool], Reading]


def as_h11_reads(data: bytes, methods: Sequence[bytes], reset: bool) -> Reading:
    told: list[Told] = []
    for method in methods:
        if not data:
            break
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT)
        connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
        connection.send(h11.EndOfMessage())
        connection.receive_data(data)
        try:
            one = _from_h11(connection, reset)
        except h11.RemoteProtocolError as error:
            return Reading(tuple(told), refused=str(error))
        if one is None:
            return Reading(tuple(told), rest=True)
        told.append(one)
        data = connection.trailing_data[0]
        if connection.their_state is not h11.DONE:
            break
    return Reading(tuple(told), rest=bool(data))


def _from_h11(connection: h11.Connection, reset: bool) -> Told | None:
    """The answer; None if it is not whole."""
    status, body, ended = 0, b"", reset
    while True:
        match connection.next_event():
            case h11.Response() as event:
                status = event.status_code
            case h11.Data() as event:
                body += bytes(event.data)
            case h11.EndOfMessage():
                return Told(status, body)
            case h11.InformationalResponse():
                pass
            case _ if ended:
                return None
            case _:
                ended = True
                try:
                    connection.receive_data(b"")
                    if status == 0 or connection.their_state is not h11.SEND_BODY:
                        return None
                    if not isinstance(connection.next_event(), h11.EndOfMessage):
                        return None
                except h11.RemoteProtocolError:
                    return None
                return Told(status, body)


class _Ended(io.BytesIO):
    """A connection's bytes, which outlive the answers that are read from them; a reset comes behind the last."""

    def __init__(self, data: bytes, reset: bool) -> None:
        super().__init__(data)
        self._reset = reset

    def close(self) -> None: ...

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if self._reset and (size is None or size < 0 or len(data) < size):
            raise ConnectionResetError
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if self._reset and not line.endswith(b"\n"):
            raise ConnectionResetError
        return line

    def makefile(self, mode: str) -> io.BytesIO:
        return self


def as_http_client_reads(data: bytes, methods: Sequence[bytes], reset: bool) -> Reading:
    connection = _Ended(data, reset)
    told: list[Told] = []
    for method in methods:
        if connection.tell() == len(data):
            break
        answer = http.client.HTTPResponse(cast(Any, connection), method=method.decode())
        try:
            answer.begin()
            told.append(Told(answer.status, answer.read()))
        except (http.client.IncompleteRead, http.client.RemoteDisconnected, ConnectionResetError):
            return Reading(tuple(told), rest=True)
        except http.client.HTTPException as error:
            return Reading(tuple(told), refused=repr(error))
        if answer.will_close:
            break
    return Reading(tuple(told), rest=connection.tell() < len(data))


def as_llhttp_reads(data: bytes, methods: Sequence[bytes], reset: bool) -> Reading:
    told: list[Told] = []
    for method in methods:
        if not data:
            break
        try:
            one, size, goes_on = _from_llhttp(data, method, reset)
        except HttpProcessingError as error:
            return Reading(tuple(told), refused=error.message.split("\n")[0])
        if one is None:
            return Reading(tuple(told), rest=True)
        told.append(one)
        data = data[size:]
        if not goes_on:
            break
    return Reading(tuple(told), rest=bool(data))


def _from_llhttp(data: bytes, method: bytes, reset: bool) -> tuple[Told | None, int, bool]:
    """(the answer, or None if it is not whole; how many bytes were its; whether the connection stays)."""
    parser: Any = HttpResponseParser(
        IdleProtocol(), closed_loop, LIMIT, max_line_size=LIMIT, max_field_size=LIMIT, max_headers=LIMIT,
        response_with_body=method != b"HEAD", read_until_eof=True, auto_decompress=False,
    )  # fmt: skip
    final: Any = None
    for at in range(len(data)):
        for head, payload in parser.feed_data(data[at : at + 1])[0]:
            if head.code >= 200:
                final = head, payload
        if final is not None and final[1].is_eof():
            return Told(final[0].code, final[1].read_nowait()), at + 1, not final[0].should_close
    if final is None or reset:
        return None, len(data), False
    try:
        parser.feed_eof()
    except HttpProcessingError:
        return None, len(data), False
    whole = final[1].is_eof() and final[1].exception() is None
    return Told(final[0].code, final[1].read_nowait()) if whole else None, len(data), False


READERS: Final[dict[str, AnswerReader]] = {
    "h11": as_h11_reads,
    "http.client": as_http_client_reads,
    "aiohttp": as_llhttp_reads,
}
