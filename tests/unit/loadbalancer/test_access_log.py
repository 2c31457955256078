import json
import re
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.access_log import (
    LINE_BYTES,
    Entry,
    Line,
    common_line,
    is_failure,
    is_sampled,
    json_line,
)
from wire.http1 import RequestHead, parse_request

AT_S = 1_000_000_000.25  # 2001-09-09T01:46:40.250Z
SENT = (
    b"GET /a?b=c HTTP/1.1\r\nHost: Example:80\r\nReferer: http://r/\r\nUser-Agent: curl/8\r\n"
    b"Authorization: Bearer secret\r\nCookie: secret\r\n\r\n"
)
COMMON = re.compile(
    rb'(?P<client>\S+) - - \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" (?P<status>\d{3}) (?P<bytes>\d+) '
    rb'"(?P<referer>[^"]*)" "(?P<agent>[^"]*)" (?P<took>\d+\.\d{3})\n'
)


def head(data: bytes = SENT) -> RequestHead:
    parsed = parse_request(data)
    assert parsed is not None
    return parsed[0]


def entry(asked: RequestHead | None, client: bytes = b"10.0.0.7", status: int = 200) -> Entry:
    return (0.25, 0.0125, client, asked, status, 321, b"id-1", 3, "server4", 2, True)


@st.composite
def heads(draw: st.DrawFn) -> RequestHead:
    """What no parser lets through, too."""
    found = RequestHead(draw(st.binary()), draw(st.binary()), draw(st.integers(0, 1)), b"")
    found.lines = b"Host: %b\r\nReferer: %b\r\nUser-Agent: %b\r\n" % tuple(draw(st.binary()) for _ in range(3))
    return found


@st.composite
def long_heads(draw: st.DrawFn) -> RequestHead:
    piece = st.sampled_from([b"a", b"\xff", b'"', b"\\", "é".encode(), b"\x00"])
    long = st.builds(lambda byte, count: byte * count, piece, st.integers(0, 9000))
    found = RequestHead(draw(long), draw(long), 1, b"")
    found.lines = b"Host: %b\r\nReferer: %b\r\nUser-Agent: %b\r\n" % tuple(draw(long) for _ in range(3))
    return found


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    return (
        draw(st.floats(0, 1e6)),
        draw(st.floats(0, 1e6)),
        draw(st.binary(max_size=45)),
        draw(st.none() | heads() | long_heads()),
        draw(st.integers(100, 999)),
        draw(st.integers(0, 1 << 50)),
        draw(st.binary(max_size=128)),
        draw(st.integers(-1, 1 << 40)),
        draw(st.text(st.characters(max_codepoint=127), max_size=260)),
        draw(st.integers(0, 9)),
        draw(st.booleans()),
    )


class Lines(unittest.TestCase):
    def shape(self, form: Line, found: Entry) -> bytes:
        line = form(found, 1e9)
        self.assertRegex(line, rb"\A[ -~]+\n\Z")
        self.assertLessEqual(len(line), LINE_BYTES)
        return line

    @given(entries())
    def test_json_is_one_printable_line_and_one_object(self, found: Entry) -> None:
        read = json.loads(self.shape(json_line, found))
        asked = found[3]
        self.assertEqual(
            (read["status"], read["bytes_sent"], read["tries"], read["whole"]),
            (found[4], found[5], found[9], found[10]),
        )
        self.assertEqual(list(read), list(json.loads(json_line(entry(head()), 0))))
        if asked is not None and asked.target.isascii() and len(asked.target) <= 64:
            self.assertEqual(read["target"], asked.target.decode())

    @given(entries())
    def test_the_common_format_is_one_printable_line_whose_fields_end_where_they_end(self, found: Entry) -> None:
        match = COMMON.fullmatch(self.shape(common_line, found))
        assert match is not None
        self.assertEqual(int(match["status"]), found[4])
        for name in ("request", "referer", "agent"):
            self.assertFalse(re.sub(rb"\\x[0-9A-F]{2}", b"", match[name]).count(b"\\"))

    def test_json(self) -> None:
        expected: dict[str, Any] = {
            "time": "2001-09-09T01:46:40.250Z", "client": "10.0.0.7", "method": "GET", "target": "/a?b=c",
            "version": "HTTP/1.1", "host": "Example:80", "referer": "http://r/", "user_agent": "curl/8",
            "status": 200, "bytes_sent": 321, "duration_ms": 12.5, "request_id": "id-1", "node_id": 3,
            "replica": "server4", "tries": 2, "whole": True,
        }  # fmt: skip
        self.assertEqual(json.loads(json_line(entry(head()), AT_S - 0.25)), expected)

    def test_common(self) -> None:
        self.assertEqual(
            common_line(entry(head()), AT_S - 0.25),
            b'10.0.0.7 - - [09/Sep/2001:01:46:40 +0000] "GET /a?b=c HTTP/1.1" 200 321 "http://r/" "curl/8" 0.013\n',
        )

    def test_what_is_not_there(self) -> None:
        bare = head(b"GET / HTTP/1.0\r\n\r\n")
        self.assertIn(b'"GET / HTTP/1.0" 200 321 "-" "-"', common_line(entry(bare), 0))
        self.assertIn(b"- - - [", common_line(entry(bare, client=b""), 0))
        read = json.loads(json_line(entry(bare, client=b""), 0))
        self.assertEqual([read[name] for name in ("client", "host", "referer", "user_agent")], [None] * 4)
        unread = json.loads(json_line((0.0, 0.0, b"", None, 400, 9, b"", -1, "", 0, True), 0))
        self.assertEqual(
            [unread[name] for name in ("method", "target", "request_id", "node_id", "replica")], [None] * 5
        )
        self.assertIn(b'] "-" 400', common_line((0.0, 0.0, b"", None, 400, 9, b"", -1, "", 0, True), 0))

    def test_secrets_of_the_head_are_not_in_it(self) -> None:
        for form in (json_line, common_line):
            self.assertNotIn(b"secret", form(entry(head()), 0))

    def test_quotes_and_newlines_can_end_nothing(self) -> None:
        hostile = b'x" 200 1 "\\ \n{"status": 200}\r\x1b[2J\x7f\xc3\xa9\xff'
        asked = RequestHead(b"GET", b"/", 1, b"User-Agent: %b\r\n" % hostile.replace(b"\r", b"").replace(b"\n", b""))
        asked.target = hostile
        read = json.loads(json_line(entry(asked), 0))
        self.assertEqual(read["target"], 'x" 200 1 "\\ \n{"status": 200}\r\x1b[2J\x7fé\\xff')
        self.assertIn(rb"x\x22 200 1 \x22\x5C \x0A{\x22status\x22", common_line(entry(asked), 0))

    def test_a_long_target_is_clipped_and_a_long_one_of_plain_letters_less(self) -> None:
        asked = head()
        asked.target = b"/" + b"a" * 3000
        self.assertEqual(json.loads(json_line(entry(asked), 0))["target"], asked.target.decode())
        asked.target = b"/" + b"a" * 8000
        self.assertEqual(json.loads(json_line(entry(asked), 0))["target"], "/" + "a" * 1023 + "...")
        asked.target = b"/" + b"\xff" * 8000
        self.assertTrue(common_line(entry(asked), 0).count(rb"\xFF") >= 500)


class Sampling(unittest.TestCase):
    @given(st.binary(), st.floats(0, 1), st.floats(0, 1))
    def test_who_logs_more_logs_what_others_log(self, request_id: bytes, one: float, other: float) -> None:
        less, more = sorted((one, other))
        self.assertLessEqual(is_sampled(request_id, less), is_sampled(request_id, more))
        self.assertTrue(is_sampled(request_id, 1.0))
        self.assertFalse(is_sampled(request_id, 0.0))

    def test_numbered_ids_are_sampled_evenly(self) -> None:
        ids = [b"0a1b2c3d4e-%x" % number for number in range(20_000)]
        for share in (0.01, 0.1, 0.5):
            found = sum(is_sampled(request_id, share) for request_id in ids)
            self.assertAlmostEqual(found / len(ids) / share, 1, delta=0.1)

    def test_failures(self) -> None:
        self.assertFalse(is_failure(200, True) or is_failure(404, True) or is_failure(429, True))
        self.assertTrue(is_failure(500, True) and is_failure(200, False) and is_failure(499, False))
