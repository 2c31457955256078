import json
import unittest

from loadbalancer.forwarding import (
    CLOSE_LINE,
    answer_for_client,
    failure,
    interim_for_client,
    lead_end,
    redirected,
    request_to_control,
    request_to_replica,
    settle_id,
    unknown_path,
)
from wire.http1 import RequestHead, ResponseHead, parse_request, parse_response


def request(raw: bytes) -> RequestHead:
    parsed = parse_request(raw.replace(b"\n", b"\r\n"))
    assert parsed is not None
    return parsed[0]


def response(raw: bytes) -> ResponseHead:
    parsed = parse_response(raw.replace(b"\n", b"\r\n"))
    assert parsed is not None
    return parsed[0]


class Ids(unittest.TestCase):
    def test_kept(self) -> None:
        head = request(b"GET / HTTP/1.1\nHost: h\nx-request-ID: a-1\n\n")
        self.assertEqual(settle_id(head, b"new"), (b"a-1", True))

    def test_made(self) -> None:
        self.assertEqual(settle_id(request(b"GET / HTTP/1.1\nHost: h\n\n"), b"new"), (b"new", False))

    def test_replaced(self) -> None:
        for value in (b"", b"a b", b"\xc3\xa9", b"x" * 129):
            head = request(b"GET / HTTP/1.1\nHost: h\nX-REQUEST-id: %b\nConnection: close\n\n" % value)
            self.assertEqual(settle_id(head, b"new"), (b"new", False))
            self.assertEqual(head.lines, b"Host: h\r\nConnection: close\r\n")


class ToReplica(unittest.TestCase):
    def test_lines_are_untouched(self) -> None:
        head = request(b"GET /a?b HTTP/1.1\nHost: h\nfoo:  Bar \n\n")
        sent = request_to_replica(head, b"i", False, b"r")
        self.assertEqual(sent, b"GET /a?b HTTP/1.1\r\nHost: h\r\nfoo:  Bar \r\nX-Request-Id: i\r\n\r\n")

    def test_http_1_0_without_host(self) -> None:
        sent = request_to_replica(request(b"GET / HTTP/1.0\nConnection: keep-alive\n\n"), b"i", False, b"r")
        self.assertEqual(sent, b"GET / HTTP/1.1\r\nHost: r\r\nX-Request-Id: i\r\n\r\n")

    def test_expect_is_ours(self) -> None:
        head = request(b"PUT / HTTP/1.1\nHost: h\nExpect: 100-continue\nContent-Length: 1\n\n")
        self.assertNotIn(b"Expect", request_to_replica(head, b"i", False, b"r"))


class ToControl(unittest.TestCase):
    def test_the_addresses_are_the_true_ones(self) -> None:
        head = request(b"GET /rep HTTP/1.1\nHost: h\nX-Real-IP: 1.1.1.1\nX_Peer_Ip: 2.2.2.2\nX-Request-Id: a\n\n")
        sent = request_to_control(head, b"a", b"3.3.3.3", b"4.4.4.4")
        self.assertEqual(
            sent,
            b"GET /rep HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\r\nX-Real-IP: 3.3.3.3\r\nX-Peer-IP: 4.4.4.4\r\n"
            b"Connection: close\r\n\r\n",
        )

    def test_a_redirect_has_no_body(self) -> None:
        head = request(b"POST /add HTTP/1.1\nHost: h\nContent-Length: 5\nContent-Type: a/b\nAccept: c/d\n\n")
        sent = redirected(head, b"/wait/1", b"a", b"c", b"p")
        self.assertTrue(sent.startswith(b"GET /wait/1 HTTP/1.1\r\nHost: h\r\nAccept: c/d\r\nX-Request-Id: a\r\n"))
        self.assertNotIn(b"Content-", sent)


class ToClient(unittest.TestCase):
    def test_id_date_and_via_are_said_once(self) -> None:
        bare = answer_for_client(response(b"HTTP/1.0 200 Fine\nA: b\nVia: 1.1 a\n\n"))
        self.assertEqual(
            bare.lead + lead_end(bare, b"i", b"", b"Date: d\r\n"),
            b"HTTP/1.1 200 Fine\r\nA: b\r\nVia: 1.1 a\r\nVia: 1.0 carousel\r\nX-Request-Id: i\r\nDate: d\r\n\r\n",
        )
        own = answer_for_client(response(b"HTTP/1.1 200 OK\nX-REQUEST-ID: j\nDATE: e\n\n"))
        self.assertEqual(
            own.lead + lead_end(own, b"i", CLOSE_LINE, b"Date: d\r\n"),
            b"HTTP/1.1 200 OK\r\nX-REQUEST-ID: j\r\nDATE: e\r\nVia: 1.1 carousel\r\nConnection: close\r\n\r\n",
        )

    def test_an_interim_answer_without_the_lines_of_one_hop(self) -> None:
        hints = response(b"HTTP/1.1 103 Early Hints\nLink: </a>\nConnection: X\nX: 1\n\n")
        self.assertEqual(interim_for_client(hints), b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")

    def test_a_426_says_itself_what_to_upgrade_to(self) -> None:
        upgrade = b"Connection: Upgrade, X\nX: 1\nUpgrade: h2c, WebSocket\nA: b\n\n"
        asking = answer_for_client(response(b"HTTP/1.1 426 Upgrade Required\n" + upgrade))
        kept = b"A: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nVia: 1.1 carousel\r\n"
        self.assertEqual(asking.lead, b"HTTP/1.1 426 Upgrade Required\r\n" + kept)
        other = answer_for_client(response(b"HTTP/1.1 200 OK\n" + upgrade))
        self.assertEqual(other.lead, b"HTTP/1.1 200 OK\r\nA: b\r\nVia: 1.1 carousel\r\n")


class OfOurOwn(unittest.TestCase):
    def test_every_failure_is_whole(self) -> None:
        for status in (400, 404, 408, 411, 413, 414, 429, 431, 501, 502, 503, 504, 505):
            raw = failure(status, 'a "reason"', b"i", close=True)
            parsed = parse_response(raw)
            assert parsed is not None
            head, end = parsed
            self.assertEqual((head.status, head.content_length, head.keep_alive), (status, len(raw) - end, False))
            self.assertEqual(json.loads(raw[end:]), {"message": '<Error> a "reason"', "status": "failure"})
            self.assertEqual(head.get(b"retry-after"), b"1" if status in (429, 503) else None)
        self.assertIn(b"Retry-After: 7\r\n", failure(429, "slow down", b"i", close=False, retry_after_s=7))

    def test_unknown_path(self) -> None:
        self.assertEqual(unknown_path(b"/other"), "'/other' endpoint does not exist in server replicas")
