"""What proxies tell each other of a request's client, as syntax: Forwarded (RFC 7239) and X-Forwarded-For's entries.

The problem: such values come from whoever likes to write them, and readers differ on the odd ones. So a value that
the grammar does not allow is None here, as a whole, and never half believed. Whom to believe is decided elsewhere.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

UNKNOWN: Final = b"unknown"
"""The node whose address nobody knows (RFC 7239, 6.2); Squid writes it into X-Forwarded-For, too."""


@dataclass(frozen=True, slots=True)
class Element:
    """What one proxy said in Forwarded: the text as it came, and its parameters unquoted (None: not there)."""

    text: bytes
    node: bytes | None
    proto: bytes | None
    host: bytes | None


def read_address(text: str) -> Address | None:
    """The address that `text` is, an IPv4 one that is mapped into IPv6 as itself, a zone left out; None if it is none.

    Two texts of one address give one value, so that trust and rates can't be evaded by spelling.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def read_node(node: bytes) -> Address | None:
    """The address of a node, with or without a port; None if it is unknown, obfuscated (`_x`) or no node at all.

    An address of IPv6 stands in brackets (RFC 7239, 6); in X-Forwarded-For, where it has no port, it may go without.
    """
    match = _NODE.fullmatch(node)
    if match is None:
        return None
    bracketed, with_port, bare = match.groups()
    return read_address((bracketed or with_port or bare).decode("ascii"))


def parse_forwarded(value: bytes) -> tuple[Element, ...] | None:
    """The elements of a Forwarded field, the nearest proxy's last; None if the value is not RFC 7239's (section 4).

    White space around `;`, which the grammar has not and some proxies write, is let pass.
    """
    if _FORWARDED.fullmatch(value) is None:
        return None
    texts = [text.strip(b" \t") for text in _ELEMENT.findall(value)]
    elements = [_element(text) for text in texts if text]
    known = [element for element in elements if element is not None]
    return tuple(known) if len(known) == len(elements) else None


def format_element(node: bytes, proto: bytes = b"", host: bytes | None = None) -> bytes:
    """An element of Forwarded: `for` and, where given, `proto` and `host`.

    `node` is an address's text or UNKNOWN; `host` is a Host field's value, which holds no quote or backslash.
    """
    text = b'for="[%b]"' % node if b":" in node else b"for=" + node
    if proto:
        text += b";proto=" + proto
    if host:
        text += b";host=" + (host if _TOKEN_ONLY.fullmatch(host) else b'"%b"' % host)
    return text


def _element(text: bytes) -> Element | None:
    pairs = [(name.lower(), _unquoted(value)) for name, value in _PAIR.findall(text)]
    said = dict(pairs)
    if len(said) < len(pairs):
        return None  # no parameter may come twice (RFC 7239, 4)
    return Element(text, said.get(b"for"), said.get(b"proto"), said.get(b"host"))


def _unquoted(value: bytes) -> bytes:
    return _ESCAPED.sub(rb"\1", value[1:-1]) if value.startswith(b'"') else value


_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED: Final = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_ONE_PAIR: Final = rb"[ \t]*+" + _TOKEN + rb"=(?:" + _TOKEN + rb"|" + _QUOTED + rb")[ \t]*+"
_FORWARDED: Final = re.compile(rb"[ \t,;]*+(?:" + _ONE_PAIR + rb"(?:[,;][ \t,;]*+|\Z))*+")
_ELEMENT: Final = re.compile(rb'(?:[^",]|"(?:[^"\\]|\\.)*+")++', re.DOTALL)
_PAIR: Final = re.compile(rb"(" + _TOKEN + rb")=(" + _TOKEN + rb"|" + _QUOTED + rb")")
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_TOKEN_ONLY: Final = re.compile(_TOKEN)
_PORT: Final = rb"(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?+"
_NODE: Final = re.compile(rb"\[([0-9A-Fa-f:.]+)\]" + _PORT + rb"|([0-9.]+)" + _PORT + rb"|([0-9A-Fa-f:.]+)")
