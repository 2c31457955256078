"""Who may change things: three questions about the caller of a changing call, none about what it asks.

1. Does a foreign web page speak through the user's browser? Forms need no preflight, so CORS is no help:
   Origin and Sec-Fetch-Site tell. `same-site` is foreign too: another port of localhost is the same site.
2. Is it a page that had its own name point at us (DNS rebinding)? Then Host is that name. A page at an IP
   address can't do that, so every literal is ours; a name is ours if it is localhost's, this machine's or
   set to be. The port is not compared: Docker and tunnels publish us under others, and the name alone
   foils rebinding.
3. Is it the operator? With a token: whoever has it. Without: whoever is on this machine.

The client's address is the one that the data path saw, or that a trusted proxy told it, and the peer's is its
connection's other end. Both must be on this machine: a stranger behind a proxy of ours is a stranger, and another
machine's proxy can't make anybody local. The data path drops what came from outside in the same headers.
None is a caller on control's own Unix socket, which only the operator's user may open.
"""

import hmac
import ipaddress
import re
from dataclasses import dataclass, field

OURS_BY_FETCH = ("none", "same-origin")
"""Sec-Fetch-Site: the user's own doing (a bookmark, the address bar), or a page of ours."""
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^\[\]:/@\s]+)(?::(?P<port>[0-9]{1,5})?)?")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#@\s]+)")


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request says of its sender; None: not there. `client` and `peer` are IP addresses as text."""

    host: str | None
    origin: str | None = None
    fetch_site: str | None = None
    authorization: str | None = None
    client: str | None = None
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """`hosts`: further names that are ours, any case.
    `local`: addresses whose callers are on this machine, besides loopback. An empty token: none is set."""

    hosts: frozenset[str] = frozenset()
    token: str = field(default="", repr=False)
    local: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refusal:
    """403: this caller may not, whatever it sends. 401: it may with the token."""

    status: int
    message: str


NO_TOKEN = Refusal(401, "changes need the header `Authorization: Bearer <the admin token>`")

FOREIGN_PAGE = Refusal(403, "a page of another origin may not change things")


def refusal(guard: Guard, caller: Caller) -> Refusal | None:
    """Why this caller may not change things, or None if it may."""
    if is_foreign_page(caller):
        return FOREIGN_PAGE
    if not is_our_host(guard, caller.host):
        return Refusal(403, "the Host is not one of ours; allow it with --allowed-hosts")
    if guard.token:
        return None if has_token(guard, caller.authorization) else Refusal(401, "Authorization: Bearer is needed")
    if not (is_local(caller.client, guard.local) and is_local(caller.peer, guard.local)):
        return Refusal(403, "without --admin-token changes are taken from this machine only")
    return None


def is_foreign_page(caller: Caller) -> bool:
    """Whether a browser says that a page not of ours made the call. Programs send neither header."""
    if caller.fetch_site is not None and caller.fetch_site.lower() not in OURS_BY_FETCH:
        return True
    return caller.origin is not None and not _is_same_origin(caller.origin, caller.host)


def _is_same_origin(origin: str, host: str | None) -> bool:
    """By authority alone: whether TLS ends before us, only the browser knows."""
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None or host is None:
        return False
    port = DEFAULT_PORTS[match["scheme"]]
    return match["authority"].removesuffix(port) == host.lower().removesuffix(port)


def is_our_host(guard: Guard, host: str | None) -> bool:
    """Whether Host names us: an IP literal, localhost or below it, or a name in `guard.hosts`."""
    match = _AUTHORITY.fullmatch((host or "").lower())
    if match is None:
        return False
    name = match["host"].removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return name in {ours.lower() for ours in guard.hosts} or _address(name.strip("[]")) is not None


def has_token(guard: Guard, authorization: str | None) -> bool:
    """Whether Authorization carries the token, compared in a time that tells nothing of it."""
    scheme, _, given = (authorization or "").partition(" ")
    given_bytes = given.strip().encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given_bytes, guard.token.encode()) and scheme.lower() == "bearer"


def is_local(client: str | None, further: frozenset[str] = frozenset()) -> bool:
    """Whether the caller is on this machine: on control's own socket (None), at loopback or a `further` address."""
    if client is None:
        return True
    address = _address(client)
    return address is not None and (address.is_loopback or str(address) in further)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, an IPv4 one that is mapped into IPv6 as itself; None if it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
