"""The PROXY protocol, versions 1 and 2: a header in front of a connection by which a proxy of TCP says who it comes
from. Source: HAProxy's proxy-protocol.txt; the sections named here are its.

The problem: the header is believed, so one that is nearly right must not be; and it stands before anything else, so
whoever connects may send anything instead. What the text demands of receivers is held to the letter where it says
must (fixed signatures, CRLF, families that match, lengths), and the parser never waits for bytes that can't mend what
is there.

Left out, as the text allows: datagrams and Unix sockets are taken for "unspecified", so that the connection's own
address stands; the additions of version 2 (TLVs, their checksum too) are skipped unread.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

MAX_V1: Final = 107
"""The longest header of version 1, bytes, CRLF included (2.1)."""
MAX_V2: Final = 4096
"""The longest of version 2: nginx's limit. The text bounds it by 536 (2), the length field by 65 551."""

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"


class ProxyHeaderError(Exception):
    """No PROXY header, or a broken one: the connection is to be closed, whose fault it is says the text."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """Whom the connection comes from: an address's text and a port; "" and 0: the connection's own stand."""

    address: str = ""
    port: int = 0


OWN: Final = ProxyHeader()


def parse_proxy_header(data: bytes) -> tuple[ProxyHeader, int] | None:
    """The header that `data` begins with, and its length; None while it is incomplete. Raises ProxyHeaderError."""
    if data.startswith(SIGNATURE):
        return _parse_v2(data)
    if data.startswith(b"PROXY "):
        return _parse_v1(data)
    if SIGNATURE.startswith(data) or b"PROXY ".startswith(data):
        return None
    raise ProxyHeaderError("no PROXY header")


def _parse_v1(data: bytes) -> tuple[ProxyHeader, int] | None:
    end = data.find(b"\n", 0, MAX_V1) + 1
    if not end:
        if len(data) >= MAX_V1:
            raise ProxyHeaderError("the PROXY line does not end")
        return None
    match = _V1.fullmatch(data, 0, end)
    if match is None:
        raise ProxyHeaderError("malformed PROXY line")
    family, source, destination, source_port, destination_port = match.groups()
    if family is None:
        return OWN, end
    kind = _FAMILIES[family]
    try:
        kind(destination.decode())
        address = str(kind(source.decode()))
    except ValueError:
        raise ProxyHeaderError("malformed address in the PROXY line") from None
    if int(source_port) > 0xFFFF or int(destination_port) > 0xFFFF:
        raise ProxyHeaderError("malformed port in the PROXY line")
    return ProxyHeader(address, int(source_port)), end


def _parse_v2(data: bytes) -> tuple[ProxyHeader, int] | None:
    if len(data) > 12 and data[12] not in (0x20, 0x21):
        raise ProxyHeaderError("neither LOCAL nor PROXY of version 2")
    if len(data) < 16:
        return None
    size = int.from_bytes(data[14:16], "big")
    if 16 + size > MAX_V2:
        raise ProxyHeaderError("the PROXY header is too long")
    local = data[12] == 0x20  # its family must be ignored (2.2)
    need = 0 if local else _address_size(data[13])
    if size < need:
        raise ProxyHeaderError("the PROXY header is too short for its addresses")
    if len(data) < 16 + size:
        return None
    return (OWN if local else _v2_source(data[13], data[16 : 16 + size])), 16 + size


def _address_size(family: int) -> int:
    """How long the two addresses (and ports) are at least; `family` is the header's 14th byte."""
    if family >> 4 > 3 or family & 15 > 2:
        raise ProxyHeaderError("unknown family or transport")
    return (0, 12, 36, 216)[family >> 4] if family & 15 else 0


def _v2_source(family: int, block: bytes) -> ProxyHeader:
    if family == TCP4:
        return ProxyHeader(str(IPv4Address(block[:4])), int.from_bytes(block[8:10], "big"))
    if family == TCP6:
        return ProxyHeader(str(IPv6Address(block[:16])), int.from_bytes(block[32:34], "big"))
    return OWN


TCP4: Final = 0x11
TCP6: Final = 0x21

_FAMILIES: Final = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}
_PORT: Final = rb"(0|[1-9][0-9]{0,4})"
_V1: Final = re.compile(
    rb"PROXY (?:(TCP[46]) ([0-9A-Fa-f:.]++) ([0-9A-Fa-f:.]++) "
    + _PORT
    + rb" "
    + _PORT
    + rb"|UNKNOWN(?: [^\r\n]*+)?+)\r\n"
)
