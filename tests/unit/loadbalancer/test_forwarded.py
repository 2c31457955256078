"""`loadbalancer.forwarded`: what replicas are told of a client, and whose word is taken for it."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.forwarded import MAX_PROXIES, Origin, Trust, via_line
from loadbalancer.forwarding import request_to_replica
from wire.forwarded import UNKNOWN, read_node
from wire.http1 import RequestHead, parse_request

NOBODY = Trust("")
OURS = Trust("10.0.0.0/8,2001:db8:1::/48,127.0.0.1/32")
STRANGER, PROXY = "203.0.113.7", "10.0.0.1"

NAMES = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded", "X-Real-IP")
_entry = (
    st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(lambda address: f"[{address}]:80")
    | st.sampled_from(["10.1.1.1", "10.9.9.9:81", "2001:db8:1::9", "unknown", "_x", "", "1.2.3.4 5.6.7.8", "?"])
)
_chains = st.lists(_entry, max_size=6).map(", ".join)


def head(*lines: str, start: str = "GET / HTTP/1.1", host: str = "Host: door") -> RequestHead:
    raw = "".join(line + "\r\n" for line in (start, host, *lines, "") if line or line == "")
    parsed = parse_request(raw.encode("latin-1"))
    assert parsed is not None
    return parsed[0]


def settled(peer: str, *lines: str, trust: Trust = OURS, scheme: bytes = b"http", **more: str) -> tuple[str, str]:
    """(the client, the lines behind Host) that come of a request's `lines` from `peer`."""
    request = head(*lines, **more)
    client = Origin(trust, peer, scheme).settle(request)
    return client.decode(), request.lines.decode("latin-1").partition("Host: door\r\n")[2]


def said(lines: str) -> dict[str, str]:
    """The lines by lower-case name; each must be there once."""
    pairs = [line.split(": ", 1) for line in lines.splitlines()]
    found = {name.lower(): value for name, value in pairs}
    assert len(found) == len(pairs), lines
    return found


class Strangers(unittest.TestCase):
    PLAIN = (
        "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: door\r\n"
        "Forwarded: for=203.0.113.7;proto=http;host=door\r\nVia: 1.1 carousel\r\n"
    )

    def test_a_request_that_claims_nothing(self) -> None:
        for trust in (NOBODY, OURS):
            self.assertEqual(settled(STRANGER, "A: b", trust=trust), (STRANGER, "A: b\r\n" + self.PLAIN))

    def test_what_it_claims_is_taken_out_whatever_the_spelling(self) -> None:
        for name in NAMES:
            for spelt in (name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", "_", 1)):
                claims = (f"{spelt}: 127.0.0.1", "A: b", f"{spelt}:")
                self.assertEqual(settled(STRANGER, *claims), (STRANGER, "A: b\r\n" + self.PLAIN), spelt)

    def test_names_that_only_look_alike_stay(self) -> None:
        lines = ("X-Forwarded: 1", "XX-Forwarded-For: 2", "X-Real-IPs: 3", "Not-Forwarded: 4")
        self.assertTrue(settled(STRANGER, *lines)[1].startswith("\r\n".join(lines)))

    def test_tls_and_ipv6(self) -> None:
        _, lines = settled("2001:DB8::7", scheme=b"https")
        self.assertEqual(said(lines)["x-forwarded-for"], "2001:db8::7")
        self.assertEqual(said(lines)["x-forwarded-proto"], "https")
        self.assertEqual(said(lines)["forwarded"], 'for="[2001:db8::7]";proto=https;host=door')
        self.assertEqual(settled("::ffff:192.0.2.1")[0], "192.0.2.1")
        self.assertEqual(settled("fe80::1%eth0")[0], "fe80::1")

    def test_a_host_with_its_port(self) -> None:
        request = head(host="Host: Door.Example:5000")
        Origin(NOBODY, STRANGER, b"http").settle(request)
        lines = request.lines.decode()
        self.assertIn("X-Forwarded-Host: door.example:5000\r\n", lines)
        self.assertIn('Forwarded: for=203.0.113.7;proto=http;host="door.example:5000"\r\n', lines)

    def test_http_1_0_without_a_host(self) -> None:
        request = head("X-Forwarded-Host: evil", start="GET / HTTP/1.0", host="A: b")
        Origin(NOBODY, STRANGER, b"http").settle(request)
        self.assertEqual(
            request.lines.decode(),
            "A: b\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: http\r\n"
            "Forwarded: for=203.0.113.7;proto=http\r\nVia: 1.0 carousel\r\n",
        )

    def test_a_peer_without_an_address(self) -> None:
        client, lines = settled("")
        self.assertEqual((client, said(lines)["x-forwarded-for"]), ("unknown", "unknown"))
        self.assertTrue(said(lines)["forwarded"].startswith("for=unknown;"))

    def test_connection_can_not_take_our_lines_away(self) -> None:
        named = "Connection: X-Forwarded-For, Forwarded, Via, X-Forwarded-Host, X-Forwarded-Proto, X-Mine"
        request = head(named, "X-Mine: 1")
        Origin(NOBODY, STRANGER, b"http").settle(request)
        sent = request_to_replica(request, b"i", False, b"r").decode()
        self.assertEqual(sent, f"GET / HTTP/1.1\r\nHost: door\r\n{self.PLAIN}X-Request-Id: i\r\n\r\n")

    def test_the_lines_of_a_connection_are_kept(self) -> None:
        origin = Origin(NOBODY, STRANGER, b"http")
        for host in ("door", "other", "door"):
            request = head(host=f"Host: {host}")
            origin.settle(request)
            self.assertIn(f"X-Forwarded-Host: {host}\r\n", request.lines.decode())

    @given(st.lists(st.tuples(st.sampled_from(NAMES), _chains), max_size=6), st.sampled_from(["-", "_"]))
    def test_whatever_it_claims_changes_nothing(self, claims: list[tuple[str, str]], mark: str) -> None:
        lines = [f"{name.replace('-', mark)}: {value}" for name, value in claims]
        self.assertEqual(settled(STRANGER, *lines), (STRANGER, self.PLAIN))


class Believed(unittest.TestCase):
    def assert_client(self, client: str, *lines: str, peer: str = PROXY) -> str:
        found, made = settled(peer, *lines)
        self.assertEqual(found, client, lines)
        return made

    def test_the_rightmost_that_is_not_trusted(self) -> None:
        for chain, client in (
            ("1.2.3.4", "1.2.3.4"),
            ("1.2.3.4, 10.1.1.1", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4, 10.1.1.1,2001:db8:1::5", "1.2.3.4"),
            ("127.0.0.1, 1.2.3.4", "1.2.3.4"),
            ("1.2.3.4:80", "1.2.3.4"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("2001:DB8::1", "2001:db8::1"),
            ("::ffff:1.2.3.4, ::ffff:10.0.0.3", "1.2.3.4"),
            ("garbage, 1.2.3.4", "1.2.3.4"),
            ("1.2.3.4,,", "1.2.3.4"),
            ("10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ):
            made = said(self.assert_client(client, f"X-Forwarded-For: {chain}"))
            entries = [entry.strip() for entry in chain.split(",") if entry.strip()]
            self.assertEqual(made["x-forwarded-for"], ", ".join((*entries, PROXY)))

    def test_who_can_not_be_known_is_nobody(self) -> None:
        """Least of all is he the proxy, which may be on loopback."""
        many = ", ".join(["10.1.1.1"] * MAX_PROXIES)
        for chain in ("garbage", "unknown", "_hidden", "1.2.3.4, garbage", "1.2.3.4 5.6.7.8", "01.2.3.4, 10.1.1.1"):
            self.assert_client("unknown", f"X-Forwarded-For: {chain}", peer="127.0.0.1")
        self.assert_client("unknown", f"X-Forwarded-For: 127.0.0.1, {many}", peer="127.0.0.1")
        self.assert_client("10.1.1.1", f"X-Forwarded-For: {many}", peer="127.0.0.1")
        self.assert_client("unknown", "Forwarded: for=127.0.0.1:80", peer="127.0.0.1")
        self.assert_client("unknown", "Forwarded: for=_hidden", peer="127.0.0.1")
        self.assert_client("unknown", "Forwarded: proto=http", peer="127.0.0.1")
        self.assert_client("unknown", "X-Real-IP: me", peer="127.0.0.1")

    def test_lines_are_joined_in_order(self) -> None:
        made = said(self.assert_client("2.2.2.2", "X-Forwarded-For: 1.1.1.1", "A: b", "x-forwarded-for: 2.2.2.2"))
        self.assertEqual(made["x-forwarded-for"], f"1.1.1.1, 2.2.2.2, {PROXY}")
        self.assertEqual(made["forwarded"].count("for="), 3)

    def test_a_trusted_peer_that_claims_nothing_is_the_client(self) -> None:
        self.assert_client(PROXY, "X-Forwarded-For: ", "Forwarded:")
        self.assert_client(PROXY)

    def test_its_twins_are_taken_out_all_the_same(self) -> None:
        """A proxy that sets X-Forwarded-For may let the client's X_Forwarded_For through."""
        lines = (
            "X_Forwarded_For: 6.6.6.6",
            "X-Forwarded_For: 7.7.7.7",
            "X_Real_IP: 8.8.8.8",
            "X-Forwarded-Client_Cert: x",
        )
        made = self.assert_client("1.2.3.4", "X-Forwarded-For: 1.2.3.4", *lines)
        self.assertEqual(made.count("_"), 0, made)

    def test_what_else_it_says_is_kept(self) -> None:
        lines = ("X-Forwarded-Port: 443", "X-Forwarded-User: me", "X-Real-IP: 1.2.3.4")
        made = said(self.assert_client("1.2.3.4", "X-Forwarded-For: 1.2.3.4", *lines))
        self.assertEqual(
            (made["x-forwarded-port"], made["x-forwarded-user"], made["x-real-ip"]), ("443", "me", "1.2.3.4")
        )

    def test_scheme_and_host(self) -> None:
        lines = ("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: HTTPS", "X-Forwarded-Host: Shop.example:8443")
        made = said(self.assert_client("1.2.3.4", *lines))
        self.assertEqual((made["x-forwarded-proto"], made["x-forwarded-host"]), ("https", "Shop.example:8443"))
        self.assertEqual(
            made["forwarded"],
            'for=1.2.3.4;proto=https;host="Shop.example:8443", for=10.0.0.1;proto=http;host=door',
        )

    def test_a_scheme_or_host_that_is_none_or_comes_twice_is_ours(self) -> None:
        for lines in (
            ("X-Forwarded-Proto: https, http", "X-Forwarded-Host: a, b"),
            ("X-Forwarded-Proto: https", "X-Forwarded-Proto: http", "X-Forwarded-Host: a", "X-Forwarded-Host: b"),
            ("X-Forwarded-Proto: gopher", 'X-Forwarded-Host: "a"'),
        ):
            made = said(self.assert_client("1.2.3.4", "X-Forwarded-For: 1.2.3.4", *lines))
            self.assertEqual((made["x-forwarded-proto"], made["x-forwarded-host"]), ("http", "door"))

    def test_a_scheme_alone(self) -> None:
        """Of a TLS terminator that hides itself: the connection is the client's."""
        made = said(self.assert_client(PROXY, "X-Forwarded-Proto: https"))
        self.assertEqual(made["forwarded"], f"for={PROXY};proto=https;host=door")

    def test_forwarded_alone(self) -> None:
        value = 'for=6.6.6.6;proto=http, for="[2001:db8::1]:80";proto=https;host=shop.example, for=10.1.1.1'
        made = said(self.assert_client("2001:db8::1", f"Forwarded: {value}"))
        self.assertEqual(made["x-forwarded-for"], f"6.6.6.6, 2001:db8::1, 10.1.1.1, {PROXY}")
        self.assertEqual((made["x-forwarded-proto"], made["x-forwarded-host"]), ("https", "shop.example"))
        self.assertEqual(made["forwarded"], f"{value}, for={PROXY};proto=http;host=door")

    def test_x_forwarded_for_is_taken_before_forwarded(self) -> None:
        lines = ("Forwarded: for=6.6.6.6", "X-Forwarded-For: 1.2.3.4")
        made = said(self.assert_client("1.2.3.4", *lines))
        self.assertEqual(made["forwarded"], f"for=6.6.6.6, for={PROXY};proto=http;host=door")

    def test_x_real_ip_alone(self) -> None:
        made = said(self.assert_client("1.2.3.4", "X-Real-IP: 1.2.3.4"))
        self.assertEqual(made["x-forwarded-for"], f"1.2.3.4, {PROXY}")

    def test_a_malformed_forwarded_is_not_passed_on(self) -> None:
        made = said(self.assert_client("1.2.3.4", "X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4;for=x"))
        self.assertEqual(made["forwarded"], f"for=1.2.3.4;proto=http;host=door, for={PROXY};proto=http;host=door")

    @given(_chains, st.ip_addresses().filter(lambda address: not OURS.covers(read_node(str(address).encode()))))
    def test_what_stands_left_of_the_client_changes_nothing(self, forged: str, address: object) -> None:
        line = f"X-Forwarded-For: {forged}, {address}, 10.1.1.1"
        self.assertEqual(settled(PROXY, line)[0], settled(PROXY, f"X-Forwarded-For: {address}")[0])

    @given(st.lists(_entry.filter(bool), max_size=6))
    def test_the_client_is_found_as_by_a_slower_search(self, entries: list[str]) -> None:
        client = PROXY
        for entry in reversed(entries):
            address = read_node(entry.encode())
            client = str(address or UNKNOWN.decode())
            if address is None or not OURS.covers(address):
                break
        self.assertEqual(settled(PROXY, "X-Forwarded-For: " + ", ".join(entries))[0], client)


class Trusting(unittest.TestCase):
    def test_networks(self) -> None:
        for peer, trusted in ((PROXY, True), ("::ffff:10.1.2.3", True), ("2001:db8:1::7", True), ("11.0.0.1", False)):
            self.assertIs(Origin(OURS, peer, b"http").trusted, trusted, peer)
        self.assertFalse(Origin(OURS, "", b"http").trusted)
        self.assertTrue(OURS)
        self.assertFalse(NOBODY)

    def test_via(self) -> None:
        self.assertEqual((via_line(0), via_line(1)), (b"Via: 1.0 carousel\r\n", b"Via: 1.1 carousel\r\n"))

    def test_a_chain_of_proxies_keeps_its_via(self) -> None:
        self.assertEqual(settled(STRANGER, "Via: 1.1 other")[1].count("Via: "), 2)
