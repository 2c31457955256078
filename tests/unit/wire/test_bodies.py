"""`wire.bodies`: where bodies end, however their bytes are cut."""

import itertools
import unittest

from hypothesis import given
from hypothesis import strategies as st

from wire.bodies import (
    EMPTY,
    MAX_TRAILERS,
    Body,
    ChunkedBody,
    CloseBody,
    LengthBody,
    request_body,
    response_body,
)
from wire.http1 import HttpError, parse_request, parse_response

TAIL = b"GET /next HTTP/1.1\r\n\r\n"


def chunked(payloads: list[bytes], trailers: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in payloads if one) + b"0\r\n" + trailers + b"\r\n"


def fed_in_pieces(body: Body, data: bytes, cuts: list[int]) -> tuple[bytes, int]:
    """Feed `data` cut at `cuts`; the payload and how many bytes the body took."""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    payload, taken = b"", 0
    for start, end in itertools.pairwise(edges):
        if body.done:
            break
        part, size = body.take(memoryview(data)[start:end])
        payload += part
        taken += size
        if not body.done:
            assert size == end - start
    return payload, taken


class Lengths(unittest.TestCase):
    @given(st.binary(max_size=50), st.lists(st.integers(0, 100)))
    def test_it_takes_its_own_and_no_more(self, payload: bytes, cuts: list[int]) -> None:
        body = LengthBody(len(payload))
        self.assertEqual(fed_in_pieces(body, payload + TAIL, cuts), (payload, len(payload)))
        self.assertTrue(body.done)

    def test_the_end_of_the_connection_cuts_it_off(self) -> None:
        body = LengthBody(3)
        self.assertEqual(body.feed(b"ab"), 2)
        self.assertFalse(body.eof())
        self.assertEqual(body.feed(b"cd"), 1)
        self.assertTrue(body.eof())

    def test_none_is_done_from_the_start(self) -> None:
        self.assertTrue(EMPTY.done)
        self.assertEqual(EMPTY.feed(b"abc"), 0)


class Closes(unittest.TestCase):
    def test_only_the_end_of_the_connection_ends_it(self) -> None:
        body = CloseBody()
        self.assertEqual((body.feed(b"abc"), body.take(b"de"), body.done), (3, (b"de", 2), False))
        self.assertTrue(body.eof())
        self.assertTrue(body.done)


class Chunks(unittest.TestCase):
    @given(
        st.lists(st.binary(max_size=40), max_size=5),
        st.sampled_from((b"", b"X: y\r\n", b"A:\r\nB: c\r\n")),
        st.lists(st.integers(0, 300)),
    )
    def test_however_it_is_cut(self, payloads: list[bytes], trailers: bytes, cuts: list[int]) -> None:
        data = chunked(payloads, trailers)
        body = ChunkedBody()
        self.assertEqual(fed_in_pieces(body, data + TAIL, cuts), (b"".join(payloads), len(data)))
        self.assertTrue(body.done)
        again = ChunkedBody()
        self.assertEqual((again.feed(data + TAIL), again.done), (len(data), True))

    def test_the_end_of_the_connection_cuts_it_off(self) -> None:
        data = chunked([b"hello"])
        for end in range(len(data)):
            body = ChunkedBody()
            if end:
                body.feed(data[:end])
            self.assertFalse(body.eof(), end)

    @given(st.lists(st.binary(max_size=20)), st.integers(1, 60), st.lists(st.integers(0, 300)))
    def test_its_payload_is_bounded_wherever_it_is_cut(
        self, payloads: list[bytes], limit: int, cuts: list[int]
    ) -> None:
        body = ChunkedBody(limit=limit)
        whole = b"".join(payloads)
        if len(whole) <= limit:
            self.assertEqual(fed_in_pieces(body, chunked(payloads), cuts)[0], whole)
            return
        with self.assertRaises(HttpError) as caught:
            fed_in_pieces(body, chunked(payloads), cuts)
        self.assertEqual(caught.exception.status, 413)

    def test_the_chunk_that_is_too_much_is_refused_by_its_size(self) -> None:
        body = ChunkedBody(limit=4)
        self.assertEqual(body.feed(b"4\r\nabcd\r\n"), 9)
        with self.assertRaises(HttpError):
            body.feed(b"1\r\n")

    def test_framing_that_peers_read_differently_is_refused(self) -> None:
        for data in (
            b"5;ext=1\r\nhello\r\n0\r\n\r\n",
            b"5 \r\nhello\r\n",
            b" 5\r\nhello\r\n",
            b"0x5\r\nhello\r\n",
            b"+5\r\nhello\r\n",
            b"5_0\r\n",
            b"-5\r\n",
            b"\r\n",
            b"5\nhello\n0\n\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello!\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"fffffffffffffffff\r\n",
            b"0000000000000000005\r\n",
            b"1" * 100,
            b"0\r\nX : y\r\n\r\n",
            b"0\r\nX: y\r\n z\r\n\r\n",
            b"0\r\nX: a\x00\r\n\r\n",
            b"0\r\nX: a\n\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\nContent-Length: 5\r\n\r\n",
            b"0\r\ntransfer_encoding: chunked\r\n\r\n",
            b"0\r\nAuthorization: me\r\n\r\n",
            b"0\r\nX: " + b"a" * MAX_TRAILERS,
            b"0\r\n" + b"X: y\r\n" * (MAX_TRAILERS // 6 + 1),
        ):
            for step in (len(data), 1):
                with self.assertRaises(HttpError, msg=data) as caught:
                    body = ChunkedBody(502)
                    for at in range(0, len(data), step):
                        body.feed(data[at : at + step])
                self.assertEqual(caught.exception.status, 502)

    def test_no_byte_passes_that_makes_it_bad(self) -> None:
        """What came before the fault was forwarded already: it must be the beginning of a good body."""
        for data, good in (
            (b"5;a", b"5"),
            (b"5\rh", b"5\r"),
            (b"\r", b""),
            (b"4\r\nhello", b"4\r\nhell"),
            (b"5\r\nhello\rX", b"5\r\nhello\r"),
            (b"0\r\nGET /smuggled HTTP/1.1\rHost: a\r\r", b"0\r\nGET"),
            (b"0\r\nX: y\rGET", b"0\r\nX: y\r"),
            (b"0\r\n\rX", b"0\r\n\r"),
            (b"0\r\nContent-Length: 5", b"0\r\nContent-Length"),
            (b"0\r\nx_forwarded_for: 6.6.6.6", b"0\r\nx_forwarded_for"),
            (b"0\r\nIf-Match: *", b"0\r\nIf-Match"),
            (b"0\r\n X", b"0\r\n"),
        ):
            body = ChunkedBody()
            passed = 0
            with self.assertRaises(HttpError, msg=data):
                for byte in data:
                    passed += body.feed(bytes((byte,)))
            self.assertEqual(data[:passed], good)


class Choice(unittest.TestCase):
    def test_requests(self) -> None:
        for lines, kind in (
            (b"", LengthBody),
            (b"Content-Length: 0\r\n", LengthBody),
            (b"Content-Length: 5\r\n", LengthBody),
            (b"Transfer-Encoding: chunked\r\n", ChunkedBody),
        ):
            parsed = parse_request(b"POST / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
            assert parsed is not None
            body = request_body(parsed[0])
            self.assertIsInstance(body, kind)
            self.assertEqual(body.done, lines in (b"", b"Content-Length: 0\r\n"))

    def test_responses(self) -> None:
        length, chunks = b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"
        for status, lines, method, kind in (
            (200, length, b"GET", LengthBody),
            (200, chunks, b"GET", ChunkedBody),
            (200, b"", b"GET", CloseBody),
            (200, length, b"HEAD", None),
            (200, chunks, b"HEAD", None),
            (304, length, b"GET", None),
            (204, b"", b"GET", None),
            (100, b"", b"GET", None),
            (200, b"Content-Length: 0\r\n", b"GET", None),
        ):
            parsed = parse_response(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, lines))
            assert parsed is not None
            body = response_body(parsed[0], method)
            self.assertEqual(body.done, kind is None)
            self.assertIsInstance(body, kind or LengthBody)
