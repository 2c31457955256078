"""Stickiness for `--route-by cookie:NAME`: who comes without the cookie is given one, with the key of this request.

The value is the key itself, so the next request hashes to where this one went, whoever of the workers gets it, and
nothing is stored here (Envoy's cookie hash policy without a ttl; HAProxy's `cookie … insert` names the server
instead, which ties a client to one that may be gone). It lasts as long as the browser's session.

NAME should be a cookie of its own. With one that the application sets, a client moves once, when it gets that value:
the first request was placed without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import randrange

from wire.http1 import ResponseHead

LOWEST_KEY, KEYS_END = 10**17, 10**18
"""Keys that are given have 18 digits: the longest number that hashes.key_of takes as it is, so that they are as good
as unique, and a rate limit by key counts no two clients together."""

_ROUTE = "cookie:"


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to be set: `key` under `name`. `secure`: the client came by TLS."""

    name: bytes
    key: int
    secure: bool

    def added(self, lead: bytes, answer: ResponseHead) -> bytes:
        """`lead`, the head that the client gets, with the cookie; unchanged if the replica's `answer` sets one of
        that name itself, in whatever case."""
        if (b"\nset-cookie:" + self.name.lower() + b"=") in _unspaced(answer.lines):
            return lead
        secure = b"; Secure" if self.secure else b""
        line = b"Set-Cookie: %b=%d; Path=/; HttpOnly; SameSite=Lax%b\r\n" % (self.name, self.key, secure)
        return lead[:-2] + line + b"\r\n"


def _unspaced(lines: bytes) -> bytes:
    return b"\n" + lines.lower().replace(b" ", b"").replace(b"\t", b"")


def sticky_name(route_by: str) -> bytes:
    """The name of the cookie that `route_by` names; empty for every other route."""
    return route_by.removeprefix(_ROUTE).encode("latin-1") if route_by.startswith(_ROUTE) else b""


def new_cookie(name: bytes, secure: bool, draw: Callable[[int, int], int] = randrange) -> Cookie:
    """A cookie with a fresh key; `draw` is randrange."""
    return Cookie(name, draw(LOWEST_KEY, KEYS_END), secure)
