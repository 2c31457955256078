"""Changes of protocol (`Upgrade`: RFC 9110, 7.8): which of them pass, and which 101 is believed.

The problem: behind a 101 nobody here reads the bytes. A proxy that believes in a change which the replica did not
make gives its client a connection to that replica for requests of its own (WebSocket smuggling: the handshake
was answered 426, and the proxy tunnels all the same), and one that lets HTTP be tunnelled gives it away on purpose
(h2c smuggling).

What holds:
- the replica is asked by two lines of ours, which name what the client offered and may pass, and nothing else;
- HTTP in another coat is never offered (SPOKEN_HERE): the request goes on without Upgrade, as 7.8 allows;
- a 101 is believed only if its Upgrade names what was offered and, for a WebSocket, if its Sec-WebSocket-Accept
  proves that the replica has read this very handshake (RFC 6455, 4.2.2): a status that a replica fetched from
  elsewhere and repeats is no handshake;
- what else happens is the shell's (aio/tunnel.py).

The road not taken: a list of protocols to be allowed (nginx, Envoy). An application's own protocol would need a
setting, and would be no safer: its replicas alone decide what they switch to.
"""

import re
from base64 import b64encode
from hashlib import sha1

from wire.http1 import RequestHead, ResponseHead

SPOKEN_HERE = frozenset((b"http", b"h2c", b"h2", b"tls"))
"""Protocol names (before any `/`) that carry HTTP requests: those are read here, one by one, or not passed."""

WEBSOCKET = b"websocket"
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PROTOCOL = re.compile(_TOKEN + rb"(?:/" + _TOKEN + rb")?")


def offered(head: RequestHead) -> tuple[bytes, ...]:
    """The protocols that the request offers and that may pass, in lower case and in its order; () if there are
    none."""
    return passable(head.upgrade) if head.upgrade else ()


def passable(upgrade: bytes) -> tuple[bytes, ...]:
    """Those of an Upgrade line's value (lower case) that may pass."""
    return tuple(name for name in protocols(upgrade) if name.partition(b"/")[0] not in SPOKEN_HERE)


def protocols(upgrade: bytes) -> tuple[bytes, ...]:
    """The well-formed members of an Upgrade line's value."""
    members = [member.strip(b" \t") for member in upgrade.split(b",")]
    return tuple(member for member in members if _PROTOCOL.fullmatch(member))


def upgrade_lines(names: tuple[bytes, ...]) -> bytes:
    """The two header lines that offer, or choose, these protocols."""
    return b"Connection: Upgrade\r\nUpgrade: %b\r\n" % b", ".join(names)


def disbelief(offer: tuple[bytes, ...], request: RequestHead, answer: ResponseHead) -> str:
    """Why this 101 is no answer to `request`, which offered `offer`; "" if it is one."""
    if answer.upgrade is None:
        return "101 without Upgrade"
    chosen = protocols(answer.upgrade)
    if not chosen or not set(chosen) <= set(offer):
        return "101 for a protocol that was not offered"
    if WEBSOCKET in chosen and not _is_accepted(request, answer):
        return "101 without the Sec-WebSocket-Accept of this handshake"
    return ""


def _is_accepted(request: RequestHead, answer: ResponseHead) -> bool:
    key = request.get(b"sec-websocket-key")
    return bool(key) and answer.get(b"sec-websocket-accept") == websocket_accept(key or b"")


def websocket_accept(key: bytes) -> bytes:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    return b64encode(sha1(key + WEBSOCKET_GUID, usedforsecurity=False).digest())
