"""Whole requests out of the bytes of one connection, for servers that want each body in memory. Pure."""

import enum
from typing import Final

from wire.bodies import EMPTY, Body, request_body
from wire.http1 import HttpError, RequestHead, parse_request


class Progress(enum.Enum):
    """How much of the next request has come."""

    NOTHING = "nothing"
    HEAD = "head"
    BODY = "body"


class RequestReader:
    """Feed it what comes; `next` gives the requests in order. Bodies are of at most `body_limit` bytes.

    Pipelined requests stay bytes until they are asked for: who feeds it watches `unread_bytes`.
    """

    def __init__(self, body_limit: int) -> None:
        self._body_limit: Final = body_limit
        self._buffer = b""
        self._at = 0
        self._head: RequestHead | None = None
        self._body: Body = EMPTY
        self._parts: list[bytes] = []
        self._size = 0
        self._wants_continue = False

    @property
    def unread_bytes(self) -> int:
        return len(self._buffer) - self._at

    @property
    def progress(self) -> Progress:
        if self._head is not None:
            return Progress.BODY
        return Progress.HEAD if self.unread_bytes else Progress.NOTHING

    def feed(self, data: bytes) -> None:
        self._buffer = self._buffer[self._at :] + data if self.unread_bytes else data
        self._at = 0

    def next(self) -> tuple[RequestHead, bytes] | None:
        """The next request with its body; None while it is incomplete.

        Raises HttpError as `parse_request` does, and 413. After that the reader is of no more use.
        """
        if self._head is None and not self._begin():
            return None
        if not self._body.done and not self._take_body():
            return None
        head = self._head
        assert head is not None
        body = b"".join(self._parts) if self._parts else b""
        self._head, self._parts, self._size, self._wants_continue = None, [], 0, False
        return head, body

    def wants_continue(self) -> bool:
        """Whether the client waits for a 100 before it sends its body: True once for each such request."""
        wants, self._wants_continue = self._wants_continue, False
        return wants

    def _begin(self) -> bool:
        parsed = parse_request(self._buffer, self._at) if self.unread_bytes else None
        if parsed is None:
            return False
        head, self._at = parsed
        if head.content_length is not None and head.content_length > self._body_limit:
            raise HttpError(413, "the body is too large")
        self._head = head
        self._body = request_body(head)
        self._wants_continue = head.expect_continue
        return True

    def _take_body(self) -> bool:
        if not self.unread_bytes:
            return False
        payload, size = self._body.take(self._buffer[self._at :])
        self._at += size
        self._size += len(payload)
        if self._size > self._body_limit:
            raise HttpError(413, "the body is too large")
        if payload:
            self._parts.append(payload)
        self._wants_continue = False
        return self._body.done
