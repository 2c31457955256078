import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.upgrades import (
    SPOKEN_HERE,
    disbelief,
    offered,
    passable,
    protocols,
    upgrade_lines,
    websocket_accept,
)
from wire.http1 import RequestHead, ResponseHead, parse_request, parse_response

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # both from RFC 6455, 1.3


def request(lines: bytes, minor: int = 1) -> RequestHead:
    parsed = parse_request(b"GET / HTTP/1.%d\r\nHost: h\r\n%b\r\n" % (minor, lines))
    assert parsed is not None
    return parsed[0]


def switching(lines: bytes) -> ResponseHead:
    parsed = parse_response(b"HTTP/1.1 101 Switching Protocols\r\n%b\r\n" % lines)
    assert parsed is not None
    return parsed[0]


class Offers(unittest.TestCase):
    def test_what_is_offered(self) -> None:
        for upgrade, offer in (
            (b"websocket", (b"websocket",)),
            (b"WebSocket", (b"websocket",)),
            (b"foo/2, Bar", (b"foo/2", b"bar")),
            (b"h2c", ()),
            (b"h2c, websocket", (b"websocket",)),
            (b"TLS/1.0, HTTP/2.0, HTTP/1.1", ()),
            (b"two words, a/b/c, /x, x/, websocket", (b"websocket",)),
            (b"", ()),
        ):
            with self.subTest(upgrade=upgrade):
                head = request(b"Connection: keep-alive, Upgrade\r\nUpgrade: %b\r\n" % upgrade)
                self.assertEqual(offered(head), offer)

    def test_only_on_this_hop_and_only_in_1_1(self) -> None:
        self.assertEqual(offered(request(b"Upgrade: websocket\r\n")), ())
        self.assertEqual(offered(request(b"Connection: Upgrade\r\n")), ())
        self.assertEqual(offered(request(b"Connection: Upgrade\r\nUpgrade: websocket\r\n", minor=0)), ())

    @given(st.text(alphabet="h2ctlsp/,; \t\x01websocket10", max_size=40).map(str.encode))
    def test_nothing_that_is_spoken_here_ever_passes(self, upgrade: bytes) -> None:
        for name in passable(upgrade):
            self.assertNotIn(name.split(b"/")[0], SPOKEN_HERE)

    @given(st.text(alphabet="abc/,; \t\x01\r\n:", max_size=40).map(str.encode))
    def test_our_lines_are_read_as_they_were_meant(self, upgrade: bytes) -> None:
        names = protocols(upgrade)
        if names:
            self.assertEqual(offered(request(upgrade_lines(names))), names)


class Answers(unittest.TestCase):
    HANDSHAKE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: " + KEY + b"\r\n"

    def judge(self, lines: bytes, offer: tuple[bytes, ...] = (b"websocket",), asked: bytes = HANDSHAKE) -> str:
        return disbelief(offer, request(asked), switching(lines))

    def test_the_accept_of_the_rfc(self) -> None:
        self.assertEqual(websocket_accept(KEY), ACCEPT)

    def test_believed(self) -> None:
        self.assertEqual(
            self.judge(b"Connection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept:  %b \r\n" % ACCEPT), ""
        )
        self.assertEqual(self.judge(b"Connection: Upgrade\r\nUpgrade: b\r\n", (b"a", b"b")), "")

    def test_without_upgrade(self) -> None:
        for lines in (b"", b"Upgrade: websocket\r\n", b"Connection: Upgrade\r\n"):
            self.assertEqual(self.judge(lines), "101 without Upgrade")

    def test_not_offered(self) -> None:
        for upgrade in (b"h2c", b"websocket, h2c", b"websocket/2", b"???, ;"):
            lines = b"Connection: Upgrade\r\nUpgrade: %b\r\nSec-WebSocket-Accept: %b\r\n" % (upgrade, ACCEPT)
            self.assertEqual(self.judge(lines), "101 for a protocol that was not offered", upgrade)

    def test_a_handshake_that_is_not_this_one(self) -> None:
        reason = "101 without the Sec-WebSocket-Accept of this handshake"
        switch = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        for accept in (b"", b"Sec-WebSocket-Accept: x\r\n", b"Sec-WebSocket-Accept: %b\r\n" % ACCEPT.lower()):
            self.assertEqual(self.judge(switch + accept), reason)
        keyless = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        empty = websocket_accept(b"")
        self.assertEqual(self.judge(switch + b"Sec-WebSocket-Accept: %b\r\n" % empty, asked=keyless), reason)
