"""`wire.proxy_protocol`: what HAProxy's text says receivers must take, and must not."""

import unittest
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from wire.proxy_protocol import MAX_V1, MAX_V2, SIGNATURE, ProxyHeader, ProxyHeaderError, parse_proxy_header

OWN = ProxyHeader()
HTTP = b"GET / HTTP/1.1\r\n"
TCP4 = bytes((192, 0, 2, 1, 198, 51, 100, 1)) + b"\xdc\x04\x01\xbb"
TCP6 = IPv6Address("2001:db8::1").packed + IPv6Address("2001:db8::2").packed + b"\xdc\x04\x01\xbb"


def v2(command: int, family: int, block: bytes = b"", size: int | None = None) -> bytes:
    length = len(block) if size is None else size
    return SIGNATURE + bytes((command, family)) + length.to_bytes(2, "big") + block


class Case(unittest.TestCase):
    def assert_read(self, data: bytes, header: ProxyHeader) -> None:
        """Also when it comes byte by byte, and with or without what follows."""
        self.assertEqual(parse_proxy_header(data), (header, len(data)), data)
        self.assertEqual(parse_proxy_header(data + HTTP), (header, len(data)), data)
        for end in range(len(data)):
            self.assertIsNone(parse_proxy_header(data[:end]), data[:end])

    def assert_refused(self, data: bytes) -> None:
        with self.assertRaises(ProxyHeaderError, msg=data):
            parse_proxy_header(data)


class Version1(Case):
    def test_the_text_s_own_example(self) -> None:
        self.assert_read(b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", ProxyHeader("192.168.0.1", 56324))

    def test_ipv6(self) -> None:
        self.assert_read(b"PROXY TCP6 2001:DB8::1 ::1 0 65535\r\n", ProxyHeader("2001:db8::1", 0))
        full = b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        self.assert_read(b"PROXY TCP6 %b %b 65535 65535\r\n" % (full, full), ProxyHeader(full.decode(), 65535))

    def test_unknown_is_the_connection_s_own_whatever_follows(self) -> None:
        for rest in (b"", b" ", b" x y", b" ffff:f:f:f:f:f:f:f ::1 65535 65535", b" " + b"x" * (MAX_V1 - 16)):
            self.assert_read(b"PROXY UNKNOWN" + rest + b"\r\n", OWN)

    def test_what_is_nearly_right(self) -> None:
        good = b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"
        self.assert_read(good, ProxyHeader("1.2.3.4", 1))
        for old, new in (
            (b"PROXY ", b"PROXY  "),
            (b"PROXY ", b"PROXY\t"),
            (b"TCP4", b"TCP6"),
            (b"TCP4", b"tcp4"),
            (b"TCP4", b"UDP4"),
            (b"TCP4", b"UNKNOWNX"),
            (b"1.2.3.4", b"01.2.3.4"),
            (b"1.2.3.4", b"1.2.3.256"),
            (b"1.2.3.4", b"1.2.3"),
            (b"1.2.3.4", b"::1"),
            (b"5.6.7.8", b"::1"),
            (b" 1 ", b" 01 "),
            (b" 1 ", b" 65536 "),
            (b" 1 ", b" -1 "),
            (b" 1 ", b" "),
            (b" 2\r\n", b" 65536\r\n"),
            (b" 2\r\n", b" 2 \r\n"),
            (b" 2\r\n", b" 2 3\r\n"),
            (b" 2\r\n", b" 2\n"),
            (b" 2\r\n", b" 2\r\r\n"),
        ):
            self.assert_refused(good.replace(old, new))
        self.assert_refused(b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n")
        self.assert_refused(b"PROXY TCP6 :::1 ::1 1 2\r\n")

    def test_a_line_that_does_not_end(self) -> None:
        self.assertIsNone(parse_proxy_header(b"PROXY UNKNOWN ".ljust(MAX_V1 - 1, b"x")))
        self.assert_refused(b"PROXY UNKNOWN ".ljust(MAX_V1, b"x"))
        self.assert_refused(b"PROXY UNKNOWN ".ljust(MAX_V1 - 1, b"x") + b"\r\n")

    @given(st.ip_addresses(v=4) | st.ip_addresses(v=6), st.integers(0, 65535))
    def test_every_address(self, address: IPv4Address | IPv6Address, port: int) -> None:
        line = f"PROXY TCP{address.version} {address} {address} {port} 9\r\n".encode()
        self.assertEqual(parse_proxy_header(line), (ProxyHeader(str(address), port), len(line)))


class Version2(Case):
    def test_tcp(self) -> None:
        self.assert_read(v2(0x21, 0x11, TCP4), ProxyHeader("192.0.2.1", 56324))
        self.assert_read(v2(0x21, 0x21, TCP6), ProxyHeader("2001:db8::1", 56324))

    def test_what_follows_the_addresses_is_skipped(self) -> None:
        self.assert_read(v2(0x21, 0x11, TCP4 + b"\x04\x00\x03abc"), ProxyHeader("192.0.2.1", 56324))
        self.assert_read(v2(0x21, 0x21, TCP6 + b"\xff" * 9), ProxyHeader("2001:db8::1", 56324))

    def test_local_is_the_connection_s_own_whatever_its_family(self) -> None:
        for family in (0x00, 0x11, 0x21, 0x31, 0xFF):
            self.assert_read(v2(0x20, family), OWN)
            self.assert_read(v2(0x20, family, TCP4), OWN)

    def test_what_we_do_not_speak_is_the_connection_s_own(self) -> None:
        for family, size in (
            (0x00, 0),
            (0x00, 5),
            (0x10, 0),
            (0x01, 0),
            (0x12, 12),
            (0x22, 36),
            (0x31, 216),
            (0x32, 216),
        ):
            self.assert_read(v2(0x21, family, bytes(size)), OWN)

    def test_what_is_nearly_right(self) -> None:
        for command in (0x10, 0x11, 0x22, 0x2F, 0x31, 0x00):
            self.assert_refused(v2(command, 0x11, TCP4))
            self.assert_refused(SIGNATURE + bytes((command,)))  # no further byte mends it
        for family in (0x41, 0xF0, 0x13, 0x1F):
            self.assert_refused(v2(0x21, family, TCP6 * 8))
        for family, size in ((0x11, 11), (0x12, 0), (0x21, 35), (0x22, 12), (0x31, 215), (0x32, 0)):
            self.assert_refused(v2(0x21, family, bytes(size)))
            self.assert_refused(v2(0x21, family, b"", size))

    def test_its_length_is_bounded(self) -> None:
        longest = TCP4 + bytes(MAX_V2 - 16 - len(TCP4))
        self.assertEqual(parse_proxy_header(v2(0x21, 0x11, longest)), (ProxyHeader("192.0.2.1", 56324), MAX_V2))
        self.assert_refused(v2(0x21, 0x11, b"", MAX_V2 - 15))
        self.assert_refused(v2(0x20, 0x00, b"", 0xFFFF))


class Neither(Case):
    def test_it_is_noticed_at_the_first_byte_that_is_wrong(self) -> None:
        for data in (
            HTTP,
            b"\x16\x03\x01",
            b"P ",
            b"PROXYX",
            b"proxy TCP4",
            b" PROXY",
            b"\r\n\r\n\r",
            SIGNATURE[:-1] + b"\r",
            b"\n",
        ):
            self.assert_refused(data)

    @given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda tail: SIGNATURE + tail))
    def test_any_bytes_are_read_awaited_or_refused(self, data: bytes) -> None:
        try:
            parsed = parse_proxy_header(data)
        except ProxyHeaderError:
            return
        if parsed is not None:
            self.assertLessEqual(parsed[1], len(data))
            self.assertEqual(parse_proxy_header(data[: parsed[1]]), parsed)
