"""`wire.forwarded`: RFC 7239's own examples, what it forbids, and that what is written can be read."""

import unittest
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from wire.forwarded import Element, format_element, parse_forwarded, read_address, read_node


def elements(value: bytes) -> tuple[Element, ...]:
    found = parse_forwarded(value)
    assert found is not None, value
    return found


class Addresses(unittest.TestCase):
    def test_spellings_of_one_address_are_one(self) -> None:
        for text in ("192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201"):
            self.assertEqual(read_address(text), ip_address("192.0.2.1"), text)
        self.assertEqual(read_address("2001:DB8:0::1"), ip_address("2001:db8::1"))
        self.assertEqual(read_address("fe80::1%eth0"), ip_address("fe80::1"))

    def test_what_is_none(self) -> None:
        for text in ("", "unknown", "01.2.3.4", "1.2.3", "1.2.3.4.5", "localhost", "1.2.3.4 ", "::g", "[::1]"):
            self.assertIsNone(read_address(text), text)


class Nodes(unittest.TestCase):
    def test_with_and_without_a_port(self) -> None:
        for node, text in (
            (b"192.0.2.43", "192.0.2.43"),
            (b"192.0.2.43:47011", "192.0.2.43"),
            (b"192.0.2.43:_port", "192.0.2.43"),
            (b"[2001:db8:cafe::17]", "2001:db8:cafe::17"),
            (b"[2001:db8:cafe::17]:47011", "2001:db8:cafe::17"),
            (b"2001:db8:cafe::17", "2001:db8:cafe::17"),  # X-Forwarded-For's way
            (b"::ffff:192.0.2.1", "192.0.2.1"),
        ):
            self.assertEqual(read_node(node), ip_address(text), node)

    def test_what_is_none(self) -> None:
        for node in (
            *(b"", b"unknown", b"_hidden", b"_SEVKISEK", b"192.0.2.43:", b"192.0.2.43:123456", b"[192.0.2", b"[::1]x"),
            *(b"1.2.3.4 5.6.7.8", b"[::1%eth0]", b"a.b.c.d", b"\xff", b"1.2.3.4\n", b'"1.2.3.4"', b"[::1]:x"),
        ):
            self.assertIsNone(read_node(node), node)


class Reading(unittest.TestCase):
    def test_the_examples_of_rfc_7239(self) -> None:
        (one,) = elements(b'for="_gazonk"')
        self.assertEqual(one.node, b"_gazonk")
        (one,) = elements(b'For="[2001:db8:cafe::17]:4711"')
        self.assertEqual(one.node, b"[2001:db8:cafe::17]:4711")
        (one,) = elements(b"for=192.0.2.60;proto=http;by=203.0.113.43")
        self.assertEqual((one.node, one.proto, one.host), (b"192.0.2.60", b"http", None))
        two = elements(b"for=192.0.2.43, for=198.51.100.17")
        self.assertEqual([each.node for each in two], [b"192.0.2.43", b"198.51.100.17"])
        two = elements(b'for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown')
        self.assertEqual([each.node for each in two], [b"192.0.2.43", b"[2001:db8:cafe::17]", b"unknown"])
        two = elements(b"for=_hidden, for=_SEVKISEK")
        self.assertEqual([each.text for each in two], [b"for=_hidden", b"for=_SEVKISEK"])

    def test_separators_in_quotes_separate_nothing(self) -> None:
        two = elements(rb'for="a,b;c\"d";host=x , ; ,proto=https;')
        self.assertEqual([(each.node, each.proto, each.host) for each in two[:1]], [(rb'a,b;c"d', None, b"x")])
        self.assertEqual(two[-1].proto, b"https")

    def test_nothing_is_said_by_an_empty_list(self) -> None:
        for value in (b"", b" ", b",", b" , ,\t"):
            self.assertEqual(parse_forwarded(value), (), value)

    def test_what_is_malformed_says_nothing_at_all(self) -> None:
        for value in (
            b"for=2001:db8::1",  # needs brackets and quotes
            b"for=192.0.2.43:80",  # a colon is no token's
            b"for = 1.2.3.4",
            b"for=1.2.3.4;for=5.6.7.8",
            b"for=1.2.3.4;For=1.2.3.4",
            b"for=",
            b"for",
            b"=1.2.3.4",
            b'for="1.2.3.4',
            b'for="1.2.3.4"x',
            b"for=1.2.3.4 proto=http",
            b"for=1.2.3.4, 5.6.7.8",
            b"1.2.3.4",
        ):
            self.assertIsNone(parse_forwarded(value), value)

    @given(st.binary(max_size=60) | st.text('for=1.";, \\\t', max_size=40).map(str.encode))
    def test_any_value_is_read_or_not(self, value: bytes) -> None:
        found = parse_forwarded(value)
        if found is not None:
            again = elements(b", ".join(element.text for element in found))
            self.assertEqual([(e.node, e.proto, e.host) for e in again], [(e.node, e.proto, e.host) for e in found])


class Writing(unittest.TestCase):
    def test_quotes_where_they_must_be(self) -> None:
        self.assertEqual(format_element(b"192.0.2.1"), b"for=192.0.2.1")
        self.assertEqual(format_element(b"2001:db8::1"), b'for="[2001:db8::1]"')
        self.assertEqual(format_element(b"unknown", b"https", b"a.b"), b"for=unknown;proto=https;host=a.b")
        self.assertEqual(format_element(b"192.0.2.1", b"http", b"a:80"), b'for=192.0.2.1;proto=http;host="a:80"')
        self.assertEqual(
            format_element(b"192.0.2.1", b"http", b"[::1]:80"), b'for=192.0.2.1;proto=http;host="[::1]:80"'
        )
        self.assertEqual(format_element(b"192.0.2.1", b"http", b""), b"for=192.0.2.1;proto=http")

    @given(
        st.ip_addresses(),
        st.sampled_from([b"", b"http", b"https"]),
        st.none() | st.text("az09.-_~%[]:", min_size=1).map(str.encode),
    )
    def test_what_is_written_is_read(self, address: object, proto: bytes, host: bytes | None) -> None:
        (one,) = elements(format_element(str(address).encode(), proto, host))
        assert one.node is not None
        self.assertEqual(read_node(one.node), read_address(str(address)))
        self.assertEqual((one.proto or b"", one.host), (proto, host))
