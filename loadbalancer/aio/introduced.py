"""Clients behind a proxy of TCP: each connection begins with a PROXY header, which says who it comes from.

The header is demanded of every connection and never guessed at: where it might be missing, anybody could write one.
A connection without it, or with a broken one, is closed without an answer, as HAProxy does; so is one from a peer
outside `trusted_proxies`, if any are set. It has as much time for it as for a request's head.

The road not taken: the same under TLS. The header comes before the handshake, and asyncio's TLS reads the handshake
from the connection's first byte on.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from loadbalancer.aio.client import Client
from wire.proxy_protocol import ProxyHeaderError, parse_proxy_header

if TYPE_CHECKING:
    from loadbalancer.aio.door import Door


class IntroducedClient(Client):
    """A client that is not heard before a proxy has introduced it; then it has the address that the proxy said."""

    __slots__ = ("_introduced",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._introduced = False
        super().connection_made(transport)
        if self.door.trust and not self.origin.trusted:
            self._turn_away()

    def data_received(self, data: bytes) -> None:
        if self._introduced or self.lingering:
            super().data_received(data)
            return
        self.buffer += data
        try:
            parsed = parse_proxy_header(self.buffer)
        except ProxyHeaderError:
            self._turn_away()
            return
        if parsed is not None:
            header, size = parsed
            self._introduce(header.address, size)

    def _introduce(self, address: str, size: int) -> None:
        self._introduced = True
        if address:
            self.come_from(address)
        data, self.buffer = self.buffer[size:], b""
        if data:
            super().data_received(data)

    def _turn_away(self) -> None:
        self.door.counters.clients_refused += 1
        self.transport.abort()

    def sweep(self, now: float) -> None:
        if self._introduced or self.lingering:
            super().sweep(now)
        elif now - self.quiet_since > self.door.settings.head_timeout_s:
            self._turn_away()


def client_factory(door: "Door", admin: bool, proxy: bool) -> Callable[[], Client]:
    """Makes the protocols of a listener's connections. One that serves control alone is not behind the proxy."""
    kind = IntroducedClient if proxy and door.settings.accept_proxy_protocol else Client
    return lambda: kind(door, admin, proxy)
