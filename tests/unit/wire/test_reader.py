"""`wire.reader`: whole requests, however their bytes are cut."""

import itertools
import unittest

from hypothesis import given
from hypothesis import strategies as st

from wire.http1 import HttpError
from wire.reader import Progress, RequestReader

PLAIN = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
LENGTH = b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED += b"3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"
WANTED = {PLAIN: (b"/a", b""), LENGTH: (b"/b", b"hello"), CHUNKED: (b"/c", b"abcde")}


def everything(reader: RequestReader) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    while (one := reader.next()) is not None:
        found.append((one[0].target, one[1]))
    return found


class Reading(unittest.TestCase):
    @given(st.lists(st.sampled_from((PLAIN, LENGTH, CHUNKED)), max_size=4), st.lists(st.integers(0, 500)))
    def test_requests_come_in_order_whole(self, messages: list[bytes], cuts: list[int]) -> None:
        data = b"".join(messages)
        edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        reader = RequestReader(100)
        found: list[tuple[bytes, bytes]] = []
        for start, end in itertools.pairwise(edges):
            reader.feed(data[start:end])
            found += everything(reader)
        self.assertEqual(found, [WANTED[message] for message in messages])
        self.assertEqual((reader.unread_bytes, reader.progress), (0, Progress.NOTHING))

    def test_progress(self) -> None:
        reader = RequestReader(100)
        for data, progress in (
            (b"PO", Progress.HEAD),
            (LENGTH[2:-2], Progress.BODY),
            (b"lo", Progress.NOTHING),
        ):
            reader.feed(data)
            everything(reader)
            self.assertIs(reader.progress, progress)

    def test_a_body_beyond_the_limit_is_a_413(self) -> None:
        for message, limit in ((LENGTH[:-5], 4), (CHUNKED, 4)):
            reader = RequestReader(limit)
            reader.feed(message)
            with self.assertRaises(HttpError) as caught:
                reader.next()
            self.assertEqual(caught.exception.status, 413)

    def test_a_client_that_waits_is_told_once_to_go_on(self) -> None:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        reader = RequestReader(100)
        reader.feed(head)
        self.assertIsNone(reader.next())
        self.assertTrue(reader.wants_continue())
        self.assertFalse(reader.wants_continue())
        reader.feed(b"ab" + head + b"c")
        self.assertEqual(len(everything(reader)), 1)
        self.assertFalse(reader.wants_continue())
