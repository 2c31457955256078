"""`wire.exchange`: requests as handlers see them, answers as bytes."""

import json
import unittest
from collections.abc import AsyncIterator

from wire.exchange import (
    Request,
    Response,
    Stream,
    encode_response,
    encode_stream_head,
    error_response,
    json_response,
)
from wire.http1 import parse_request, parse_response

NOW = 784111777.5
DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"  # RFC 9110's own example


async def nothing() -> AsyncIterator[bytes]:
    for chunk in ():
        yield chunk


class Requests(unittest.TestCase):
    def test_it_is_seen_as_sent(self) -> None:
        parsed = parse_request(b"GET /a%20b?c=d?e HTTP/1.1\r\nHost: a\r\nX-Name: \xe9\r\n\r\n")
        assert parsed is not None
        request = Request(parsed[0], b"body", "::1")
        self.assertEqual((request.method, request.path, request.query), ("GET", "/a%20b", "c=d?e"))
        self.assertEqual((request.body, request.client), (b"body", "::1"))
        self.assertEqual((request.get("x-name"), request.get("none")), ("é", None))


class Answers(unittest.TestCase):
    def test_the_bytes_of_an_answer(self) -> None:
        response = Response(200, b"hi", "text/plain", (("X-A", "b"),))
        self.assertEqual(
            encode_response(response, b"GET", 1, True, NOW),
            b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Type: text/plain\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi",
        )

    def test_the_connection_after_it(self) -> None:
        for minor, keep, line in (
            (1, True, b""),
            (1, False, b"close"),
            (0, True, b"keep-alive"),
            (0, False, b"close"),
        ):
            data = encode_response(Response(200), b"GET", minor, keep, NOW)
            self.assertEqual(data.partition(b"Connection: ")[2].partition(b"\r\n")[0], line)

    def test_head_has_the_length_and_no_body(self) -> None:
        data = encode_response(Response(200, b"hi"), b"HEAD", 1, True, NOW)
        self.assertTrue(data.endswith(b"Content-Length: 2\r\n\r\n"))

    def test_codes_without_a_body(self) -> None:
        self.assertNotIn(b"Content-Length", encode_response(Response(204), b"GET", 1, True, NOW))
        self.assertIn(b"Content-Length: 0\r\n", encode_response(Response(200), b"GET", 1, True, NOW))
        self.assertTrue(encode_response(Response(299), b"GET", 1, True, NOW).startswith(b"HTTP/1.1 299 \r\n"))

    def test_a_header_cannot_break_the_line(self) -> None:
        for value in ("a\r\nSet-Cookie: b", "a\nb"):
            with self.assertRaises(ValueError):
                encode_response(Response(200, headers=(("X", value),)), b"GET", 1, True, NOW)

    def test_the_date_follows_the_clock(self) -> None:
        later = encode_response(Response(200), b"GET", 1, True, NOW + 1)
        self.assertIn(b"08:49:38 GMT", later)
        self.assertIn(DATE, encode_response(Response(200), b"GET", 1, True, NOW))

    def test_streams(self) -> None:
        stream = Stream(200, "text/event-stream", nothing())
        self.assertIn(b"Transfer-Encoding: chunked\r\n\r\n", encode_stream_head(stream, 1, True, NOW))
        old = encode_stream_head(stream, 0, False, NOW)
        self.assertNotIn(b"chunked", old)
        self.assertIn(b"Connection: close\r\n", old)

    def test_what_we_write_our_parser_reads(self) -> None:
        for response in (
            json_response(200, {"a": 1}),
            error_response(404, "'/x\"y' is not there"),
            Response(204),
        ):
            data = encode_response(response, b"GET", 1, True, NOW)
            parsed = parse_response(data)
            assert parsed is not None
            self.assertEqual((parsed[0].status, data[parsed[1] :]), (response.status, response.body))

    def test_errors_have_one_shape(self) -> None:
        body = json.loads(error_response(400, "no").body)
        self.assertEqual(body, {"message": "<Error> no", "status": "failure"})
