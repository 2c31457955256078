"""Who asks: what this front door tells its replicas of a request's client, and whose word on it it takes.

The problem: behind a proxy every request seems to come from the proxy, so proxies write the client's address into
the head. Anybody else can write it there, too, and then evade a rate limit, poison a log, or pass for the operator,
whom control knows by his address.

What holds:
- what a peer outside `trusted_proxies` says of this kind is taken out, spelt with underscores too, and the lines that
  replicas get are ours;
- the client is the rightmost address of X-Forwarded-For (if there is none, of Forwarded, then X-Real-IP) that is no
  trusted proxy's, as with nginx's real_ip_recursive: what stands left of it that client may have written itself;
- where the walk meets what is no address, or comes to no end, the client is UNKNOWN. nginx and Envoy take the last
  proxy for the client then; on loopback that would lend its rights at control to a stranger;
- a head that brings none of these lines costs no search, and its lines are made once for each connection and Host.

The road not taken: trusting a number of hops (Envoy's xff_num_trusted_hops, Express's `trust proxy`). It is wrong as
soon as a request comes round a proxy.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from wire.forwarded import UNKNOWN, Address, Element, format_element, parse_forwarded, read_address, read_node
from wire.http1 import FORWARDED_NAMES, RequestHead

MAX_PROXIES = 32
"""Entries of X-Forwarded-For that are looked at: the longest chain of trusted proxies. CDNs add one or two each, and
a head has room for thousands."""

PSEUDONYM = b"carousel"
SCHEMES = (b"http", b"https")


def via_line(minor: int) -> bytes:
    """Our Via for a message that came in HTTP/1.`minor` (RFC 9110, 7.6.3); further lines append to the list."""
    return b"Via: 1.%d %b\r\n" % (minor, PSEUDONYM)


class Trust:
    """The networks whose proxies are believed; `networks` as in DoorSettings.trusted_proxies. Raises ValueError."""

    def __init__(self, networks: str) -> None:
        self._networks = [ip_network(network) for network in networks.split(",") if network]

    def __bool__(self) -> bool:
        """Whether anybody is trusted."""
        return bool(self._networks)

    def covers(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def client(self, chain: Sequence[bytes]) -> int | None:
        """The index of the client in a chain of nodes (the nearest last) that a trusted peer has sent: the rightmost
        that is not trusted, else the first. None if it can't be told."""
        looked_at = range(len(chain) - 1, max(len(chain) - MAX_PROXIES, 0) - 1, -1)
        for i in looked_at:
            address = read_node(chain[i])
            if address is None:
                return None
            if not self.covers(address):
                return i
        return 0 if 0 < len(chain) <= MAX_PROXIES else None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a trusted peer says: X-Forwarded-For's entries, Forwarded's elements, the scheme, and the Host that the
    client asked for (empty: nothing, or nothing well-formed)."""

    chain: tuple[bytes, ...] = ()
    elements: tuple[Element, ...] = ()
    proto: bytes = b""
    host: bytes = b""


NOTHING = Claims()


class Origin:
    """Where a connection comes from. `address` is the text of its peer's address, UNKNOWN if it has none."""

    __slots__ = ("_host", "_lines", "_minor", "_scheme", "_trust", "address", "trusted")

    def __init__(self, trust: Trust, peer: str, scheme: bytes) -> None:
        address = read_address(peer)
        self.address = UNKNOWN if address is None else str(address).encode()
        self.trusted = trust.covers(address)
        self._trust = trust
        self._scheme = scheme
        self._host: bytes | None = None
        self._minor = -1
        self._lines = b""

    def settle(self, head: RequestHead) -> bytes:
        """Make `head.lines` say the truth of who asks, as far as we know it; returns the client's address as text.

        To be called once for each head. Lines of ours end up last, so `head.get` finds them.
        """
        if head.forwarded:
            return self._settle_claims(head)
        if head.host != self._host or head.minor != self._minor:
            self._host, self._minor = head.host, head.minor
            self._lines = self._our_lines(head, NOTHING)
        head.lines += self._lines
        return self.address

    def _settle_claims(self, head: RequestHead) -> bytes:
        framed = b"\n" + head.lines
        if not self.trusted:
            head.lines = _CLAIMED.sub(b"", framed)[1:] + self._our_lines(head, NOTHING)
            return self.address
        claims = read_claims(framed, self._trust)
        head.lines = _REMADE.sub(b"", framed)[1:] + self._our_lines(head, claims)
        if not claims.chain:
            return self.address
        index = self._trust.client(claims.chain)
        return UNKNOWN if index is None else _node_text(claims.chain[index])

    def _our_lines(self, head: RequestHead, claims: Claims) -> bytes:
        proto, host = claims.proto or self._scheme, claims.host or head.host
        lines = b"X-Forwarded-For: %b\r\n" % b", ".join((*claims.chain, self.address))
        lines += b"X-Forwarded-Proto: %b\r\n" % proto
        if host:
            lines += b"X-Forwarded-Host: %b\r\n" % host
        elements = [element.text for element in claims.elements] or _converted(claims, proto, host)
        if claims.chain or claims.elements:
            proto, host = self._scheme, head.host  # the claims are of the client's connection, and ours is another
        elements.append(format_element(self.address, proto, host))
        return lines + b"Forwarded: %b\r\n" % b", ".join(elements) + via_line(head.minor)


def read_claims(framed: bytes, trust: Trust) -> Claims:
    """What header lines, behind an LF, say of the client if their sender is trusted."""
    said: dict[bytes, list[bytes]] = {}
    for name, value in _CLAIM.findall(framed):
        said.setdefault(name.lower(), []).append(value)
    elements = parse_forwarded(b",".join(said.get(b"forwarded", ())))
    chain = _entries(said.get(b"x-forwarded-for", ()))
    proto, host = _only(said, b"x-forwarded-proto").lower(), _only(said, b"x-forwarded-host")
    if not chain:
        chain = (UNKNOWN,) if elements is None else tuple([_node_text(each.node or UNKNOWN) for each in elements])
        proto, host = _of_client(elements or (), trust.client(chain), proto, host)
    chain = chain or _entries(said.get(b"x-real-ip", ()))
    proto, host = proto if proto in SCHEMES else b"", host if _AUTHORITY.fullmatch(host) else b""
    return Claims(chain, elements or (), proto, host)


def _of_client(elements: Sequence[Element], index: int | None, proto: bytes, host: bytes) -> tuple[bytes, bytes]:
    """(proto, host), where they are not said otherwise, by the element of the proxy that the client spoke to."""
    if index is None or index >= len(elements):
        return proto, host
    return proto or (elements[index].proto or b"").lower(), host or elements[index].host or b""


def _entries(values: Sequence[bytes]) -> tuple[bytes, ...]:
    """The entries of all lines of a list, empty ones left out (RFC 9110, 5.6.1)."""
    stripped = [entry.strip(b" \t") for entry in b",".join(values).split(b",")]
    return tuple([entry for entry in stripped if entry])


def _only(said: dict[bytes, list[bytes]], name: bytes) -> bytes:
    """The value of a line that came once; empty otherwise."""
    values = said.get(name, [])
    return values[0].strip(b" \t") if len(values) == 1 else b""


def _node_text(node: bytes) -> bytes:
    address = read_node(node)
    return UNKNOWN if address is None else str(address).encode()


def _converted(claims: Claims, proto: bytes, host: bytes | None) -> list[bytes]:
    """X-Forwarded-For as elements of Forwarded (RFC 7239, 7.4), for replicas that read that first. Scheme and Host
    are those of the client, which is named first."""
    nodes = [_node_text(entry) for entry in claims.chain]
    return [format_element(node) if i else format_element(node, proto, host) for i, node in enumerate(nodes)]


_TWIN = rb"(?=[^:]*_)(?:" + FORWARDED_NAMES + rb")"
_CLAIMED = re.compile(rb"\n(?i:" + FORWARDED_NAMES + rb"):[^\n]*+(?=\n)")
_REMADE = re.compile(rb"\n(?i:" + _TWIN + rb"|forwarded|x-forwarded-(?:for|proto|host)):[^\n]*+(?=\n)")
_CLAIM = re.compile(rb"\n((?i:forwarded|x-forwarded-(?:for|proto|host)|x-real-ip)):[ \t]*+([^\r]*+)")
_AUTHORITY = re.compile(rb"[A-Za-z0-9._~%:\[\]-]{1,255}")
