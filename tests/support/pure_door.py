"""What a front door would send on of one client connection's bytes, worked out without one: no sockets, no loop.

A slow twin of aio/client.py and aio/exchange.py for their one job that safety hangs on. The fuzzers of
tests/conformance hold both to the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from loadbalancer.aio.client import WITH_BODY
from loadbalancer.forwarding import request_to_replica, settle_id
from loadbalancer.upgrades import offered, upgrade_lines
from support.readers import Seen
from wire.bodies import EMPTY, Body, request_body
from wire.http1 import HttpError, parse_request

FRESH_ID = b"1"
"""What a request without an id is given."""


@dataclass(slots=True)
class Message:
    """What one replica's connection gets. `seen`: what we say it is; None until it is whole."""

    sent: bytes
    method: bytes
    target: bytes
    body: bytes = b""
    seen: Seen | None = None


@dataclass(slots=True)
class PureDoor:
    """`messages` so far; `refused`: the status that ended it; `ended`: whether anything more is read."""

    messages: list[Message] = field(default_factory=list[Message])
    refused: int = 0
    ended: bool = False
    _buffer: bytes = b""
    _body: Body = EMPTY
    _keep: bool = True

    def feed(self, data: bytes) -> None:
        self._buffer += data
        try:
            while not self.ended and self._buffer and self._step():
                pass
        except HttpError as error:
            self.refused = error.status
            self.ended = True

    def _step(self) -> bool:
        """Take a head or a piece of a body; False if more is needed."""
        if not self._body.done:
            self._take_body()
            return True
        parsed = parse_request(self._buffer)
        if parsed is None:
            return False
        head, end = parsed
        if not head.minor and head.method in WITH_BODY and head.content_length is None:
            raise HttpError(411, "Content-Length is missing")
        self._buffer = self._buffer[end:]
        self._body = request_body(head)
        offer = offered(head) if head.upgrade is not None else ()
        self._keep = head.keep_alive and not offer  # behind an offer nothing is read as HTTP
        request_id, given = settle_id(head, FRESH_ID)
        sent = request_to_replica(head, request_id, given, b"replica")
        if offer:
            sent = sent[:-2] + upgrade_lines(offer) + b"\r\n"
        message = Message(sent, head.method, head.target)
        if not self._body.done and self._buffer:
            payload, size = self._body.take(self._buffer)  # before anything of it is sent, as the door does
            message.sent += self._buffer[:size]
            message.body += payload
            self._buffer = self._buffer[size:]
        self.messages.append(message)
        self._settle()
        return True

    def _take_body(self) -> None:
        payload, size = self._body.take(self._buffer)
        message = self.messages[-1]
        message.sent += self._buffer[:size]
        message.body += payload
        self._buffer = self._buffer[size:]
        self._settle()

    def _settle(self) -> None:
        if self._body.done:
            message = self.messages[-1]
            message.seen = Seen(message.method, message.target, message.body)
            self.ended = not self._keep


def forwarded(pieces: Iterable[bytes]) -> PureDoor:
    door = PureDoor()
    for piece in pieces:
        door.feed(piece)
    return door
