"""`wire.http1`: what heads say, and the smuggling list: each case refused or normalised."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from wire.http1 import (
    MAX_FIELDS,
    MAX_HEAD,
    MAX_LINE,
    HttpError,
    RequestHead,
    ResponseHead,
    forwardable,
    parse_request,
    parse_response,
)

GET = b"GET /home HTTP/1.1\r\n"
HOST = b"Host: a\r\n"


def request(*lines: bytes, start: bytes = GET, host: bytes = HOST) -> RequestHead:
    data = start + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    parsed = parse_request(data + b"what follows")
    assert parsed is not None
    assert parsed[1] == len(data)
    return parsed[0]


def response(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK\r\n") -> ResponseHead:
    data = start + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    parsed = parse_response(data)
    assert parsed is not None
    assert parsed[1] == len(data)
    return parsed[0]


class Refusals(unittest.TestCase):
    def assert_refused(self, status: int, data: bytes) -> None:
        with self.assertRaises(HttpError) as caught:
            parse_request(data)
        self.assertEqual(caught.exception.status, status, data)

    def assert_line_refused(self, status: int, *lines: bytes) -> None:
        self.assert_refused(status, GET + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n")


class RequestHeads(unittest.TestCase):
    def test_a_plain_get(self) -> None:
        head = request(b"Accept: */*")
        self.assertEqual((head.method, head.target, head.minor), (b"GET", b"/home", 1))
        self.assertEqual(head.lines, b"Host: a\r\nAccept: */*\r\n")
        self.assertEqual((head.host, head.content_length, head.chunked), (b"a", None, False))
        self.assertEqual((head.keep_alive, head.expect_continue, head.upgrade, head.hop), (True, False, None, False))

    def test_it_is_found_behind_the_requests_before_it(self) -> None:
        data = bytearray(GET + HOST + b"\r\n" + b"PUT /x HTTP/1.0\r\n\r\n")
        first = parse_request(data)
        assert first is not None
        second = parse_request(data, first[1])
        assert second is not None
        self.assertEqual((second[0].method, second[0].minor, second[1]), (b"PUT", 0, len(data)))
        self.assertIsNone(parse_request(data, second[1]))

    def test_every_prefix_is_incomplete(self) -> None:
        data = b"POST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\n\r\n"
        for end in range(len(data)):
            self.assertIsNone(parse_request(data[:end]), end)
            self.assertIsNone(parse_request(b"\r\n" + data[:end]), end)

    def test_one_empty_line_before_a_request_is_let_pass(self) -> None:
        data = b"\r\n" + GET + HOST + b"\r\n"
        parsed = parse_request(data)
        assert parsed is not None
        self.assertEqual(parsed[1], len(data))

    def test_get_finds_a_header_whatever_its_case(self) -> None:
        head = request(b"X-Key:  a b\t", b"x-key: second", b"X-Empty:")
        self.assertEqual(head.get(b"x-KEY"), b"a b")
        self.assertEqual(head.get(b"x-empty"), b"")
        self.assertEqual(head.get(b"host"), b"a")
        self.assertIsNone(head.get(b"key"))
        self.assertIsNone(head.get(b"x"))

    def test_connection_decides_what_happens_next(self) -> None:
        old = b"GET / HTTP/1.0\r\n"
        for start, lines, keep in (
            (GET, [b"Connection: keep-alive"], True),
            (GET, [b"Connection: Close"], False),
            (GET, [b"connection: x , CLOSE"], False),
            (GET, [b"Connection: close", b"Connection: keep-alive"], False),
            (GET, [b"Connection: enclosed"], True),
            (old, [], False),
            (old, [b"Connection: Keep-Alive"], True),
            (old, [b"Connection: keep-alive, close"], False),
        ):
            self.assertIs(request(*lines, start=start).keep_alive, keep, (start, lines))

    def test_upgrade_needs_both_lines_and_1_1(self) -> None:
        lines = (b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket")
        self.assertEqual(request(*lines).upgrade, b"websocket")
        self.assertIsNone(request(*lines, start=b"GET / HTTP/1.0\r\n").upgrade)
        self.assertIsNone(request(b"Upgrade: websocket").upgrade)
        self.assertIsNone(request(b"Connection: upgrade").upgrade)

    def test_lines_of_one_hop_are_noticed(self) -> None:
        for line in (
            b"Connection: x",
            b"keep-alive: 1",
            b"Proxy-Connection: y",
            b"TE: trailers",
            b"Upgrade: h2c",
        ):
            self.assertTrue(request(line).hop, line)
        self.assertFalse(request(b"X-Connection: close", b"Tea: please").hop)

    def test_ids_and_dates_are_noticed(self) -> None:
        self.assertTrue(request(b"A: b", b"X-Request-ID:").has_id)
        self.assertFalse(request(b"A: x-request-id: 1").has_id)
        answer = response(b"date: x", b"x-request-id: y")
        self.assertTrue(answer.has_date and answer.has_id)
        answer = response(b"Last-Modified: x", b"Update: y")
        self.assertFalse(answer.has_date or answer.has_id)

    def test_lines_by_which_proxies_speak_are_noticed(self) -> None:
        for line in (
            b"Forwarded: for=x",
            *(b"X-Forwarded-For: 1", b"x_forwarded_for: 1", b"X-Forwarded_Proto:", b"X-FORWARDED-ANYTHING: 1"),
            *(b"X-Real-IP: 1", b"X_Real_Ip: 1"),
        ):
            self.assertTrue(request(b"A: b", line, b"Content-Length: 2").forwarded, line)
            self.assertEqual(request(line, b"Content-Length: 2").content_length, 2)
        others = (b"X-Forwarded: 1", b"X-Forwarded-: 1", b"X-Real: 1", b"XForwarded-For: 1", b"A: x-forwarded-for: 1")
        self.assertFalse(request(b"A: b", *others, b"Via: 1.1 x").forwarded)

    def test_expect(self) -> None:
        self.assertTrue(request(b"Expect: 100-Continue").expect_continue)
        self.assertFalse(request(b"Expect: 100-continue", start=b"GET / HTTP/1.0\r\n").expect_continue)
        self.assertFalse(request(b"Expect: the worst").expect_continue)
        self.assertTrue(request(b"Expect: 100-continue", b"Expect: the worst").expect_continue)
        self.assertTrue(request(b"Expect: the worst").hop)  # none is passed on

    def test_hosts(self) -> None:
        for host in (b"localhost:5000", b"[::1]:80", b"a_b.example.org", b"", b"127.0.0.1:"):
            self.assertEqual(request(host=b"Host: " + host + b" \r\n").host, host)
        self.assertEqual(request(host=b"Host: EXAMPLE\r\n").host, b"example")

    def test_a_url_becomes_a_path_when_its_authority_is_host(self) -> None:
        for target, path in (
            (b"http://a/x?y", b"/x?y"),
            (b"HTTP://A", b"/"),
            (b"http://a?q=1", b"/?q=1"),
            (b"http://a//b", b"//b"),
        ):
            self.assertEqual(request(start=b"GET " + target + b" HTTP/1.1\r\n").target, path)
        self.assertEqual(request(start=b"OPTIONS http://a HTTP/1.1\r\n").target, b"*")
        self.assertEqual(request(start=b"OPTIONS * HTTP/1.1\r\n").target, b"*")


class RefusedRequests(Refusals):
    def test_start_lines(self) -> None:
        for status, line in (
            (400, b"GET  / HTTP/1.1"),
            (400, b"GET / HTTP/1.1 "),
            (400, b" GET / HTTP/1.1"),
            (400, b"GET /"),
            (400, b"GET / http/1.1"),
            (400, b"G(T / HTTP/1.1"),
            (400, b"GET /a b HTTP/1.1"),
            (400, b"GET /a\tb HTTP/1.1"),
            (400, b"GET /a#b HTTP/1.1"),
            (400, b"GET /\xe9 HTTP/1.1"),
            (400, b"GET / HTTP/1.10"),
            (505, b"GET / HTTP/1.2"),
            (505, b"GET / HTTP/2.0"),
            (505, b"PRI * HTTP/2.0"),
        ):
            self.assert_refused(status, line + b"\r\n" + HOST + b"\r\n")

    def test_targets(self) -> None:
        for status, start in (
            (501, b"CONNECT a:80"),
            (501, b"CONNECT /"),
            (400, b"GET *"),
            (400, b"GET home"),
            (400, b"GET http://b/"),
            (400, b"GET http://user@a/"),
            (400, b"GET http://a:80/"),
            (400, b"GET https://a/"),
            (400, b"GET http:///"),
        ):
            self.assert_refused(status, start + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        self.assert_refused(400, b"GET http://a/ HTTP/1.0\r\n\r\n")

    def test_hosts(self) -> None:
        self.assert_refused(400, GET + b"\r\n")
        self.assert_refused(400, b"GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n")
        for host in (b"a b", b"a,b", b"a/b", b"u@a", b"a:b", b"a:123456", b"a\\b", b"\xe9", b"[::1", b"a#"):
            self.assert_refused(400, GET + b"Host: " + host + b"\r\n\r\n")

    def test_content_lengths(self) -> None:
        for value in (b"", b"+5", b"-1", b"5,5", b"5, 5", b"0x5", b"5 5", b"1_0", b"5;", b"9" * 19, b"\xb2"):
            self.assert_line_refused(400, b"Content-Length: " + value)
        self.assert_line_refused(400, b"Content-Length: 5", b"content-length: 5")
        for line in (b"Content-Length:\t5", b"Content-Length: 5\t"):
            self.assert_line_refused(400, line)
        self.assertEqual(request(b"Content-Length:  5 ").content_length, 5)

    def test_transfer_encodings(self) -> None:
        for value in (
            b"xchunked",
            b"chunked, identity",
            b"gzip, chunked",
            b"identity",
            b"",
            b"chunked;q=1",
            b"\x0bchunked",
            b"\tchunked",
            b"chunked\t",
            b"chunked ",
        ):
            self.assert_line_refused(400 if b"\x0b" in value else 501, b"Transfer-Encoding: " + value)
        self.assert_line_refused(400, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")
        self.assert_line_refused(400, b"Transfer-Encoding: chunked", b"Content-Length: 5")
        self.assert_line_refused(400, b"Content-Length: 0", b"Transfer-Encoding: chunked")
        self.assert_refused(400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.assertTrue(request(b"Transfer-Encoding: Chunked").chunked)

    def test_header_lines(self) -> None:
        for line in (
            b"Content-Length : 5",
            b"Content-Length\t: 5",
            b"X: a\r\n folded",
            b"X: a\r\n\tfolded",
            b" X: a",
            b": a",
            b"no colon",
            b"X\x00: a",
            b"X: a\x00b",
            b"X: a\rb",
            b"X: a\nTransfer-Encoding: chunked",
            b"X: a\x7f",
            b"X: a\x0b",
            b"\xc4: a",
            b"(X): a",
            b"Content_Length: 5",
            b"Transfer_Encoding: chunked",
        ):
            self.assert_line_refused(400, line)

    def test_names_that_differ_in_an_underscore(self) -> None:
        for lines in (
            (b"X-User: a", b"X_User: b"),
            (b"x_user: b", b"Y: z", b"X-USER: a"),
            (b"X-A_B: a", b"X_A-B: b"),
            (b"X_Request_Id: a",),
        ):
            self.assert_line_refused(400, *lines)
        for lines in (
            (b"X_User: a", b"X_User: b", b"X-User-2: c"),
            (b"X-User: x_user: b", b"Cookie: x-user_x=1"),
            (b"X-Forwarded-For: a", b"X_Forwarded_For: b", b"X-Real_IP: c", b"x-real-ip: d"),
        ):
            self.assertEqual(request(*lines).lines.count(b"\n"), len(lines) + 1)

    def test_a_bare_lf_is_refused_before_the_head_is_whole(self) -> None:
        self.assert_refused(400, b"GET / HTTP/1.1\n\n")
        self.assert_refused(400, GET + b"Host: a\n")
        self.assert_refused(400, b"\n" + GET)
        self.assert_refused(400, b"\r\n\r\n" + GET + HOST + b"\r\n")

    def test_a_tls_hello_is_refused_at_once(self) -> None:
        self.assert_refused(400, b"\x16\x03\x01\x02\x00\x01\x00")

    def test_sizes(self) -> None:
        self.assert_refused(414, b"GET /" + b"a" * MAX_LINE)
        self.assert_refused(414, b"GET /" + b"a" * MAX_LINE + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        self.assert_refused(431, GET + HOST + b"X: " + b"a" * MAX_HEAD)
        self.assert_refused(431, GET + HOST + b"X: " + b"a" * MAX_HEAD + b"\r\n\r\n")
        self.assert_line_refused(431, *[b"a:"] * MAX_FIELDS)
        self.assertEqual(len(request(*[b"a:"] * (MAX_FIELDS - 1)).lines), len(HOST) + 4 * (MAX_FIELDS - 1))
        self.assertIsNone(parse_request(GET + HOST + b"X: " + b"a" * (MAX_HEAD - 100)))

    @given(st.binary(max_size=200))
    def test_anything_is_read_refused_or_waited_for(self, data: bytes) -> None:
        for parse in (parse_request, parse_response):
            try:
                parsed = parse(data)
            except HttpError:
                continue
            self.assertTrue(parsed is None or parsed[1] <= len(data))


class ResponseHeads(unittest.TestCase):
    def test_a_plain_one(self) -> None:
        head = response(b"Content-Length: 12", b"X: y")
        self.assertEqual((head.status, head.reason, head.minor), (200, b"OK", 1))
        self.assertEqual((head.content_length, head.chunked, head.keep_alive, head.hop), (12, False, True, False))
        self.assertEqual(head.get(b"x"), b"y")

    def test_reasons_may_be_empty_or_odd(self) -> None:
        for line, reason in ((b"404", b""), (b"404 ", b""), (b"404 Not  F\xf6und", b"Not  F\xf6und")):
            self.assertEqual(response(start=b"HTTP/1.1 " + line + b"\r\n").reason, reason)

    def test_connections(self) -> None:
        self.assertFalse(response(b"Connection: close").keep_alive)
        self.assertFalse(response(start=b"HTTP/1.0 200 OK\r\n").keep_alive)
        self.assertTrue(response(b"Connection: keep-alive", start=b"HTTP/1.0 200 OK\r\n").keep_alive)

    def test_every_prefix_is_incomplete(self) -> None:
        data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        for end in range(len(data)):
            self.assertIsNone(parse_response(data[:end]), end)

    def test_whatever_is_wrong_is_a_502(self) -> None:
        ok = b"HTTP/1.1 200 OK\r\n"
        for data in (
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 99 Low\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"hello\r\n\r\n",
            b"HTTP/1.1 200 OK\n\n",
            ok + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
            ok + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            ok + b"Transfer-Encoding: gzip\r\n\r\n",
            ok + b"X : y\r\n\r\n",
            ok + b"X: y\r\n z\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
            ok + b"X: " + b"a" * MAX_HEAD,
        ):
            with self.assertRaises(HttpError) as caught:
                parse_response(data)
            self.assertEqual(caught.exception.status, 502, data)


class Forwardable(unittest.TestCase):
    def test_what_is_of_one_hop_goes_and_the_rest_stays_as_it_came(self) -> None:
        lines = b"hOsT: a\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nX:  y \r\nTE: trailers\r\n"
        self.assertEqual(forwardable(lines), b"hOsT: a\r\nX:  y \r\n")
        self.assertEqual(forwardable(b"Connection: close\r\n"), b"")
        self.assertEqual(forwardable(b""), b"")
        self.assertEqual(forwardable(HOST), HOST)

    def test_what_connection_names_goes_too(self) -> None:
        lines = b"Connection: close, X-Hop\r\nX-HOP: 1\r\nX-Hop-2: 2\r\nconnection: x-other\r\nX-Other: 3\r\n"
        self.assertEqual(forwardable(lines), b"X-Hop-2: 2\r\n")

    def test_connection_cannot_take_the_framing_away(self) -> None:
        lines = b"Connection: content-length, Host, transfer-encoding\r\nHost: a\r\nContent-Length: 5\r\n"
        self.assertEqual(forwardable(lines), b"Host: a\r\nContent-Length: 5\r\n")
        for name in (b"X-Request-Id", b"X-Forwarded-For", b"Forwarded", b"Via"):
            self.assertEqual(forwardable(b"Connection: " + name + b"\r\n" + name + b": a\r\n"), name + b": a\r\n")

    def test_keep_and_drop(self) -> None:
        lines = b"Upgrade: websocket\r\nConnection: upgrade\r\n"
        lines += b"X-Forwarded-For: 1\r\nX_Forwarded_For: 2\r\nY: z\r\n"
        self.assertEqual(
            forwardable(lines, frozenset((b"upgrade", b"connection")), frozenset((b"x-forwarded-for",))),
            b"Upgrade: websocket\r\nConnection: upgrade\r\nY: z\r\n",
        )
        self.assertEqual(forwardable(b"Connection: x-mine\r\nX-Mine: 1\r\n", frozenset((b"x-mine",))), b"X-Mine: 1\r\n")
