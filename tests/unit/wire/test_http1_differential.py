"""A second opinion: whatever `wire` accepts, h11 reads alike, heads and bodies, requests and responses.

The corpus breaks valid messages in the ways that smuggling needs; Hypothesis goes on from there.
"""

import unittest

import h11
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wire.bodies import request_body, response_body
from wire.http1 import HttpError, parse_request, parse_response

STARTS = (
    b"GET / HTTP/1.1",
    b"POST /a?b HTTP/1.1",
    b"PUT /a HTTP/1.0",
    b"OPTIONS * HTTP/1.1",
    b"GET http://a/x HTTP/1.1",
)
LINES = (
    *(
        b"Host: a",
        b"host:b",
        b"Content-Length: 5",
        b"Content-Length:3",
        b"Content-Length: 5, 5",
        b"content-length: +5",
    ),
    *(b"Transfer-Encoding: chunked", b"transfer-encoding:Chunked ", b"Transfer-Encoding: xchunked"),
    *(b"Transfer-Encoding : chunked", b"Transfer-Encoding: identity", b"Transfer_Encoding: chunked"),
    *(
        b"Connection: close",
        b"Connection: keep-alive, x",
        b"Expect: 100-continue",
        b"X: y",
        b"X: y\r\n folded",
        b"X:\t\xff",
    ),
    *(
        b"X: a\x00b",
        b"X: a\rb",
        b"X: a\nY: c",
        b" X: y",
        b"X y",
        b"Upgrade: h2c",
        b"TE: trailers",
        b"Content-Length:\x0b5",
    ),
)
BODIES = (
    *(
        b"",
        b"hello",
        b"hello world",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"5;x=y\r\nhello\r\n0\r\n\r\n",
    ),
    *(
        b"05\r\nhello\r\n0\r\nX: y\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"-1\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
    ),
    *(
        b"ffffffffffffffff1\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"0\r\nContent-Length: 3\r\n\r\n",
        b"A\r\n0123456789\r\n0\r\n\r\n",
    ),
)
TAILS = (b"", b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n")

messages = st.builds(
    lambda start, lines, body, tail: b"\r\n".join([start, *lines, b"", b""]) + body + tail,
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(LINES), max_size=5),
    st.sampled_from(BODIES),
    st.sampled_from(TAILS),
)
splices = st.tuples(
    st.integers(0, 300),
    st.integers(0, 3),
    st.sampled_from((b"", b"\r", b"\n", b" ", b":", b"\x00", b"\t", b"0", b"\r\n")),
)


def spliced(message: bytes, splice: tuple[int, int, bytes]) -> bytes:
    at, length, text = splice
    at %= len(message)
    return message[:at] + text + message[at + length :]


def ours(data: bytes) -> tuple[object, ...] | None:
    """(method, target, minor, payload, done, rest) as wire reads it; None if refused or incomplete."""
    try:
        parsed = parse_request(data)
        if parsed is None:
            return None
        head, end = parsed
        body = request_body(head)
        payload, size = (b"", 0) if body.done else body.take(data[end:])
    except HttpError:
        return None
    rest = data[end + size :] if body.done else b""
    return head.method, head.target, head.minor, payload, body.done, rest


def theirs(data: bytes) -> tuple[object, ...]:
    """The same, as h11 reads it. Raises h11.RemoteProtocolError where h11 refuses."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data.removeprefix(b"\r\n"))
    event = connection.next_event()
    assert isinstance(event, h11.Request), event
    payload, done = _rest(connection)
    minor = int(event.http_version[-1:])
    rest = connection.trailing_data[0] if done else b""
    # We alone rewrite a URL to its path, once its authority is known to be Host.
    return event.method, event.target.removeprefix(b"http://a"), minor, payload, done, rest


def _rest(connection: h11.Connection) -> tuple[bytes, bool]:
    payload = b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Data):
            payload += bytes(event.data)
        else:
            return payload, isinstance(event, h11.EndOfMessage)


def our_response(data: bytes, method: bytes) -> tuple[object, ...] | None:
    try:
        parsed = parse_response(data)
        if parsed is None or parsed[0].status < 200:
            return None
        head, end = parsed
        body = response_body(head, method)
        payload = b"" if body.done else body.take(data[end:])[0]
    except HttpError:
        return None
    return head.status, payload, body.done or body.eof()


def their_response(data: bytes, method: bytes) -> tuple[object, ...]:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    event = connection.next_event()
    assert isinstance(event, h11.Response), event
    payload, done = _rest(connection)
    if not done and connection.their_state is h11.SEND_BODY:
        connection.receive_data(b"")
        try:
            done = isinstance(connection.next_event(), h11.EndOfMessage)
        except h11.RemoteProtocolError:
            done = False
    return event.status_code, payload, done


class Requests(unittest.TestCase):
    def assert_alike(self, data: bytes) -> None:
        mine = ours(data)
        if mine is not None:
            self.assertEqual(mine, theirs(data), data)

    def test_the_corpus(self) -> None:
        taken = 0
        for start in STARTS:
            for first in LINES:
                for second in LINES:
                    for body in BODIES:
                        data = b"\r\n".join([start, b"Host: a", first, second, b"", b""]) + body
                        self.assert_alike(data)
                        taken += ours(data) is not None
        self.assertGreater(taken, 1000)

    @settings(max_examples=300, deadline=None)
    @given(messages, st.lists(splices, max_size=3))
    @example(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", [])
    def test_broken_messages(self, message: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
        for cut in cuts:
            message = spliced(message, cut)
        self.assert_alike(message)


class Responses(unittest.TestCase):
    @settings(max_examples=300, deadline=None)
    @given(
        st.sampled_from(
            (b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No", b"HTTP/1.1 304 Not", b"HTTP/1.0 200 OK", b"HTTP/1.1 404")
        ),
        st.lists(st.sampled_from(LINES), max_size=4),
        st.sampled_from(BODIES),
        st.sampled_from((b"GET", b"HEAD", b"POST")),
        st.lists(splices, max_size=2),
    )
    def test_broken_messages(
        self, start: bytes, lines: list[bytes], body: bytes, method: bytes, cuts: list[tuple[int, int, bytes]]
    ) -> None:
        data = b"\r\n".join([start, *lines, b"", b""]) + body
        for cut in cuts:
            data = spliced(data, cut)
        mine = our_response(data, method)
        if mine is not None:
            self.assertEqual(mine, their_response(data, method), data)
